"""Workbooks: types from the cells, sheets as layers, cells far out and cells in error."""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import xlsxwriter

from synctables.errors import EmptyFileError, FileTooBigError, MalformedSpreadsheetError
from synctables.importer.read.cells import ColumnBuilder, render
from synctables.importer.read.spreadsheet import CHUNK_ROWS
from tests.support.reading import names_of, read_bytes, rows_of, said_about, table_of

if TYPE_CHECKING:
    from pathlib import Path

Sheets = Mapping[str, Sequence[Sequence[Any]]]

DAY = datetime.date(2026, 1, 2)
MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - a workbook knows no zones
FORMATS = {
    datetime.datetime: "yyyy-mm-dd hh:mm:ss",
    datetime.date: "yyyy-mm-dd",
    datetime.time: "hh:mm:ss",
    datetime.timedelta: "[h]:mm:ss",
}


def make_workbook(sheets: Sheets, **options: Any) -> bytes:
    """A workbook; None leaves a cell out, text that begins with ``=`` is a formula."""
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True, **options}) as workbook:
        formats = {
            kind: workbook.add_format({"num_format": text}) for kind, text in FORMATS.items()
        }
        for name, rows in sheets.items():
            sheet = workbook.add_worksheet(name)
            for row, cells in enumerate(rows):
                for column, cell in enumerate(cells):
                    if type(cell) in formats:
                        sheet.write_datetime(row, column, cell, formats[type(cell)])
                    elif cell is not None:
                        sheet.write(row, column, cell)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        pytest.param([1, 2], "int64", [1, 2], id="integers"),
        pytest.param([1, 2.5], "double", [1.0, 2.5], id="fractions"),
        pytest.param([1, None, 3], "int64", [1, None, 3], id="gaps"),
        pytest.param([2**60], "double", [float(2**60)], id="beyond exact doubles"),
        pytest.param([True, False], "bool", [True, False], id="booleans"),
        pytest.param([DAY], "date32[day]", [DAY], id="dates"),
        pytest.param([MOMENT], "timestamp[us]", [MOMENT], id="moments"),
        pytest.param([MOMENT, DAY], "timestamp[us]",
                     [MOMENT, datetime.datetime(2026, 1, 2)], id="a moment at midnight"),  # noqa: DTZ001
        pytest.param([datetime.time(10, 11, 12)], "time64[us]", [datetime.time(10, 11, 12)],
                     id="times"),
        pytest.param([datetime.timedelta(hours=30)], "string", ["30:00:00"], id="durations"),
        pytest.param(["007", "x"], "string", ["007", "x"], id="text stays as it is"),
        pytest.param([1, "n/a", 2.5], "string", ["1", "n/a", "2.5"], id="numbers and text"),
        pytest.param([True, 1], "string", ["true", "1"], id="booleans and numbers"),
        pytest.param([DAY, 5], "string", ["2026-01-02", "5"], id="dates and numbers"),
        pytest.param([None, None], "string", [None, None], id="nothing"),
    ],
)  # fmt: skip
def test_a_column_has_the_type_of_its_cells(
    tmp_path: Path, cells: list[Any], kind: str, values: list[Any]
) -> None:
    rows: list[list[Any]] = [["a", "b"], *([cell, "x"] for cell in cells)]
    content = make_workbook({"Sheet1": rows})
    (layer,) = read_bytes(tmp_path, "book.xlsx", content).layers
    column = table_of(layer).column(0)
    assert (str(column.type), column.to_pylist()) == (kind, values)
    assert layer.fields[0].is_text_to_guess == (kind == "string")


def test_without_guessing_every_cell_is_text(tmp_path: Path) -> None:
    rows: list[list[Any]] = [["a"], [1], [0.1], [True], [DAY], [MOMENT], ["x"]]
    content = make_workbook({"Sheet1": rows})
    (layer,) = read_bytes(tmp_path, "book.xlsx", content, type_guessing=False).layers
    expected = ["1", "0.1", "true", "2026-01-02", "2026-01-02T03:04:05", "x"]
    assert [row[0] for row in rows_of(layer)] == expected


def test_the_header_is_the_first_row_that_is_not_empty(tmp_path: Path) -> None:
    rows: list[list[Any]] = [[], [None, None], [None, "name", None, 2010], [None, "x", None, 5], [],
            [None, "y", None, 6]]  # fmt: skip
    (layer,) = read_bytes(tmp_path, "book.xlsx", make_workbook({"Sheet1": rows})).layers
    assert names_of(layer) == ["name", "2010"]
    assert rows_of(layer) == [["x", 5], ["y", 6]]
    assert said_about(layer)["header"] == "row 3"


def test_empty_rows_are_no_rows_however_many_rows_there_are(tmp_path: Path) -> None:
    numbers = [n if n % 3 and not 500 < n < 1_700 else None for n in range(2 * CHUNK_ROWS)]
    rows: list[list[Any]] = [["a", "b"], *([n, str(n)] if n else [] for n in numbers)]
    content = make_workbook({"Sheet1": rows}, constant_memory=True)
    (layer,) = read_bytes(tmp_path, "book.xlsx", content).layers
    assert rows_of(layer) == [[n, str(n)] for n in numbers if n]


def test_a_nameless_column_with_values_is_kept(tmp_path: Path) -> None:
    content = make_workbook({"Sheet1": [["a", None, "c"], [1, 2, 3]]})
    (layer,) = read_bytes(tmp_path, "book.xlsx", content).layers
    assert (names_of(layer), rows_of(layer)) == (["a", "", "c"], [[1, 2, 3]])


