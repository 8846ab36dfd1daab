"""An old workbook's own records (BIFF8), as far as calamine does not tell them: error cells.

Its sheets end at column 256 and row 65,536, so a far cell costs 17 million cells at most. Layouts
are from MS-CFB (the container) and MS-XLS (the records).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from synctables.errors import (
    FileTooBigError,
    MalformedSpreadsheetError,
    PasswordProtectedError,
)
from synctables.importer.read.sheets import SheetSurvey

_END_OF_CHAIN = 0xFFFF_FFFA
"""Sector numbers from here on are marks (MS-CFB 2.1)."""
_BOUND_SHEET, _FORMULA, _BOOL_ERR, _EOF, _FILE_PASS = 0x85, 0x06, 0x205, 0x0A, 0x2F
_IS_ERROR = 2
"""First byte of a formula's cached result that is an error (MS-XLS 2.5.133)."""

PROTECTED = "The workbook is password protected."


def survey_sheets(path: Path, *, max_bytes: int) -> dict[str, SheetSurvey]:
    """A survey of each sheet, by its name.

    Raises `MalformedSpreadsheetError` and `PasswordProtectedError`.
    """
    if path.stat().st_size > max_bytes:
        raise FileTooBigError
    try:
        stream = _workbook_stream(path.read_bytes())
        starts = dict(_sheet_starts(stream))
        return {
            name: SheetSurvey(errors=list(_errors(stream, start))) for name, start in starts.items()
        }
    except (struct.error, IndexError, ValueError, UnicodeDecodeError) as error:
        raise MalformedSpreadsheetError("The workbook is broken.") from error


def _records(stream: bytes, position: int) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each record, up to the end of the substream."""
    while position + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, position)
        yield kind, stream[position + 4 : position + 4 + size]
        if kind == _EOF:
            return
        position += 4 + size


def _sheet_starts(stream: bytes) -> Iterator[tuple[str, int]]:
    """Name and position of each worksheet (MS-XLS 2.4.28)."""
    for kind, content in _records(stream, 0):
        if kind == _FILE_PASS:  # what follows is encrypted (MS-XLS 2.4.117)
            raise PasswordProtectedError(PROTECTED)
        if kind == _BOUND_SHEET and content[5] == 0:
            (start,) = struct.unpack_from("<I", content)
            is_wide = content[7] & 1
            text = content[8 : 8 + content[6] * (2 if is_wide else 1)]
            yield text.decode("utf-16-le" if is_wide else "latin-1"), start


def _errors(stream: bytes, start: int) -> Iterator[tuple[int, int]]:
    """Row and column, from 1, of error cells (MS-XLS 2.4.24, 2.4.127)."""
    for kind, content in _records(stream, start):
        is_value = kind == _BOOL_ERR and content[7] == 1
        is_result = kind == _FORMULA and content[6] == _IS_ERROR and content[12:14] == b"\xff\xff"
        if is_value or is_result:
            row, column = struct.unpack_from("<HH", content)
            yield row + 1, column + 1


def _workbook_stream(content: bytes) -> bytes:
    """The stream ``Workbook`` of the compound file."""
    sector_size = 1 << struct.unpack_from("<H", content, 30)[0]
    if sector_size not in {512, 4096}:
        raise ValueError("no compound file")
    table = _sector_table(content, sector_size)
    (directory_start,) = struct.unpack_from("<I", content, 48)
    directory = _chain(content, table, directory_start, sector_size)
    entries = [directory[at : at + 128] for at in range(0, len(directory) - 127, 128)]
    root = entries[0]
    for entry in entries:
        if _name(entry) == "EncryptedPackage":  # an .xlsx (MS-OFFCRYPTO 2.3.4.4)
            raise PasswordProtectedError(PROTECTED)
        if _name(entry) in {"Workbook", "Book"}:
            return _stream(content, table, entry, root, sector_size)
    raise ValueError("no workbook")


def _name(entry: bytes) -> str:
    (size,) = struct.unpack_from("<H", entry, 64)
    return entry[: max(size - 2, 0)].decode("utf-16-le", "replace")


def _stream(
    content: bytes, table: tuple[int, ...], entry: bytes, root: bytes, sector_size: int
) -> bytes:
    start, size = struct.unpack_from("<II", entry, 116)
    (cutoff,) = struct.unpack_from("<I", content, 56)
    if size >= cutoff:
        return _chain(content, table, start, sector_size)[:size]
    (mini_table_start,) = struct.unpack_from("<I", content, 60)
    mini = _chain(content, table, mini_table_start, sector_size)
    mini_table = struct.unpack(f"<{len(mini) // 4}I", mini)
    (mini_start,) = struct.unpack_from("<I", root, 116)
    small = _chain(content, table, mini_start, sector_size)
    return _chain(small, mini_table, start, 64, first=0)[:size]


def _sector_table(content: bytes, sector_size: int) -> tuple[int, ...]:
    """The FAT: for each sector the next one of its stream (MS-CFB 2.3, 2.5)."""
    sectors = list(struct.unpack_from("<109I", content, 76))
    (more,) = struct.unpack_from("<I", content, 68)
    seen = set[int]()
    per_sector = sector_size // 4
    while more < _END_OF_CHAIN and more not in seen:
        seen.add(more)
        values = struct.unpack_from(f"<{per_sector}I", content, (more + 1) * sector_size)
        sectors += values[:-1]
        more = values[-1]
    numbers = list[int]()
    for sector in sectors:
        if sector < _END_OF_CHAIN:
            numbers += struct.unpack_from(f"<{per_sector}I", content, (sector + 1) * sector_size)
    return tuple(numbers)


def _chain(
    content: bytes, table: tuple[int, ...], start: int, sector_size: int, *, first: int = 1
) -> bytes:
    """All sectors of a stream; ``first``: how many sectors stand before number 0."""
    parts, sector = [], start
    while sector < _END_OF_CHAIN:
        begin = (sector + first) * sector_size
        parts.append(content[begin : begin + sector_size])
        if len(parts) > len(table):
            raise ValueError("a circle of sectors")
        sector = table[sector]
    return b"".join(parts)
