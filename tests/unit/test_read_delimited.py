# ruff: noqa: RUF001 - text in many scripts
"""Delimited text: dialect, encoding, header and broken rows, judged on the whole file."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from synctables.errors import (
    EmptyFileError,
    EncodingDetectionError,
    MalformedCsvError,
    TooManyColumnsError,
)
from synctables.importer.model import Limits
from tests.support.reading import names_of, read_bytes, rows_of, said_about, table_of

if TYPE_CHECKING:
    from pathlib import Path

    from synctables.importer.model import Layer


def read_text(folder: Path, text: str | bytes, **options: Any) -> Layer:
    content = text.encode() if isinstance(text, str) else text
    (layer,) = read_bytes(folder, "data.csv", content, **options).layers
    return layer


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        pytest.param("a,b\n1,2\n", ["a", "b"], [["1", "2"]], id="comma"),
        pytest.param("a;b\n1,5;2\n3,5;4\n", ["a", "b"], [["1,5", "2"], ["3,5", "4"]],
                     id="semicolon with decimal commas"),
        pytest.param("1,5;2,5\n3,5;4,5\n", ["", ""], [["1,5", "2,5"], ["3,5", "4,5"]],
                     id="semicolon with decimal commas and no header"),
        pytest.param("a\tb\n1\t2, 3\n", ["a", "b"], [["1", "2, 3"]], id="tab"),
        pytest.param("a|b\n1|2\n", ["a", "b"], [["1", "2"]], id="bar"),
        pytest.param("x y\n1 2\n3 4\n", ["x", "y"], [["1", "2"], ["3", "4"]], id="grid of numbers"),
        pytest.param("city\nNew York\nLos Angeles\n", ["city"], [["New York"], ["Los Angeles"]],
                     id="one column whose values have spaces"),
        pytest.param("place\nParis, France\nRome\nOslo\n", ["place"],
                     [["Paris, France"], ["Rome"], ["Oslo"]], id="one column with a comma in it"),
        pytest.param("id\n1\n2\n", ["id"], [["1"], ["2"]], id="one column"),
        pytest.param("id\n1\n\n2\n", ["id"], [["1"], [None], ["2"]], id="one column with a gap"),
        pytest.param("a,b\n", ["a", "b"], [], id="a header alone"),
        pytest.param("a,b", ["a", "b"], [], id="a header without a line end"),
        pytest.param("\n\na,b\n1,2\n\n\n3,4\n\n", ["a", "b"], [["1", "2"], ["3", "4"]],
                     id="blank lines"),
        pytest.param("a,b\r\n1,2\r\n", ["a", "b"], [["1", "2"]], id="windows line ends"),
        pytest.param("a,b\r1,2\r3,4\r", ["a", "b"], [["1", "2"], ["3", "4"]], id="mac line ends"),
        pytest.param("a,b\r\n1,2\n3,4\r5,6\n", ["a", "b"], [["1", "2"], ["3", "4"], ["5", "6"]],
                     id="mixed line ends"),
        pytest.param('a,b\n"1, 2","say ""hi"""\n', ["a", "b"], [["1, 2", 'say "hi"']], id="quotes"),
        pytest.param('a,b\n"x\ny",2\n', ["a", "b"], [["x\ny", "2"]], id="a line end in quotes"),
        pytest.param('a,b\n"x\r\ny",2\r\nz,3\r\n', ["a", "b"], [["x\r\ny", "2"], ["z", "3"]],
                     id="a windows line end in quotes stays"),
        pytest.param('a,b\n5" pipe,2\n', ["a", "b"], [['5" pipe', "2"]], id="inches"),
        pytest.param('a,b\n"",\n1,2\n', ["a", "b"], [[None, None], ["1", "2"]],
                     id="the empty cell is null, quoted or not"),
        pytest.param("a,b\nNULL,N/A\n-, \n", ["a", "b"], [["NULL", "N/A"], ["-", " "]],
                     id="only the empty cell is null"),
        pytest.param("a,,c,\n1,2,3,4\n", ["a", "", "c", ""], [["1", "2", "3", "4"]],
                     id="nameless columns"),
        pytest.param("a,a,A\n1,2,3\n", ["a", "a", "A"], [["1", "2", "3"]], id="doubled names"),
        pytest.param("名称,Ψ,имя\n1,2,3\n", ["名称", "Ψ", "имя"], [["1", "2", "3"]], id="scripts"),
        pytest.param("1,Oslo,5.5\n2,Rome,6.5\n", ["", "", ""],
                     [["1", "Oslo", "5.5"], ["2", "Rome", "6.5"]], id="no header"),
        pytest.param("land,2010,2011\nA,1,2\nB,3,4\n", ["land", "2010", "2011"],
                     [["A", "1", "2"], ["B", "3", "4"]], id="years are a header"),
        pytest.param("007,+1,1e5\n", ["007", "+1", "1e5"], [], id="one line of figures"),
        pytest.param("\ufeffa,b\n1,2\n", ["a", "b"], [["1", "2"]], id="a byte order mark"),
    ],
)  # fmt: skip
def test_reads(tmp_path: Path, text: str, names: list[str], rows: list[list[Any]]) -> None:
    layer = read_text(tmp_path, text)
    assert names_of(layer) == names
    assert rows_of(layer) == rows
    assert all(field.is_text_to_guess for field in layer.fields)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "name\nMálaga\nŁódź\n北京\n"),
        ("utf-16", "name,b\nMálaga,1\n北京,2\n"),
        ("utf-16-le", "name,b\nMalaga,1\nOslo,2\n"),
        ("utf-32", "name,b\nMálaga,1\n"),
        ("cp1252", "name,b\nMálaga,1\nÁvila,2\nCoruña,3\n“quoted” – dash,4\n"),
        ("latin-1", "name,b\nMálaga,1\nÅland,2\n"),
        ("cp1250", "name,b\nPříliš žluťoučký kůň,1\núpěl ďábelské ódy,2\n"),
        ("cp1251", "name,b\nМосква,1\nСанкт-Петербург,2\nПривет мир,3\n"),
        ("cp1253", "name,b\nΑθήνα,1\nΘεσσαλονίκη,2\n"),
        ("shift_jis", "name,b\n東京都,1\nこんにちは,2\n大阪府,3\n"),
        ("gb18030", "name,b\n北京市,1\n上海市,2\n中文测试,3\n"),
    ],
)
def test_reads_text_in(tmp_path: Path, encoding: str, text: str) -> None:
    layer = read_text(tmp_path, text.encode(encoding))
    found = [row[0] for row in rows_of(layer)]
    assert found == [line.split(",")[0] for line in text.splitlines()[1:]]
    assert "encoding" in said_about(layer)


