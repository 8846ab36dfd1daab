"""An OpenDocument sheet's own XML, as far as calamine does not tell it: far cells and error cells.

A cell or row that is repeated stands there once, with a number (OpenDocument 1.3, part 3, 19.677,
19.679); a hostile file repeats a filled one a million times.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

from synctables.errors import FileTooBigError, MalformedSpreadsheetError
from synctables.importer.containers import ZIP_ERRORS
from synctables.importer.read.sheets import SheetSurvey, refuse_far_cells

_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_CALC = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}"
_CELLS = {f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"}
MAX_ERRORS = 100_000


def survey_sheets(path: Path, *, max_bytes: int) -> dict[str, SheetSurvey]:
    """A survey of each sheet, by its name.

    Raises `FileTooBigError` for a sheet that would not fit, and `MalformedSpreadsheetError`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > max_bytes:
                raise FileTooBigError("The workbook is larger than allowed when unpacked.")
            with archive.open("content.xml") as file:
                reading = _Reading()
                for event, element in ET.iterparse(file, ("start", "end")):  # noqa: S314
                    reading.take(event, element)
                return reading.surveys
    except (*ZIP_ERRORS, ET.ParseError, LookupError) as error:
        raise MalformedSpreadsheetError("The workbook is broken.") from error


class _Reading:
    """Follows the elements of a document; rows and columns count from 0 until they are told."""

    def __init__(self) -> None:
        self.surveys: dict[str, SheetSurvey] = {}
        self._survey = SheetSurvey(column_count=0, errors_are_text=True)
        self._name = ""
        self._row = self._column = self._cell_count = 0
        self._row_repeats = 1

    def take(self, event: str, element: ET.Element) -> None:
        if event == "start" and element.tag == f"{_TABLE}table":
            self._name = element.get(f"{_TABLE}name", "")
            self._survey = SheetSurvey(column_count=0, errors_are_text=True)
            self._row = self._cell_count = 0
        elif event == "start" and element.tag == f"{_TABLE}table-row":
            self._column = 0
            self._row_repeats = int(element.get(f"{_TABLE}number-rows-repeated", "1"))
        elif event == "end" and element.tag in _CELLS:
            self._take_cell(element)
        elif event == "end" and element.tag == f"{_TABLE}table-row":
            self._row += self._row_repeats
            element.clear()
        elif event == "end" and element.tag == f"{_TABLE}table":
            refuse_far_cells(self._name, self._survey, self._cell_count)
            self.surveys[self._name] = self._survey
            element.clear()

    def _take_cell(self, element: ET.Element) -> None:
        repeats = int(element.get(f"{_TABLE}number-columns-repeated", "1"))
        if element.get(f"{_OFFICE}value-type"):
            survey = self._survey
            self._cell_count += repeats * self._row_repeats
            survey.row_count = max(survey.row_count, self._row + self._row_repeats)
            survey.column_count = max(survey.column_count, self._column + repeats)
            if element.get(f"{_CALC}value-type") == "error" and len(survey.errors) < MAX_ERRORS:
                survey.errors.append((self._row + 1, self._column + 1))
        self._column += repeats
