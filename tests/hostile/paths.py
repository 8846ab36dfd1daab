"""Archives whose members lead elsewhere, or are no files."""

from __future__ import annotations

import tarfile
from functools import partial

from tests.hostile import bombs
from tests.hostile.bombs import CSV, tar_entry, tar_of, zipped
from tests.hostile.traps import DECOMPRESSION, EMPTY, trap

_LINK, _HARD_LINK = tarfile.SYMTYPE, tarfile.LNKTYPE


def _tar_of_no_file(kind: bytes) -> bytes:
    return tar_of((tar_entry("a.csv", kind), b""))


PATHS = {
    "a link to the secret": trap(
        "a.tar", lambda: tar_of((tar_entry("a.csv", _LINK, "{secret}"), b"")), EMPTY
    ),
    "a hard link to the secret": trap(
        "a.tar", lambda: tar_of((tar_entry("a.csv", _HARD_LINK, "{secret}"), b"")), EMPTY
    ),
    "a file through a linked folder": trap(
        "a.tar",
        lambda: tar_of((tar_entry("x", _LINK, "/tmp"), b""), (tar_entry("x/evil.csv"), CSV)),
        None,
    ),
    "a link in a zip": trap("a.zip", lambda: bombs.zip_with_link("{secret}"), EMPTY),
    "a path up": trap("a.zip", lambda: zipped({"../../evil.csv": CSV}), DECOMPRESSION),
    "a path up with backslashes": trap(
        "a.zip", lambda: zipped({"..\\..\\evil.csv": CSV}), DECOMPRESSION
    ),
    "a path up in a tar": trap(
        "a.tar", lambda: tar_of((tar_entry("x/../../evil.csv"), CSV)), DECOMPRESSION
    ),
    "a path from the root": trap("a.zip", lambda: zipped({"/etc/evil.csv": CSV}), None),
    "a path with a drive": trap("a.zip", lambda: zipped({"C:\\evil.csv": CSV}), None),
    "a name of 5,000 characters": trap("a.zip", lambda: zipped({"x" * 5_000 + ".csv": CSV}), None),
    "a folder 3,000 deep": trap("a.zip", lambda: zipped({"x/" * 3_000 + "a.csv": CSV}), None),
    **{
        f"a {name} in a tar": trap("a.tar", partial(_tar_of_no_file, kind), EMPTY)
        for name, kind in {
            "pipe": tarfile.FIFOTYPE,
            "character device": tarfile.CHRTYPE,
            "block device": tarfile.BLKTYPE,
            "folder called like a file": tarfile.DIRTYPE,
        }.items()
    },
}
