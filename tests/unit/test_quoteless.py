"""Large delimited text without quotes is read by Arrow: the same rows as DuckDB would give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from tests.support.reading import read_bytes, table_of

if TYPE_CHECKING:
    from pathlib import Path

FILLER_ROWS = [[str(number), f"word {number % 7}"] for number in range(100_000)]
FILLER = "".join(f"{','.join(row)}\n" for row in FILLER_ROWS)
FILLER_TABLE = pa.table(list(zip(*FILLER_ROWS, strict=True)), names=["f0", "f1"])


@pytest.mark.parametrize(
    ("end", "last_rows", "is_quoteless"),
    [
        pytest.param("1,x\n", [["1", "x"]], True, id="nothing special"),
        pytest.param("1,x", [["1", "x"]], True, id="no line end at the end"),
        pytest.param("\n1,x\n\n\n2,y\n\n", [["1", "x"], ["2", "y"]], True, id="blank lines"),
        pytest.param("1,\n,x\n,\n", [["1", None], [None, "x"], [None, None]], True,
                     id="empty cells are NULL"),
        pytest.param("1,NA\n2,null\n", [["1", "NA"], ["2", "null"]], True,
                     id="words for nothing stay"),
        pytest.param("1, x \n", [["1", " x "]], True, id="blanks stay"),
        pytest.param("1,it's\n", [["1", "it's"]], True, id="an apostrophe"),
        pytest.param("1,Åndalsnes\n", [["1", "Åndalsnes"]], True, id="beyond ASCII"),
        pytest.param('1,"x,\ny"\n', [["1", "x,\ny"]], False, id="one quoted cell at the end"),
        pytest.param('1,5" pipe\n', [["1", '5" pipe']], False, id="a quote inside a cell"),
        pytest.param("1,x\r\n2,y\r\n", [["1", "x"], ["2", "y"]], False, id="other line ends"),
        pytest.param(f"1,{'x' * 5_000_000}\n2,y\n", [["1", "x" * 5_000_000], ["2", "y"]], False,
                     id="a line of five megabytes"),
        pytest.param("1\n", [["1", None]], True, id="a cell too few"),
    ],
)  # fmt: skip
def test_every_row_is_read_however_the_file_ends(
    tmp_path: Path, end: str, last_rows: list[list[str | None]], is_quoteless: bool
) -> None:
    content = f"id,name\n{FILLER}{end}".encode()
    (layer,) = read_bytes(tmp_path, "data.csv", content).layers
    table = table_of(layer)
    assert table.slice(0, len(FILLER_ROWS)).equals(FILLER_TABLE)
    ends = table.slice(len(FILLER_ROWS)).to_pylist()
    assert [list(row.values()) for row in ends] == last_rows
    is_as_it_was = not layer.misfits
    assert layer.details["is_quoteless"] is (is_quoteless and is_as_it_was)


def test_a_small_file_is_left_to_duckdb(tmp_path: Path) -> None:
    (layer,) = read_bytes(tmp_path, "data.csv", b"a,b\n1,2\n").layers
    assert layer.details["is_quoteless"] is False
