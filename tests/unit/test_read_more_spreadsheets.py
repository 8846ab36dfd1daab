"""XLS, XLSB and ODS: error cells, far cells, merged cells, dates of both epochs."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest

from synctables.errors import FileTooBigError, MalformedSpreadsheetError, RunError
from tests.support.reading import read_bytes, read_sample, rows_of
from tests.support.spreadsheet_files import XLSB_ERROR, ods_file, xlsb_file

if TYPE_CHECKING:
    from pathlib import Path

CELL = '<table:table-cell office:value-type="float" office:value="1"/>'
ERROR = (
    '<table:table-cell office:value-type="string" calcext:value-type="error">'
    "<text:p>#DIV/0!</text:p></table:table-cell>"
)
NAME = '<table:table-cell office:value-type="string"><text:p>name</text:p></table:table-cell>'


def row(cells: str, repeats: int = 1) -> str:
    return f'<table:table-row table:number-rows-repeated="{repeats}">{cells}</table:table-row>'


@pytest.mark.parametrize(
    ("sample", "first_day"),
    [
        pytest.param("error_cell_and_dates_of_1900.xls", datetime.date(2009, 7, 6), id="1900"),
        pytest.param("error_cell_and_dates_of_1904.xls", datetime.date(2013, 7, 7), id="1904"),
    ],
)
def test_an_old_workbook_gives_its_types_and_counts_its_error_cells(
    tmp_path: Path, sample: str, first_day: datetime.date
) -> None:
    (layer,) = read_sample(tmp_path, sample).layers
    days = [first_day, first_day + datetime.timedelta(days=1)]
    assert rows_of(layer) == [
        ["a", 1, days[0]],
        ["b", None, days[1]],
        ["c", 3, None],
        [None, 4, None],
    ]
    assert [(m.column, m.count, m.examples[0][0]) for m in layer.misfits] == [("value", 1, 5)]


def test_error_cells_of_a_binary_workbook_are_empty_and_counted(tmp_path: Path) -> None:
    content = xlsb_file(
        {0: {0: "key", 1: "value"}, 1: {0: "a", 1: 1.0}, 2: {0: "b", 1: XLSB_ERROR}}
    )
    (layer,) = read_bytes(tmp_path, "a.xlsb", content).layers
    assert rows_of(layer) == [["a", 1], ["b", None]]
    assert [(m.column, m.count, m.examples[0][0]) for m in layer.misfits] == [("value", 1, 3)]


def test_error_cells_of_an_open_document_are_empty_and_counted(tmp_path: Path) -> None:
    content = ods_file(row(NAME) + row(CELL) + row(ERROR) + row(CELL))
    (layer,) = read_bytes(tmp_path, "a.ods", content, every_layer=True).layers
    assert [(m.column, m.count) for m in layer.misfits] == [("name", 1)]
    assert [value for (value,) in rows_of(layer) if value is not None] == [1, 1]


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        pytest.param("a.xlsb", xlsb_file({0: {0: "a"}, 1_000_000: {16_000: 1.0}}), FileTooBigError,
                     id="a far cell of a binary workbook"),
        pytest.param("a.ods", ods_file(row(NAME) + row("", 1_000_000)
                     + row('<table:table-cell table:number-columns-repeated="9999"/>' + CELL)),
                     FileTooBigError, id="a far cell of an open document"),
        pytest.param("a.ods", ods_file(row(CELL, 1_000_000_000)), FileTooBigError,
                     id="a row repeated a billion times"),
        pytest.param("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
                     MalformedSpreadsheetError, id="a broken old workbook"),
        pytest.param("a.ods", ods_file("<table:table-row>"), MalformedSpreadsheetError,
                     id="a broken open document"),
    ],
)  # fmt: skip
def test_refuses(tmp_path: Path, name: str, content: bytes, error: type[RunError]) -> None:
    with pytest.raises(error):
        read_bytes(tmp_path, name, content)
