"""Archives that grow beyond all measure."""

from __future__ import annotations

from tests.hostile import bombs
from tests.hostile.bombs import CSV, GIB, MIB, tar_entry, tar_of, zipped
from tests.hostile.traps import trap
from tests.support import archive_files

ARCHIVES = {
    "gzip of 8 GB": trap("a.csv.gz", lambda: bombs.gzip_of_zeros(8 * GIB), 1003, 6666),
    "zip of 8 GB": trap("a.zip", lambda: bombs.zip_of_one(3 * GIB), 1003, 6666),
    "zip of 250 times the same 256 MB": trap(
        "a.zip", lambda: bombs.zip_of_overlapping_members(250, 256 * MIB), 1003, 6666
    ),
    "zip of 20,000 overlapping members": trap(
        "a.zip", lambda: bombs.zip_of_overlapping_members(20_000, MIB), 1003, 6666
    ),
    "zip of 10,001 files": trap("a.zip", lambda: bombs.zip_of_many(10_001), 1003),
    "zips in zips in zips": trap("42.zip", lambda: bombs.zip_of_zips(4, 6), 1002, 1003, 6666),
    "zip of a gzip of 8 GB": trap(
        "a.zip", lambda: zipped({"a.gz": bombs.gzip_of_zeros(8 * GIB)}), 1003, 6666
    ),
    "gzip of a gzip of 8 GB": trap(
        "a.gz", lambda: bombs.gzip_of(bombs.gzip_of_zeros(8 * GIB)), 1003, 6666
    ),
    "bzip2 streams of 9 GB": trap("a.bz2", lambda: bombs.bzip2_streams(1_000), 1003, 6666),
    "xz streams of 8 GB": trap("a.xz", lambda: bombs.xz_streams(128), 1003, 6666),
    "zstd frames of 8 GB": trap("a.zst", lambda: bombs.zstd_frames(128), 1003, 6666),
    "zstd with a window of 2 GB": trap(
        "a.zst", bombs.zstd_with_a_window_of_two_gigabytes, 1003, 6666
    ),
    "xz with a dictionary of 4 GB": trap(
        "a.xz", bombs.xz_with_a_dictionary_of_four_gigabytes, 1003, 6666, None
    ),
    "7z of 1.5 GB": trap(
        "a.7z", lambda: archive_files.ARCHIVES["7z"]({"a.csv": bytes(1536 * MIB)}), 1003, 6666
    ),
    "tar of a sparse terabyte": trap("a.tar", bombs.tar_of_a_sparse_terabyte, 1003, 6666),
    "tar with a header of 8 GB": trap("a.tar", bombs.tar_with_a_header_of_gigabytes, 1003, 6666),
    "tar of 10,001 empty files": trap(
        "a.tar", lambda: tar_of(*((tar_entry(f"{n}.csv"), b"") for n in range(10_001))), 1003
    ),
    "zip that is its own member": trap(
        "a.zip",
        lambda: zipped({"a.zip": zipped({"a.zip": zipped({"a.zip": b"PK\3\4"})})}),
        1002,
        1003,
    ),
    "rar with a size of exabytes": trap(
        "a.rar",
        lambda: archive_files.rar({"a.csv": CSV}).replace(b"\x08\xa4\x83", b"\xff\xff"),
        *(1002, 1003, 1005),
    ),
}
