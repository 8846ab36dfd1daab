"""Delimited text that is not plain CSV: other marks, notes around the table, rows gone wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.reading import names_of, read_bytes, rows_of, said_about, table_of

if TYPE_CHECKING:
    from pathlib import Path

    from synctables.importer.model import Layer


def read_text(folder: Path, text: str | bytes) -> Layer:
    content = text.encode() if isinstance(text, str) else text
    (layer,) = read_bytes(folder, "data.csv", content).layers
    return layer


def reported(layer: Layer) -> dict[str, tuple[int, list[int]]]:
    """What did not fit: count and lines by the first words of the reason."""
    return {
        misfit.reason.split(",")[0]: (misfit.count, [line for line, _ in misfit.examples])
        for misfit in layer.misfits
    }


TABLE = "id,name,made,qty\n" + "".join(
    f"{100 + row},Lamp no {row},2020-01-{row:02d},{row % 7}\n" for row in range(1, 29)
)
NAMES = ["id", "name", "made", "qty"]
ROWS: list[list[Any]] = [
    [str(100 + row), f"Lamp no {row}", f"2020-01-{row:02d}", str(row % 7)] for row in range(1, 29)
]


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        pytest.param("a||b||c\n1||2|3||x\n", ["a", "b", "c"], [["1", "2|3", "x"]],
                     id="two bars, and one in a cell"),
        pytest.param('a||b||c\n1||"x||y"||3\n4||||6\n', ["a", "b", "c"],
                     [["1", "x||y", "3"], ["4", None, "6"]], id="two bars"),
        pytest.param("a::b\n1::10:30\n", ["a", "b"], [["1", "10:30"]], id="two colons and a time"),
        pytest.param("a::b::c\n1::2::3\n", ["a", "b", "c"], [["1", "2", "3"]], id="two colons"),
        pytest.param("a\t\tb\n1\t\t2\n", ["a", "b"], [["1", "2"]], id="two tabs"),
        pytest.param('a, b\n"x, y", 1\nz, 2\n', ["a", "b"], [["x, y", "1"], ["z", "2"]],
                     id="comma and space"),
        pytest.param("a\\tb\\tc\n1\\t2\\t3\n", ["a", "b", "c"], [["1", "2", "3"]],
                     id="a tab spelled out"),
        pytest.param("a:b:c\nx:y:z\n", ["a", "b", "c"], [["x", "y", "z"]], id="colon"),
        pytest.param("time\n10:30\n11:45\n", ["time"], [["10:30"], ["11:45"]],
                     id="times are not two columns"),
        pytest.param('"a" b c\n"x y" 1 ""\n"z w" 2 ""\n"v" 3 "u t"\n', ["a", "b", "c"],
                     [["x y", "1", None], ["z w", "2", None], ["v", "3", "u t"]],
                     id="spaces between quoted words"),
        pytest.param("a^b\n1^2\n", ["a", "b"], [["1", "2"]], id="caret"),
        pytest.param("a,b\n'x, y',1\n'it''s',2\n", ["a", "b"], [["x, y", "1"], ["it's", "2"]],
                     id="single quotes"),
        pytest.param("a,b\nit's,1\n'tis,2\n", ["a", "b"], [["it's", "1"], ["'tis", "2"]],
                     id="apostrophes are no quotes"),
        pytest.param("a,b\n" + "x,1\n" * 9 + "'x',2\n", ["a", "b"],
                     [["x", "1"]] * 9 + [["'x'", "2"]], id="a cell in single quotes keeps them"),
        pytest.param('a,b\n"say \\"hi\\", he",1\n"x",2\n', ["a", "b"],
                     [['say "hi", he', "1"], ["x", "2"]], id="backslash before quotes"),
        pytest.param('a,b\nC:\\dir\\x,1\n"D:\\y",2\n', ["a", "b"],
                     [["C:\\dir\\x", "1"], ["D:\\y", "2"]], id="backslashes in paths stay"),
        pytest.param("a;b\n1.000,5;2,5\n3,5;4\n", ["a", "b"], [["1.000,5", "2,5"], ["3,5", "4"]],
                     id="semicolons and decimal commas"),
        pytest.param("address\nMain St 1, Bonn, DE\nHill Rd 2, Rome, IT\n", ["address"],
                     [["Main St 1, Bonn, DE"], ["Hill Rd 2, Rome, IT"]],
                     id="commas in addresses are no delimiters"),
        pytest.param("text\nHello, you there, all.\nBye\nWell, yes, so.\n", ["text"],
                     [["Hello, you there, all."], ["Bye"], ["Well, yes, so."]], id="prose"),
        pytest.param("v,w\n" + "\n".join(f"{n},1" for n in (
                        "NULL", "null", "N/A", "NA", "n/a", "nan", "-", "None", "#N/A")) + "\n,1\n",
                     ["v", "w"],
                     [[n, "1"] for n in ("NULL", "null", "N/A", "NA", "n/a", "nan", "-", "None",
                                         "#N/A", None)], id="nine spellings of null stay text"),
    ],
)  # fmt: skip
def test_reads(tmp_path: Path, text: str, names: list[str], rows: list[list[Any]]) -> None:
    layer = read_text(tmp_path, text)
    assert names_of(layer) == names
    assert rows_of(layer) == rows


@pytest.mark.parametrize(
    ("before", "lines"),
    [
        pytest.param("Report of all lamps\n", 1, id="a title"),
        pytest.param("Lamps\nAll of them, 2020\n\n", 3, id="notes and a blank line"),
        pytest.param("Lamps,,,\nof 2020,,,\n", 2, id="a title delimited like the rows"),
        pytest.param("# made by hand\n# in 2020\n", 2, id="comments"),
    ],
)
def test_what_stands_before_the_table_is_left_out_and_said(
    tmp_path: Path, before: str, lines: int
) -> None:
    layer = read_text(tmp_path, before + TABLE)
    assert names_of(layer) == NAMES
    assert rows_of(layer) == ROWS
    assert said_about(layer)["left out before the table"] == f"{lines} lines"


@pytest.mark.parametrize(
    ("after", "count"),
    [
        pytest.param("Source: the lamp office\n", 1, id="a line"),
        pytest.param("\n\nSource\nAll rights reserved\n", 2, id="lines behind blank ones"),
        pytest.param("Source,,,\nOffice,,,\n", 2, id="lines delimited like the rows"),
        pytest.param(",,,\nSource,,,\n", 2, id="an empty row and a line like it"),
    ],
)
def test_what_stands_after_the_table_is_left_out_and_reported(
    tmp_path: Path, after: str, count: int
) -> None:
    layer = read_text(tmp_path, TABLE + after)
    assert rows_of(layer) == ROWS
    assert reported(layer)["lines after the table"][0] == count


@pytest.mark.parametrize(
    "second",
    [
        pytest.param("\nx,y\n1,2\n3,4\n", id="behind a blank line"),
        pytest.param("id,name,made,qty,col\n1,2,3,4,5\n6,7,8,9,0\n", id="with the same header"),
    ],
)
def test_a_second_table_is_left_out_and_reported(tmp_path: Path, second: str) -> None:
    layer = read_text(tmp_path, TABLE + second)
    assert rows_of(layer) == ROWS
    assert reported(layer)["rows of a further table"][0] == 3


def test_comments_between_rows_are_left_out_and_reported(tmp_path: Path) -> None:
    head, _, rest = TABLE.partition("103,")
    layer = read_text(tmp_path, f"{head}# checked until here\n103,{rest}")
    assert rows_of(layer) == ROWS
    assert reported(layer)["comment lines"] == (1, [4])


def test_several_header_rows_are_joined(tmp_path: Path) -> None:
    text = "length,width,name\nm,cm,\n" + "1,2,a\n" * 10
    layer = read_text(tmp_path, text)
    assert names_of(layer) == ["length m", "width cm", "name"]
    assert table_of(layer).num_rows == 10
    assert said_about(layer)["header"] == "2 rows"


def test_a_first_row_without_values_is_no_header(tmp_path: Path) -> None:
    layer = read_text(tmp_path, "a,b,name\nNA,n/a,x\n" + "1,2,a\n" * 10)
    assert rows_of(layer)[0] == ["NA", "n/a", "x"]


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        pytest.param("105,Lamp", "105,,Lamp", id="a delimiter too many"),
        pytest.param("105,Lamp", ",105,Lamp", id="a delimiter too many at the beginning"),
        pytest.param("05,5\n106", "05,5,\n106", id="a delimiter too many at the end"),
        pytest.param("2020-01-05,5", "2020-01-055", id="a delimiter too few"),
        pytest.param("no 5,2020-01-05,5", 'no 5,"2020-01-05,5', id="a quote too many"),
        pytest.param("Lamp no 5", '"Lamp no 5""', id="a cell with one quote too many at its end"),
        pytest.param("105,Lamp no 5,2020-01-05,5", "105;Lamp no 5;2020-01-05;5",
                     id="another delimiter"),
        pytest.param("105,Lamp no 5,2020-01-05,5", '105 "Lamp no 5" 2020-01-05 5', id="spaces"),
    ],
)  # fmt: skip
def test_a_row_with_one_wrong_mark_is_set_right_and_reported(
    tmp_path: Path, good: str, bad: str
) -> None:
    layer = read_text(tmp_path, TABLE.replace(good, bad))
    found = [[(cell or "").strip('"') for cell in row] for row in rows_of(layer)]
    assert found == ROWS
    assert sum(misfit.count for misfit in layer.misfits) <= 1


def test_a_row_is_not_cut_where_it_could_be_cut_in_several_ways(tmp_path: Path) -> None:
    text = "a,b,c\n" + "12,34,56\n" * 20 + "1234,56\n"
    layer = read_text(tmp_path, text)
    assert rows_of(layer)[-1] == ["1234", "56", None]
    assert reported(layer) == {"rows with too few cells": (1, [22])}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_one_cell_too_many_is_seen_though_it_is_empty(tmp_path: Path, end: str) -> None:
    text = "a,b,c\n" + "1,x y,\n" * 20 + "2,,x y,\n"
    assert rows_of(read_text(tmp_path, text.replace("\n", end)))[-1] == ["2", "x y", None]


def test_a_header_with_a_delimiter_too_many_fits_its_rows(tmp_path: Path) -> None:
    layer = read_text(tmp_path, TABLE.replace("id,name", "id,,name"))
    assert names_of(layer) == NAMES
    assert rows_of(layer) == ROWS


def test_a_header_lacking_a_delimiter_between_quotes_fits_its_rows(tmp_path: Path) -> None:
    layer = read_text(tmp_path, TABLE.replace("id,name,", '"id""name",'))
    assert names_of(layer) == NAMES
    assert rows_of(layer) == ROWS


@pytest.mark.parametrize("before", [500_000, pytest.param(2_000_000, marks=pytest.mark.full)])
def test_a_quoted_line_end_far_down_stays_in_its_cell(tmp_path: Path, before: int) -> None:
    text = "a,b\n" + "1,2\n" * before + '3,"x\ny"\n4,5\n'
    table = table_of(read_text(tmp_path, text))
    assert table.num_rows == before + 2
    assert table.column(1)[-2].as_py() == "x\ny"


def test_a_cell_of_16_kb_is_read(tmp_path: Path) -> None:
    long = "x, " * 5_500
    assert rows_of(read_text(tmp_path, f'a,b\n1,"{long}"\n2,y\n'))[0] == ["1", long]


def test_a_wide_file_with_stray_marks_everywhere_takes_bounded_time(tmp_path: Path) -> None:
    good = ",".join(f"v{column} {column}" for column in range(200))
    bad = good.replace(",v30", ',"v30').replace(",v90", ',"v90')
    layer = read_text(tmp_path, (good + "\n") * 300 + (bad + "\n") * 30)
    assert table_of(layer).num_rows == 329


def test_a_long_line_with_an_unclosed_quote_takes_bounded_time(tmp_path: Path) -> None:
    layer = read_text(tmp_path, "a,b\n1," + "'x" * 3 + ",y" * 200_000 + "\n2,3" * 9)
    assert rows_of(layer)[-1] == ["2", "3"]
