"""A binary workbook's own records (MS-XLSB), as far as calamine does not tell them: far cells and
error cells."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from synctables.errors import FileTooBigError, MalformedSpreadsheetError
from synctables.importer.containers import ZIP_ERRORS
from synctables.importer.read.sheets import MAX_INDEX_BYTES, SheetSurvey, refuse_far_cells

_ROW, _LAST_CELL, _SHEET = 0, 11, 156
_ERROR_CELLS = {3, 11}
"""BrtCellError and BrtFmlaError (2.4.301, 2.4.672)."""
_CONSTANT = 0
_RELATIONS = "xl/_rels/workbook.bin.rels"


def survey_sheets(path: Path, *, max_bytes: int) -> dict[str, SheetSurvey]:
    """A survey of each sheet, by its name.

    Raises `FileTooBigError` for a sheet that would not fit, and `MalformedSpreadsheetError`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > max_bytes:
                raise FileTooBigError("The workbook is larger than allowed when unpacked.")
            parts = dict(_sheet_parts(archive))
            return {name: _survey(archive, name, part) for name, part in parts.items()}
    except (*ZIP_ERRORS, ET.ParseError, LookupError) as error:
        raise MalformedSpreadsheetError("The workbook is broken.") from error


def _sheet_parts(archive: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    if archive.getinfo(_RELATIONS).file_size > MAX_INDEX_BYTES:
        raise FileTooBigError("The workbook's index is larger than allowed.")
    relations = ET.fromstring(archive.read(_RELATIONS))  # noqa: S314 - expat refuses bombs
    targets = {item.get("Id"): item.get("Target", "") for item in relations}
    with archive.open("xl/workbook.bin") as file:
        for kind, content in _records(file):
            if kind == _SHEET:
                relation, position = _wide_string(content, 8)
                name, _ = _wide_string(content, position)
                target = targets[relation]
                yield (
                    name,
                    target.lstrip("/") if target[:1] == "/" else str(PurePosixPath("xl", target)),
                )


def _wide_string(content: bytes, position: int) -> tuple[str, int]:
    """A counted UTF-16 text (2.5.168), and where it ends."""
    (count,) = struct.unpack_from("<I", content, position)
    end = position + 4 + 2 * count
    return content[position + 4 : end].decode("utf-16-le"), end


def _survey(archive: zipfile.ZipFile, name: str, part: str) -> SheetSurvey:
    survey, cell_count, row = SheetSurvey(column_count=1), 0, 0
    with archive.open(part) as file:
        for kind, content in _records(file):
            if kind == _ROW:
                (row,) = struct.unpack_from("<I", content)
            elif kind <= _LAST_CELL:
                (column,) = struct.unpack_from("<I", content)
                cell_count += kind != 1  # a blank one
                survey.row_count = max(survey.row_count, row + 1)
                survey.column_count = max(survey.column_count, column + 1)
                if kind in _ERROR_CELLS:
                    survey.errors.append((row + 1, column + 1))
    refuse_far_cells(name, survey, cell_count)
    return survey


def _records(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each record; both numbers come in groups of seven bits (2.1.4)."""
    while first := file.read(1):
        kind = first[0]
        if kind & 0x80:
            kind = (kind & 0x7F) | (file.read(1)[0] & 0x7F) << 7
        size = 0
        for shift in (0, 7, 14, 21):
            byte = file.read(1)[0]
            size |= (byte & 0x7F) << shift
            if not byte & 0x80:
                break
        yield kind, file.read(size)
