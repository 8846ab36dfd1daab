"""What libarchive before 3.8 does not tell of a RAR 5 archive: which files are encrypted, and
whether files that are stored as they are have the checksum that stands beside them.

The layout is from rarlab.com/technote.htm: blocks of a header and data; numbers are of variable
length, seven bits a byte, the lowest first.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SIGNATURE_BYTES = 8
_LONGEST_NUMBER = 10
_MAX_HEADER_BYTES = 2 << 20
_FILE = 2
_HAS_EXTRA, _HAS_DATA = 1, 2
_HAS_TIME, _HAS_CHECKSUM = 2, 4
_METHOD = 0b111 << 7
_ENCRYPTION = 1


@dataclass(frozen=True, kw_only=True)
class RarFile:
    """``crc32``: of the contents, where they are stored as they are and the archive says it."""

    is_encrypted: bool
    crc32: int | None


def rar_files(path: Path) -> Iterator[RarFile]:
    """The file headers in their order, up to the first that cannot be understood."""
    with path.open("rb") as file:
        position = _SIGNATURE_BYTES
        while True:
            file.seek(position + 4)  # behind the header's own checksum, which libarchive verifies
            try:
                size = _number(file)
                start = file.tell()
                header = io.BytesIO(file.read(min(size, _MAX_HEADER_BYTES)))
                kind, flags = _number(header), _number(header)
                extra_bytes = _number(header) if flags & _HAS_EXTRA else 0
                data_bytes = _number(header) if flags & _HAS_DATA else 0
                if kind == _FILE:
                    yield _read_file(header, extra_bytes)
            except (EOFError, struct.error):
                return
            position = start + size + data_bytes


def _read_file(header: io.BytesIO, extra_bytes: int) -> RarFile:
    flags = _number(header)
    _number(header)  # size
    _number(header)  # attributes
    header.seek(4 if flags & _HAS_TIME else 0, os.SEEK_CUR)
    crc32 = struct.unpack("<I", header.read(4))[0] if flags & _HAS_CHECKSUM else None
    is_stored = not _number(header) & _METHOD
    whole = header.getvalue()
    kinds = _record_kinds(whole[max(len(whole) - extra_bytes, 0) :])
    return RarFile(is_encrypted=_ENCRYPTION in kinds, crc32=crc32 if is_stored else None)


def _record_kinds(content: bytes) -> set[int]:
    """Of the records in a header's extra area, which stands at its end."""
    extra = io.BytesIO(content)
    kinds = set[int]()
    while extra.tell() < len(content):
        size = _number(extra)
        start = extra.tell()
        kinds.add(_number(extra))
        extra.seek(start + size)
    return kinds


def _number(file: io.BufferedIOBase) -> int:
    """The number that stands next. Raises `EOFError` where none does."""
    value = 0
    for place in range(_LONGEST_NUMBER):
        byte = file.read(1)
        if not byte:
            break
        value |= (byte[0] & 0x7F) << (7 * place)
        if byte[0] < 0x80:
            return value
    raise EOFError
