"""A workbook's own XML, as far as calamine does not tell it: far cells and error cells.

calamine lays a sheet out as one dense block, so a single far cell (``XFD1048576``) makes it ask
for 550 GB; and it gives error cells as empty ones.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from synctables.errors import FileTooBigError, MalformedSpreadsheetError
from synctables.importer.containers import ZIP_ERRORS

CHUNK_BYTES = 4 * 1024 * 1024
MAX_INDEX_BYTES = 16 * 1024 * 1024
MAX_BLOCK_CELLS = 100_000_000
SPARSE_CELLS = 5_000_000
SPARSE_SHARE = 0.01
"""Blocks of more cells than this must hold at least this share of them."""
_ALWAYS_ENOUGH_CELLS = MAX_BLOCK_CELLS * SPARSE_SHARE

_CELL = re.compile(rb'<(?:\w+:)?c\s[^>]*?\br="([A-Z]{1,3})(\d{1,7})"[^>]*>')
_WIDE_CELL = re.compile(rb"""\sr\s*=\s*["']([A-Z]{2,3})\d""")
ROW = re.compile(rb"""[<:]row\s[^>]*?\br\s*=\s*["'](\d{1,7})["']""")
_ERROR_CELL = re.compile(rb'<(?:\w+:)?c\s[^>]*\bt="e"[^>]*>')
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


@dataclass
class SheetSurvey:
    """What one pass over a sheet's XML found. Rows and columns count from 1."""

    row_count: int = 0
    column_count: int = 26
    errors: list[tuple[int, int]] = field(default_factory=list)
    """Row and column of error cells."""
    errors_are_text: bool = False
    """calamine gives them as their text, and not as empty."""
    part: str = ""
    """The sheet's path in the archive, if it is one part of XML."""
    xml_bytes: int = 0
    is_plain: bool = True
    """Without comments and the like, so that every ``<row `` in it is one."""


def survey_sheets(path: Path, *, max_bytes: int) -> dict[str, SheetSurvey]:
    """A survey of each worksheet, by its name.

    Raises `FileTooBigError` for a sheet that would not fit, and `MalformedSpreadsheetError`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > max_bytes:
                raise FileTooBigError("The workbook is larger than allowed when unpacked.")
            parts = _sheet_parts(archive)
            return {name: _survey(archive, name, part) for name, part in parts.items()}
    except (*ZIP_ERRORS, ET.ParseError, LookupError) as error:
        raise MalformedSpreadsheetError("The workbook is broken.") from error


def _sheet_parts(archive: zipfile.ZipFile) -> dict[str, str]:
    """The path in the archive of each sheet, by the sheet's name (ECMA-376 part 1, 18.2.19)."""
    relations = _parse(archive, "xl/_rels/workbook.xml.rels")
    targets = {item.get("Id"): item.get("Target", "") for item in relations}
    parts = {}
    for sheet in _parse(archive, "xl/workbook.xml").iter():
        target = targets.get(sheet.get(_RELATION)) if sheet.tag.endswith("}sheet") else None
        if target:
            part = (
                target.lstrip("/") if target.startswith("/") else str(PurePosixPath("xl", target))
            )
            parts[sheet.get("name", "")] = part
    return parts


def _parse(archive: zipfile.ZipFile, name: str) -> ET.Element:
    """expat refuses entity bombs by itself since 2.4."""
    if archive.getinfo(name).file_size > MAX_INDEX_BYTES:
        raise FileTooBigError("The workbook's index is larger than allowed.")
    return ET.fromstring(archive.read(name))  # noqa: S314


def _survey(archive: zipfile.ZipFile, name: str, part: str) -> SheetSurvey:
    survey, cell_count = SheetSurvey(part=part), 0
    for text in _texts(archive, part):
        survey.xml_bytes += len(text)
        survey.is_plain = survey.is_plain and b"<!" not in text
        if cell_count < _ALWAYS_ENOUGH_CELLS:
            cell_count += text.count(b"<c ") or text.count(b":c ")
        survey.row_count = max(survey.row_count, _last_row(text))
        for letters in set(_WIDE_CELL.findall(text)):
            survey.column_count = max(survey.column_count, column_number(letters.decode()))
        if b't="e"' in text:
            survey.errors += _errors(text)
    refuse_far_cells(name, survey, cell_count)
    return survey


def refuse_far_cells(name: str, survey: SheetSurvey, cell_count: int) -> None:
    """Raise `FileTooBigError` where the block that holds all cells is large and hardly filled."""
    block = survey.row_count * survey.column_count
    if block > MAX_BLOCK_CELLS or (  # first, since it may be beyond what a float can hold
        block > SPARSE_CELLS and cell_count < SPARSE_SHARE * block
    ):
        raise FileTooBigError(
            f"Sheet {name!r} reaches to row {survey.row_count}, column {survey.column_count}, "
            f"with only {cell_count} cells. Delete what stands far outside the table."
        )


def _last_row(text: bytes) -> int:
    """The number of the last row that begins in ``text``; rows ascend (18.3.1.73)."""
    found = ROW.match(text, max(text.rfind(b"<row "), text.rfind(b":row "), 0))
    return int(found[1]) if found else 0


def _texts(archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    """The part in chunks that end between cells; the next is unpacked while one is looked at."""
    tail = b""
    with archive.open(part) as file, ThreadPoolExecutor(max_workers=1) as reading:
        coming = reading.submit(file.read, CHUNK_BYTES)
        while chunk := coming.result():
            coming = reading.submit(file.read, CHUNK_BYTES)
            text = tail + chunk
            cut = text.rfind(b"<") if len(chunk) == CHUNK_BYTES else len(text)
            tail = text[cut:]
            yield text[:cut]
    yield tail


def _errors(text: bytes) -> Iterator[tuple[int, int]]:
    for found in _ERROR_CELL.finditer(text):
        cell = _CELL.match(found.group())
        if cell:
            yield int(cell[2]), column_number(cell[1].decode())


def column_number(letters: str) -> int:
    """``A`` is 1, ``Z`` 26, ``AA`` 27."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number
