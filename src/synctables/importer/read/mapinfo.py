"""MapInfo's two forms: TAB (``.tab`` ``.dat`` ``.map`` ``.id``) and MIF (``.mif`` ``.mid``)."""

from __future__ import annotations

import re
from pathlib import Path

from synctables.errors import InvalidShapefileError, UnsupportedFileError

HEAD_BYTES = 65_536
_TABLE_TYPE = re.compile(rb"^\s*type\s+(\w+)", re.I | re.M)
_READ_TYPES = {b"native", b"dbf"}
"""Others (linked, views, seamless, raster) only point to further files or databases."""


def is_tab(head: bytes) -> bool:
    """Whether a file that begins so is a TAB's description of a table."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip()[:6].lower() == b"!table"


def is_mif(head: bytes) -> bool:
    """MIF begins with its version, and tells its columns before its data."""
    start = re.match(rb"\s*version\s+\d+\s*$", head, re.I | re.M)
    return start is not None and re.search(rb"^\s*columns\s+\d+", head, re.I | re.M) is not None


def refuse_incomplete(path: Path) -> None:
    """Raise `InvalidShapefileError` where parts are missing, `UnsupportedFileError` for a TAB
    without data of its own."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if is_mif(head):
        _require(path, ".mif")
        return
    kind = _TABLE_TYPE.search(head)
    if kind is None or kind[1].lower() not in _READ_TYPES:
        raise UnsupportedFileError("The MapInfo table holds no data of its own.")
    is_native = kind[1].lower() == b"native"
    _require(path, ".tab", ".dat" if is_native else ".dbf")


def _require(path: Path, own: str, *others: str) -> None:
    missing = [suffix for suffix in others if not path.with_suffix(suffix).exists()]
    if path.suffix != own:
        raise UnsupportedFileError(f"The MapInfo file should be called {own}.")
    if missing:
        raise InvalidShapefileError(f"The archive lacks the {' and the '.join(missing)} file.")
