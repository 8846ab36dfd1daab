"""Telling an archive from a file by its first bytes.

A workbook (``.xlsx``) and other office files are ZIP archives too but are read, not unpacked; a
KMZ is unpacked like any archive and its KML read.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal

Container = Literal["zip", "tar", "gz"]

_TAR_BLOCK = 512
EMPTY_ZIP = b"PK\x05\x06"
"""A zip that begins with the end of its directory; libarchive takes it for broken."""


def identify_container(path: Path) -> Container | None:
    """Which archive ``path`` is, or None where it is to be read as it is."""
    with path.open("rb") as file:
        head = file.read(_TAR_BLOCK)
    if head.startswith((b"PK\x03\x04", EMPTY_ZIP, b"PK00PK\x03\x04")):
        return None if is_office_file(path) else "zip"
    if head.startswith(b"\x1f\x8b"):
        return "gz"
    return "tar" if _is_tar(head) else None


def is_office_file(path: Path) -> bool:
    """Whether the ZIP is an OOXML package (ECMA-376 part 2: ``[Content_Types].xml``)."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.NameToInfo
            return "[Content_Types].xml" in names and any(
                name.startswith(("xl/", "word/", "ppt/")) for name in names
            )
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


def _is_tar(head: bytes) -> bool:
    """By the header's checksum (POSIX.1-1988), which covers old tars without ``ustar`` too."""
    if len(head) < _TAR_BLOCK:
        return False
    try:
        stated = int(head[148:156].strip(b" \0") or b"x", 8)
    except ValueError:
        return False
    return stated == sum(head[:148]) + 8 * 32 + sum(head[156:])
