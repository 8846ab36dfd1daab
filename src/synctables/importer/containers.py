"""Telling an archive from a file by its first bytes.

A workbook (``.xlsx``, ``.ods``) and other office files are ZIP archives too but are read, not
unpacked; a KMZ is unpacked like any archive and its KML read.
"""

from __future__ import annotations

import lzma
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Literal

Container = Literal["zip", "tar", "gz", "bz2", "xz", "zst", "7z", "rar", "rar5"]

COMPRESSORS: frozenset[Container] = frozenset(("gz", "bz2", "xz", "zst"))
"""What holds one file, which it does not name."""

_MAGIC: tuple[tuple[bytes, Container], ...] = (
    (b"\x1f\x8b", "gz"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zst"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07\x00", "rar"),
    (b"Rar!\x1a\x07\x01\x00", "rar5"),
)
_BZIP2 = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
"""The second is an empty one: no block, only the end (its square root)."""

ZIP_ERRORS = (
    *(zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError, EOFError),
    *(KeyError, struct.error, zlib.error, lzma.LZMAError),
)
"""What `zipfile` raises for a broken archive, a missing member, a password or a method that it does
not know."""

_TAR_BLOCK = 512
EMPTY_ZIP = b"PK\x05\x06"
"""A zip that begins with the end of its directory; libarchive takes it for broken."""


def identify_container(path: Path) -> Container | None:
    """Which archive ``path`` is, or None where it is to be read as it is."""
    with path.open("rb") as file:
        head = file.read(_TAR_BLOCK)
    if head.startswith((b"PK\x03\x04", EMPTY_ZIP, b"PK00PK\x03\x04")):
        return None if is_office_file(path) else "zip"
    for magic, container in _MAGIC:
        if head.startswith(magic):
            return container
    if _BZIP2.match(head):
        return "bz2"
    return "tar" if _is_tar(head) else None


def is_office_file(path: Path) -> bool:
    """Whether the ZIP is an OOXML package (ECMA-376 part 2: ``[Content_Types].xml``) or an
    OpenDocument one (part 2, 3.3: ``mimetype``; 3.2: the manifest), encrypted ones included."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.NameToInfo
            is_document = {"content.xml", "encrypted-package"} & names.keys()
            if is_document and {"mimetype", "META-INF/manifest.xml"} & names.keys():
                return True
            return "[Content_Types].xml" in names and any(
                name.startswith(("xl/", "word/", "ppt/")) for name in names
            )
    except ZIP_ERRORS:
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