def test_every_sheet_that_holds_something_is_a_layer(tmp_path: Path) -> None:
    sheets: Sheets = {"Cover": [["Title"]], "Empty": [], "Data": [["a"], [1]], "More": [["b"], [2]]}
    content = make_workbook(sheets)
    (layer,) = read_bytes(tmp_path, "book.xlsx", content).layers
    assert (layer.name, layer.table_name) == ("Data", "book_Data")
    layers = read_bytes(tmp_path, "book.xlsx", content, every_layer=True).layers
    assert [layer.name for layer in layers] == ["Data", "More"]


def test_error_cells_are_null_and_counted_with_their_rows(tmp_path: Path) -> None:
    content = make_workbook({"S": [[], [None, "a", "b"], [None, 1, "=1/0"], [None, 2, "=NA()"]]})
    content = _patch_sheet(
        content,
        lambda xml: re.sub(rb'<c r="C(\d)"><f>(.*?)</f><v>0</v>',
                           rb'<c r="C\1" t="e"><f>\2</f><v>#N/A</v>', xml),
    )  # fmt: skip
    (layer,) = read_bytes(tmp_path, "book.xlsx", content).layers
    (misfit,) = layer.misfits
    assert (misfit.count, misfit.examples) == (2, ((3, "#ERROR"), (4, "#ERROR")))
    assert rows_of(layer) == [[1, None], [2, None]]


def test_a_formula_has_the_value_that_was_last_worked_out(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer) as workbook:
        sheet = workbook.add_worksheet()
        sheet.write_row(0, 0, ["number", "text", "flag"])
        sheet.write_formula(1, 0, "=1+1", value=2)
        sheet.write_formula(1, 1, '="a"&"b"', value="ab")
        sheet.write_formula(1, 2, "=TRUE()", value=True)
    (layer,) = read_bytes(tmp_path, "book.xlsx", buffer.getvalue()).layers
    assert rows_of(layer) == [[2, "ab", True]]


def test_merged_cells_hold_their_value_once_and_the_others_are_empty(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer) as workbook:
        sheet = workbook.add_worksheet()
        sheet.write_row(0, 0, ["region", "city", "people"])
        sheet.merge_range(1, 0, 2, 0, "North")
        sheet.merge_range(3, 0, 3, 1, "South")
        sheet.write_column(1, 1, ["Oslo", "Bergen"])
        sheet.write_column(1, 2, [1, 2, 3])
    (layer,) = read_bytes(tmp_path, "book.xlsx", buffer.getvalue()).layers
    assert rows_of(layer) == [["North", "Oslo", 1], [None, "Bergen", 2], ["South", None, 3]]


def _patch_sheet(content: bytes, change: Any) -> bytes:
    source, buffer = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name in source.namelist():
            part = source.read(name)
            target.writestr(name, change(part) if name.endswith("sheet1.xml") else part)
    return buffer.getvalue()


@pytest.mark.parametrize("cell", [(1_048_575, 16_383), (1_048_575, 30), (5_000, 16_000)])
def test_one_far_cell_is_refused_before_it_takes_the_memory(
    tmp_path: Path, cell: tuple[int, int]
) -> None:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer) as workbook:
        sheet = workbook.add_worksheet("Far")
        sheet.write(0, 0, "a")
        sheet.write(*cell, 1)
    with pytest.raises(FileTooBigError, match="far outside"):
        read_bytes(tmp_path, "book.xlsx", buffer.getvalue())


def test_dates_of_the_1904_system_are_right(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"date_1904": True}) as workbook:
        sheet = workbook.add_worksheet()
        sheet.write(0, 0, "day")
        sheet.write_datetime(1, 0, DAY, workbook.add_format({"num_format": "yyyy-mm-dd"}))
    (layer,) = read_bytes(tmp_path, "book.xlsx", buffer.getvalue()).layers
    assert rows_of(layer) == [[DAY]]


def test_an_empty_workbook_is_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(EmptyFileError):
        read_bytes(tmp_path, "book.xlsx", make_workbook({"Sheet1": [], "Sheet2": []}))


@pytest.mark.parametrize("damage", ["directory", "sheet"])
def test_a_broken_workbook_is_malformed(tmp_path: Path, damage: str) -> None:
    content = make_workbook({"Sheet1": [["a"], [1]]})
    if damage == "sheet":
        content = _patch_sheet(content, lambda xml: xml[: xml.index(b"</sheetData>")])
    else:
        content = content.replace(b"xl/_rels/workbook.xml.rels", b"xl/_rels/workbook.xml.relz")
    with pytest.raises(MalformedSpreadsheetError):
        read_bytes(tmp_path, "book.xlsx", content)


CELLS: list[Any] = [1.0, 2.5, True, DAY, MOMENT, datetime.time(1, 2), "x", "", 1e300, -0.5]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10])
@pytest.mark.parametrize("cells", [CELLS, [DAY, MOMENT, "x"]], ids=["many kinds", "moments"])
def test_the_size_of_chunks_changes_nothing(size: int, cells: list[Any]) -> None:
    whole, pieces = ColumnBuilder(), ColumnBuilder()
    whole.add(cells)
    for start in range(0, len(cells), size):
        pieces.add(cells[start : start + size])
    assert whole.finish(as_text=False).to_pylist() == pieces.finish(as_text=False).to_pylist()


def test_integers_are_told_only_when_all_are() -> None:
    builder = ColumnBuilder()
    builder.add([1.0, 2.0])
    builder.add([2.5])
    assert builder.finish(as_text=False).type == pa.float64()


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (1.0, "1"),
        (0.1, "0.1"),
        (1e300, "1e+300"),
        (-0.0, "0"),
        (True, "true"),
        (DAY, "2026-01-02"),
        (datetime.timedelta(days=-1), "-24:00:00"),
    ],
)
def test_renders(cell: Any, text: str) -> None:
    assert render(cell) == text
