"""How often infer reads a layer's rows: once where its first values, or hints, tell the types."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from synctables.errors import DiskFullError
from synctables.importer import read
from synctables.importer.infer import infer
from synctables.importer.infer.typed_file import MERGE_ROWS
from synctables.importer.infer.workers import Workers
from synctables.importer.model import (
    HASH_COLUMNS,
    Field,
    Layer,
    Layers,
    Member,
    ReadOptions,
    TypedLayer,
)
from tests.support.arrow_files import read_typed_file
from tests.support.reading import LIMITS, read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROWS = 20 * MERGE_ROWS
EARLY, MIDDLE, LATE = MERGE_ROWS + 5, ROWS // 2, ROWS - 5


@dataclass(frozen=True, kw_only=True)
class Read:
    """What infer made of a layer, how often it opened it, and the rows it told of."""

    layer: TypedLayer
    table: pa.Table
    openings: int
    told: list[int]


def infer_counting(layer: Layer, opened: Callable[[Layer], pa.RecordBatchReader]) -> Read:
    layers, told, openings = Layers(layers=(layer,)), list[int](), list[Layer]()

    def open_batches(one: Layer) -> pa.RecordBatchReader:
        openings.append(one)
        return opened(one)

    with tempfile.TemporaryDirectory() as folder:
        typed = infer(
            layers, open_batches, ReadOptions(), into=Path(folder), limits=LIMITS,
            on_rows=told.append,
        )  # fmt: skip
        (only,) = typed.layers
        table = read_typed_file(only.path)
    return Read(layer=only, table=table, openings=len(openings), told=told)


def infer_made(columns: Sequence[dict[int, str]], *, hinted: bool = False) -> Read:
    """Columns that hold ``1.5`` in all rows but these."""
    arrays = []
    for exceptions in columns:
        values = ["1.5"] * ROWS
        for row, text in exceptions.items():
            values[row] = text
        arrays.append(pa.array(values))
    table = pa.table(arrays, names=[f"f{index}" for index in range(len(arrays))])
    layer = Layer(
        name="made",
        member=Member(name="made.csv", path=Path("made.csv"), size_bytes=0),
        format="csv",
        fields=tuple(
            Field(name=f"c{index}", is_text_to_guess=True, turns_to_text=hinted)
            for index in range(len(columns))
        ),
        table_name="made",
    )
    return infer_counting(layer, lambda _: table.to_reader(MERGE_ROWS))


@pytest.mark.parametrize(
    ("columns", "hinted", "types", "openings"),
    [
        pytest.param([{}], False, ["double precision"], 1, id="the first values told it"),
        pytest.param([{EARLY: "x"}], False, ["text"], 2, id="an early surprise"),
        pytest.param([{LATE: "x"}], False, ["text"], 2, id="a late surprise"),
        pytest.param([{EARLY: "x"}, {LATE: "y"}], False, ["text", "text"], 3,
                     id="an early and a late surprise"),
        pytest.param([{MIDDLE: "x"}, {LATE: "y"}, {LATE: "z"}], False, ["text"] * 3, 3,
                     id="surprises close to each other"),
        pytest.param([{MIDDLE * (4 + index) // 4: "x"} for index in range(4)], False, ["text"] * 4,
                     3, id="one surprise after the other, after which the rest is read first"),
        pytest.param([{LATE: "x"}, {EARLY: "y"}], True, ["text", "text"], 1,
                     id="surprises that the reader foresaw"),
        pytest.param([{}], True, ["double precision"], 2, id="a hint that was wrong"),
        pytest.param([{}, {LATE: "x"}], True, ["double precision", "text"], 2,
                     id="one hint that was right, and one that was wrong"),
    ],
)  # fmt: skip
def test_rows_are_read_again_only_where_a_value_is_a_surprise(
    columns: list[dict[int, str]], hinted: bool, types: list[str], openings: int
) -> None:
    found = infer_made(columns, hinted=hinted)
    assert [str(column.type) for column in found.layer.columns] == types
    assert found.openings == openings
    assert found.layer.row_count == found.table.num_rows == ROWS
    for column, exceptions in zip(found.layer.columns, columns, strict=True):
        values = found.table.column(column.name)
        usual = 1.5 if str(column.type) == "double precision" else "1.5"
        assert values[0].as_py() == values[ROWS - 1].as_py() == usual
        assert all(values[row].as_py() == text for row, text in exceptions.items())


def test_what_a_column_is_text_for_is_told_whether_it_was_foreseen_or_not() -> None:
    reasons = {
        infer_made([{LATE: "1e-05"}], hinted=hinted).layer.columns[0].reason
        for hinted in (True, False)
    }
    assert reasons == {f'double precision until row {LATE + 1} holds "1e-05"'}


def test_the_same_rows_have_the_same_hashes_whether_text_was_foreseen_or_not() -> None:
    foreseen, surprising = (
        infer_made([{LATE: "1e-05"}], hinted=hinted).table for hinted in (True, False)
    )
    assert foreseen.equals(surprising)
    assert foreseen.column_names[-2:] == list(HASH_COLUMNS)


def test_rows_are_told_of_once_though_they_are_read_again() -> None:
    told = infer_made([{EARLY: "x"}, {LATE: "y"}]).told
    assert told == sorted(set(told))
    assert told[-1] == ROWS


@pytest.mark.parametrize(
    ("late", "column_type", "is_foreseen"),
    [
        pytest.param("1e-05", "text", True, id="an exponent without a point"),
        pytest.param("n/a", "text", True, id="a word"),
        pytest.param("-", "text", True, id="a dash alone"),
        pytest.param("6.5e-05", "double precision", False, id="an exponent behind a point"),
        pytest.param("7", "double precision", False, id="an integer"),
        pytest.param("", "double precision", False, id="nothing"),
        pytest.param(" ", "double precision", False, id="a blank"),
    ],
)
def test_delimited_text_says_which_columns_do_not_stay_numbers(
    tmp_path: Path, late: str, column_type: str, is_foreseen: bool
) -> None:
    text = "id,share\n" + "1,0.25\n" * 70_000 + f"2,{late}\n"
    (layer,) = read_bytes(tmp_path, "shares.csv", text.encode()).layers
    assert [field.turns_to_text for field in layer.fields] == [False, is_foreseen]
    found = infer_counting(layer, read.open_batches)
    assert str(found.layer.columns[1].type) == column_type
    assert found.openings == 1


@pytest.mark.parametrize("later_writes", [0, 1])
def test_what_fails_in_the_background_fails_in_the_foreground(later_writes: int) -> None:
    def write(_: int) -> None:
        raise DiskFullError

    def write_much() -> None:
        large = pa.record_batch([pa.array(range(10_000))], names=["f0"])
        with Workers() as workers, workers.behind(write) as hand_over:
            assert list(workers.ahead(iter([large])))
            for number in range(1 + later_writes):
                hand_over(number)

    with pytest.raises(DiskFullError):
        write_much()