def test_utf8_is_judged_on_the_whole_file_and_not_on_its_beginning(tmp_path: Path) -> None:
    text = "name,b\n" + "plain,1\n" * 200_000
    layer = read_text(tmp_path, text.encode() + "Málaga,2\n".encode("cp1252"))
    assert said_about(layer)["encoding"] == "cp1252"
    assert table_of(layer).column(0)[-1].as_py() == "Málaga"


def test_a_mark_that_lies_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncodingDetectionError, match="UTF-8"):
        read_text(tmp_path, b"\xef\xbb\xbfa,b\n\xff\xfe,1\n")


def test_zero_bytes_are_taken_out_and_counted(tmp_path: Path) -> None:
    layer = read_text(tmp_path, b"a,b\n1,x\0y\n2,\0\0z\n" + b"3,ok\n" * 50)
    assert rows_of(layer)[:2] == [["1", "xy"], ["2", "z"]]
    (misfit,) = layer.misfits
    assert (misfit.count, [line for line, _ in misfit.examples]) == (3, [2, 3])


def test_broken_rows_are_kept_as_far_as_they_go_and_counted_with_their_lines(
    tmp_path: Path,
) -> None:
    text = 'a,b,c\n1,2,3\n4,5\n"x\ny",2,3\n6,7,8,9,10\n7\n8,9,10,\n9,"open,10\n11,12,13\n14,15,16\n'
    layer = read_text(tmp_path, text)
    assert rows_of(layer) == [
        ["1", "2", "3"],
        ["4", "5", None],
        ["x\ny", "2", "3"],
        ["6", "7", "8"],
        ["7", None, None],
        ["8", "9", "10"],
        ["9", '"open', "10"],
        ["11", "12", "13"],
        ["14", "15", "16"],
    ]
    assert {misfit.reason.split(",")[0]: misfit.count for misfit in layer.misfits} == {
        "rows with too few cells": 2,
        "rows with too many cells": 1,
        "rows with a stray quote": 1,
    }
    lines = {line for misfit in layer.misfits for line, _ in misfit.examples}
    assert lines == {3, 6, 7, 9}


