"""Large sheets, which are read in pieces: the same table as from the whole."""

from __future__ import annotations

import datetime
import io
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import python_calamine

from synctables.errors import MalformedSpreadsheetError
from synctables.importer.read.sheet_pieces import (
    WORTH_CUTTING_BYTES,
    CannotCutError,
    read_pieces,
)
from synctables.importer.read.sheet_table import SheetTable
from synctables.importer.read.sheets import survey_sheets
from tests.support.reading import LIMITS, names_of, read_bytes, table_of
from tests.unit.test_read_spreadsheet import DAY, MOMENT, make_workbook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COUNT = 4_000
"""Rows of so much XML that it makes several pieces."""
PIECE_BYTES = 20_000


def workbook_of(rows: list[list[Any]]) -> bytes:
    return make_workbook({"Notes": [["of no use"]], "Data": rows})


def read_in_pieces(folder: Path, content: bytes) -> tuple[SheetTable, int]:
    """The table of the sheet ``Data``, and of how many pieces it was made."""
    path = folder / "pieces.xlsx"
    path.write_bytes(content)
    survey = survey_sheets(path, max_bytes=LIMITS.max_bytes)["Data"]
    large = replace(survey, xml_bytes=WORTH_CUTTING_BYTES)
    table, count = SheetTable(), 0
    for block in read_pieces(path, "Data", large, piece_bytes=PIECE_BYTES):
        table.take(block)
        count += 1
    return table, count


def in_every_kind(n: int) -> list[Any]:
    later = datetime.timedelta(seconds=n)
    return [n, n / 7, f"text {n % 50}", n % 2 == 0, DAY + n * datetime.timedelta(1),
            MOMENT + later, later, f"only {n}"]  # fmt: skip


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(in_every_kind, id="every kind of cell"),
        pytest.param(lambda n: [n, "x"] if n % 3 else [], id="empty rows"),
        pytest.param(lambda n: [n] if n < 3_900 else [n, None, "late"], id="a column that is late"),
        pytest.param(lambda n: [None, n] if n < 3_900 else [n, n], id="one before all others"),
        pytest.param(lambda n: [n, n] if n < 100 else [n], id="a column that ends"),
        pytest.param(lambda n: [n, n] if n != 3_990 else [n, "x"], id="text among numbers"),
        pytest.param(lambda n: [n] if not 9 < n < 3_000 else [], id="a long gap"),
    ],
)
@pytest.mark.parametrize("before", [0, 3])
def test_pieces_make_the_table_of_the_whole(
    tmp_path: Path, row: Callable[[int], list[Any]], before: int
) -> None:
    rows: list[list[Any]] = [[]] * before + [["a", "b"], *map(row, range(1, COUNT))]
    content = workbook_of(rows)
    (layer,) = read_bytes(tmp_path, "book.xlsx", content, layer="Data").layers
    table, piece_count = read_in_pieces(tmp_path, content)
    columns = table.finish(as_text=False).values()
    assert table.header_row == before + 1
    assert [name for name, _ in columns] == names_of(layer)
    assert [column.type for _, column in columns] == table_of(layer).schema.types
    assert [column.to_pylist() for _, column in columns] == [
        column.to_pylist() for column in table_of(layer).columns
    ]
    assert piece_count > 1


def patched(content: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """``content`` with another XML of its second sheet."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(buffer, "w") as target:
        for name in source.namelist():
            part = source.read(name)
            target.writestr(name, change(part) if name.endswith("sheet2.xml") else part)
    return buffer.getvalue()


def swapped(xml: bytes) -> bytes:
    """With a row of the end where one of the beginning was."""
    first, last = (xml.index(b'<row r="%d"' % number) for number in (5, 3_990))
    row = xml[last : xml.index(b"</row>", last) + 6]
    return xml[:first] + row + xml[first:last] + xml[last + len(row) :]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda xml: xml.replace(b"</row>", b"<!-- <row --></row>", 1), id="comments"),
        pytest.param(lambda xml: xml.replace(b"<sheetData>", b"<sheetData >"), id="blanks in tags"),
        pytest.param(lambda xml: xml.replace(b"<row r=", b"<row x="), id="rows without numbers"),
        pytest.param(swapped, id="rows in disorder"),
    ],
)
def test_unusual_sheets_are_not_cut(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    content = patched(workbook_of([["a"], *([n] for n in range(COUNT))]), change)
    with pytest.raises(CannotCutError):
        read_in_pieces(tmp_path, content)


def test_a_sheet_that_does_not_end_is_malformed(tmp_path: Path) -> None:
    content = workbook_of([["a"], *([n] for n in range(COUNT))])
    broken = patched(content, lambda xml: xml[: xml.index(b"</sheetData>")])
    with pytest.raises((MalformedSpreadsheetError, python_calamine.CalamineError)):
        read_in_pieces(tmp_path, broken)


@pytest.mark.parametrize("is_shared", [True, False], ids=["shared texts", "texts in cells"])
def test_a_large_workbook_comes_out_as_it_went_in(tmp_path: Path, is_shared: bool) -> None:
    texts = [f"{n % 100:05} " + "x" * 1_000 for n in range(WORTH_CUTTING_BYTES // 1_000)]
    rows: list[list[Any]] = [["n", "text"], *([n, text] for n, text in enumerate(texts))]
    content = make_workbook({"Data": rows}, constant_memory=not is_shared)
    (layer,) = read_bytes(tmp_path, "book.xlsx", content).layers
    assert table_of(layer).column(0).to_pylist() == list(range(len(texts)))
    assert table_of(layer).column(1).to_pylist() == texts
