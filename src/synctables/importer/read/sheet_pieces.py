"""A large sheet of an XLSX in pieces: calamine holds a sheet whole, in 32 bytes a cell and more.

A piece is a workbook of its own, in memory: some of the sheet's rows, and beside them the other
parts of the file as they are, so that calamine reads a piece as it reads the whole. It lets go of
the interpreter's lock meanwhile, so two pieces are read while the rows of a third become columns.

Where a sheet is not written as nearly all are, it is not cut: `CannotCutError`.
"""

from __future__ import annotations

import io
import zipfile
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import python_calamine

from synctables.errors import MalformedSpreadsheetError
from synctables.importer.read.sheet_table import Block
from synctables.importer.read.sheets import ROW, SheetSurvey

PIECE_BYTES = 4 * 1024 * 1024
WORTH_CUTTING_BYTES = 8 * PIECE_BYTES
SHARED_PARTS_SHARE = 4
"""A piece is so many times larger than what is read anew with each piece (the shared texts)."""
READ_AT_ONCE = 2
_BEGIN, _END = b"<sheetData>", b"</sheetData>"
_FOOT = _END + b"</worksheet>"


class CannotCutError(Exception):
    """The sheet has to be read whole."""


def read_pieces(
    path: Path, name: str, survey: SheetSurvey, *, piece_bytes: int = PIECE_BYTES
) -> Iterator[Block]:
    """The rows of the sheet called ``name``, in pieces of at least so many bytes of its XML.

    Raises `CannotCutError`, at any time, `MalformedSpreadsheetError` and calamine's own errors.
    """
    if survey.xml_bytes < WORTH_CUTTING_BYTES or not survey.is_plain:
        raise CannotCutError
    rows_before = 0
    for sheet in _sheets(path, name, survey, piece_bytes):
        if sheet.start is None:
            continue
        first_row, first_column = sheet.start
        if first_row < rows_before:  # of the whole, calamine would sort the rows
            raise CannotCutError
        rows_before = sheet.end[0] + 1
        rows = iter(sheet.to_python())
        yield Block(first_row=first_row + 1, first_column=first_column, rows=rows)


def _sheets(path: Path, name: str, survey: SheetSurvey, piece_bytes: int) -> Iterator[Any]:
    """The pieces in file order, as calamine's sheets."""
    with zipfile.ZipFile(path) as archive, ThreadPoolExecutor(READ_AT_ONCE) as reading:
        others = _other_parts(archive, survey)
        size = max(piece_bytes, SHARED_PARTS_SHARE * sum(map(len, others.values())))
        coming = deque[Future[Any]]()
        for text in _cut(archive, survey.part, size):
            coming.append(reading.submit(_read, name, {**others, survey.part: text}))
            if len(coming) > READ_AT_ONCE:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def _other_parts(archive: zipfile.ZipFile, survey: SheetSurvey) -> dict[str, bytes]:
    """What a sheet's cells may refer to: texts, styles and the workbook itself."""
    entries = [
        entry
        for entry in archive.infolist()
        if entry.filename.endswith((".xml", ".rels")) and "/worksheets/" not in entry.filename
    ]
    if 2 * SHARED_PARTS_SHARE * sum(entry.file_size for entry in entries) > survey.xml_bytes:
        raise CannotCutError
    return {entry.filename: archive.read(entry) for entry in entries}


def _cut(archive: zipfile.ZipFile, part: str, size: int) -> Iterator[bytes]:
    """The sheet as several sheets, each of which begins with a row that has its number."""
    with archive.open(part) as file:
        text = file.read(size)
        begin = text.find(_BEGIN) + len(_BEGIN)
        if begin < len(_BEGIN):
            raise CannotCutError
        head, text = text[:begin], text[begin:]
        while (end := text.find(_END)) < 0:
            if not (more := file.read(size)):
                raise MalformedSpreadsheetError("The workbook is broken: a sheet does not end.")
            last = text.rfind(b"<row ", 0, text.rfind(b">"))
            if last < 0 or not ROW.match(text, last):
                raise CannotCutError
            if last > 0:
                yield head + text[:last] + _FOOT
            text = text[last:] + more
        yield head + text[:end] + _FOOT


def _read(name: str, parts: Mapping[str, bytes]) -> Any:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    file.seek(0)
    return python_calamine.CalamineWorkbook.from_filelike(file).get_sheet_by_name(name)