def test_a_broken_row_far_behind_is_found(tmp_path: Path) -> None:
    layer = read_text(tmp_path, "a,b\n" + "1,2\n" * 200_000 + "1,2,3\n" + "1,2\n" * 10)
    assert table_of(layer).num_rows == 200_011
    assert [misfit.examples for misfit in layer.misfits] == [((200_002, "1 | 2 | 3"),)]


def test_a_header_shorter_than_its_rows_gets_nameless_columns(tmp_path: Path) -> None:
    layer = read_text(tmp_path, "a,b\n1,2,3\n4,5,6\n7,8,9\n")
    assert names_of(layer) == ["a", "b", ""]
    assert rows_of(layer)[0] == ["1", "2", "3"]


def test_a_header_longer_than_all_rows_leaves_a_column_empty(tmp_path: Path) -> None:
    layer = read_text(tmp_path, "a,b,c\n1,2\n4,5\n7,8\n")
    assert rows_of(layer) == [["1", "2", None], ["4", "5", None], ["7", "8", None]]


def test_rubble_is_refused(tmp_path: Path) -> None:
    text = "a,b,c\n" + "".join("x" + ",y" * (row % 9) + "\n" for row in range(200))
    with pytest.raises(MalformedCsvError, match="rows do not have"):
        read_text(tmp_path, text)


def test_too_many_columns_are_refused(tmp_path: Path) -> None:
    text = ",".join(f"c{index}" for index in range(20)) + "\n"
    with pytest.raises(TooManyColumnsError, match="20 columns"):
        read_bytes(tmp_path, "a.csv", text.encode(), limits=Limits(max_bytes=99, max_columns=19))


def test_nothing_but_blank_lines_is_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(EmptyFileError):
        read_text(tmp_path, "\n \n\n")


def test_columns_with_a_quoted_value_are_known_where_they_are_asked_for(tmp_path: Path) -> None:
    text = 'a,"b",c,d\n1,2,"3",4\n5,"6\n7",8,9" x\n1,2,3,4\n'
    layer = read_text(tmp_path, text, quoted_fields_guessing=False)
    assert [field.is_quoted for field in layer.fields] == [False, True, True, False]
    layer = read_text(tmp_path, text)
    assert not any(field.is_quoted for field in layer.fields)


def test_a_very_long_cell_and_line_are_read(tmp_path: Path) -> None:
    long = "x" * 3_000_000
    layer = read_text(tmp_path, f"a,b\n1,{long}\n2,y\n")
    assert rows_of(layer) == [["1", long], ["2", "y"]]


@pytest.mark.parametrize("end", ["\n", "\n2,y\n", ""])
@pytest.mark.parametrize("size", [17_000_000, 40_000_000])
def test_a_line_too_long_to_hold_is_refused(tmp_path: Path, size: int, end: str) -> None:
    with pytest.raises(MalformedCsvError, match="line 2 is longer"):
        read_text(tmp_path, f"a,b\n1,{'x' * size}{end}")


def test_a_row_just_short_of_that_is_not_lost_at_the_end_of_the_file(tmp_path: Path) -> None:
    layer = read_text(tmp_path, f"a,b\n1,{'x' * 16_000_000}")
    assert [len(row[1]) for row in rows_of(layer)] == [16_000_000]


def test_rows_keep_the_order_of_the_file(tmp_path: Path) -> None:
    numbers = [str(number) for number in random.Random(1).sample(range(10**9), 100_000)]
    layer = read_text(tmp_path, "n,m\n" + "".join(f"{number},x\n" for number in numbers))
    assert table_of(layer).column(0).to_pylist() == numbers


def test_a_layer_may_be_opened_again_and_again(tmp_path: Path) -> None:
    layer = read_text(tmp_path, "a,b\n1,2\n")
    assert rows_of(layer) == rows_of(layer) == [["1", "2"]]


def test_what_was_decided_is_said(tmp_path: Path) -> None:
    said = said_about(read_text(tmp_path, "1;2\n3;4\n"))
    assert said == {"encoding": "utf-8", "delimiter": "semicolon", "header": "none"}
