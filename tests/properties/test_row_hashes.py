"""Promises of the rows' hashes, for any values: equal rows, and only those, hash alike."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math
import struct
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from synctables.importer import read
from synctables.importer.infer import infer
from synctables.importer.infer.row_hashes import HashedColumn, row_hashes
from synctables.importer.model import HASH_COLUMNS, Column, ColumnType, ReadOptions
from tests.support.arrow_files import read_typed_file
from tests.support.inferring import LIMITS
from tests.support.reading import read_bytes

T = ColumnType
Hash = tuple[int, int]

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
LONG_TEXTS = st.builds(lambda text, times: text * times, TEXTS, st.integers(1, 60))
# A few values each, so that equal ones are common, beside any others.
VALUES: dict[ColumnType, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    T.BOOLEAN: (pa.bool_(), st.booleans()),
    T.BIGINT: (pa.int64(), st.integers(-2, 2) | st.integers(-(2**63), 2**63 - 1)),
    T.DOUBLE: (
        pa.float64(),
        st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf, 5e-324]) | st.floats(),
    ),
    T.NUMERIC: (
        pa.decimal128(38, 9),
        st.decimals(-3, 3, places=2) | st.decimals(-(10**28), 10**28, places=9),
    ),
    T.DATE: (pa.date32(), st.dates()),
    T.TIMESTAMPTZ: (pa.timestamp("us", "UTC"), st.datetimes(timezones=st.just(dt.UTC))),
    T.TIME: (pa.time64("us"), st.times()),
    T.TEXT: (pa.string(), st.sampled_from(["", "a", "a\u0301", "1"]) | TEXTS | LONG_TEXTS),
    T.BYTEA: (pa.binary(), st.sampled_from([b"", b"\0", b"\0\0"]) | st.binary(max_size=600)),
}  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> list[HashedColumn]:
    """Columns of any types, their rows drawn from a few so that equal rows are common."""
    types = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=4))
    row = st.tuples(*(st.none() | VALUES[type_][1] for type_ in types))
    few = draw(st.lists(row, min_size=1, max_size=5))
    rows = draw(st.lists(st.sampled_from(few), min_size=1, max_size=12))
    return [
        HashedColumn(
            name=f"c{index}",
            kind=type_,
            values=pa.array([values[index] for values in rows], VALUES[type_][0]),
        )
        for index, type_ in enumerate(types)
    ]


def _hashes(columns: Sequence[HashedColumn]) -> list[Hash]:
    low, high = row_hashes(columns)
    assert low.type == high.type == pa.uint64()
    assert low.null_count == high.null_count == 0
    return list(zip(low.to_pylist(), high.to_pylist(), strict=True))


def _canonical(value: Any) -> Any:
    """What two values have in common exactly if they are one value."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else struct.pack("<d", value)
    return value


def _rows(columns: Sequence[HashedColumn]) -> list[tuple[Any, ...]]:
    lists = [map(_canonical, column.values.to_pylist()) for column in columns]
    return list(zip(*lists, strict=True))


@given(tables())
def test_rows_hash_alike_exactly_if_they_are_equal(columns: list[HashedColumn]) -> None:
    found = dict(zip(_rows(columns), _hashes(columns), strict=True))
    assert [found[row] for row in _rows(columns)] == _hashes(columns)
    for lane in (0, 1):
        assert len({pair[lane] for pair in found.values()}) == len(found)


@given(tables(), st.integers(1, 11))
def test_where_a_chunk_ends_changes_no_hash(columns: list[HashedColumn], end: int) -> None:
    parts = [slice(0, end), slice(end, None)]
    cut = [
        _hashes([replace(column, values=column.values[part]) for column in columns])
        for part in parts
    ]  # fmt: skip
    assert [*cut[0], *cut[1]] == _hashes(columns)


@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_columns_changes_no_hash(columns: list[HashedColumn], random: Any) -> None:
    assert _hashes(random.sample(columns, len(columns))) == _hashes(columns)


@given(tables(), st.sampled_from(sorted(VALUES)))
def test_a_new_column_without_values_changes_no_hash(
    columns: list[HashedColumn], type_: ColumnType
) -> None:
    empty = pa.nulls(len(columns[0].values), VALUES[type_][0])
    new = HashedColumn(name="new", kind=type_, values=empty)
    assert _hashes([*columns, new]) == _hashes(columns)


@given(st.lists(st.decimals(-99, 99, places=3) | st.none(), min_size=1), st.integers(3, 35))
def test_the_scale_of_a_chunk_changes_no_hash(values: list[Decimal | None], scale: int) -> None:
    one, other = (
        HashedColumn(name="x", kind=T.NUMERIC, values=pa.array(values, pa.decimal128(38, digits)))
        for digits in (3, scale)
    )
    assert _hashes([one]) == _hashes([other])


@given(tables())
def test_the_same_values_under_another_name_hash_otherwise(columns: list[HashedColumn]) -> None:
    renamed = [replace(column, name=column.name.upper()) for column in columns]
    for row, before, after in zip(
        _rows(columns), _hashes(columns), _hashes(renamed), strict=True
    ):  # fmt: skip
        is_empty = all(value is None for value in row)
        assert (before == after) == is_empty


@given(TEXTS | LONG_TEXTS, TEXTS | LONG_TEXTS)
def test_values_that_change_places_change_the_hash(first: str, second: str) -> None:
    one, other = (
        _hashes(
            [
                HashedColumn(name=name, kind=T.TEXT, values=pa.array([text]))
                for name, text in (("a", left), ("b", right))
            ]
        )
        for left, right in ((first, second), (second, first))
    )
    assert (one == other) == (first == second)


@given(st.integers(0, 2**31 - 1))
def test_a_value_of_another_type_hashes_otherwise(number: int) -> None:
    """Even where both are stored in the same 64 bits."""
    columns = [
        (T.BIGINT, pa.array([number])),
        (T.TEXT, pa.array([str(number)])),
        (T.TIME, pa.array([number]).view(pa.time64("us"))),
        (T.TIMESTAMPTZ, pa.array([number]).view(pa.timestamp("us", "UTC"))),
        (T.NUMERIC, pa.array([Decimal(number)], pa.decimal128(38, 0))),
        (T.DOUBLE, pa.array([float(number)])),
    ]
    hashes = [
        _hashes([HashedColumn(name="x", kind=kind, values=values)])[0] for kind, values in columns
    ]
    assert len(set(hashes)) == len(columns)


# What text and a file that declares its types both lead to: columns of the same types.
WORDS = st.text(st.characters(categories=["Ll"]), max_size=20).map("w".__add__)
ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**15), 2**15 - 1),
        st.none() | st.decimals(-99, 99, places=4).filter(lambda n: n != 0 or not n.is_signed()),
        st.none() | st.floats(-1e9, 1e9).map(lambda n: round(n, 3)),
        st.none() | st.booleans(),
        st.none() | st.dates(dt.date(1900, 1, 1)),
        st.none() | WORDS,
    ),
    max_size=8,
)
HEADER = ("a", "b", "c", "d", "e", "f")
FIRST_ROW = (1, Decimal("0.1234567890123456789"), 0.5, True, dt.date(2024, 2, 29), "word")
DECLARED = (
    pa.int16(), pa.decimal128(30, 25), pa.float64(), pa.bool_(), pa.date64(), pa.large_string(),
)  # fmt: skip


@given(ROWS, st.integers(1, 4))
def test_the_same_rows_hash_alike_as_delimited_text_and_as_parquet(
    rows: list[tuple[Any, ...]], group_rows: int
) -> None:
    rows = [FIRST_ROW, *rows]
    text, declared = _import("a.csv", _csv(rows)), _import("a.parquet", _parquet(rows, group_rows))
    assert [column.type for column in text[0]] == [column.type for column in declared[0]]
    assert text[1] == declared[1]


def _import(name: str, content: bytes) -> tuple[tuple[Column, ...], list[Hash]]:
    with tempfile.TemporaryDirectory() as folder:
        layers = read_bytes(Path(folder), name, content)
        typed = infer(
            layers, read.open_batches, ReadOptions(),
            into=Path(folder), limits=LIMITS, on_rows=lambda _: None,
        )  # fmt: skip
        layer = typed.layers[0]
        table = read_typed_file(layer.path)
    lanes = (table.column(name).to_pylist() for name in HASH_COLUMNS)
    return layer.columns, list(zip(*lanes, strict=True))


def _csv(rows: list[tuple[Any, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([HEADER, *rows])
    return text.getvalue().encode()


def _parquet(rows: list[tuple[Any, ...]], group_rows: int) -> bytes:
    arrays = [
        pa.array(values, arrow)
        for values, arrow in zip(zip(*rows, strict=True), DECLARED, strict=True)
    ]
    content = io.BytesIO()
    pq.write_table(pa.table(arrays, names=HEADER), content, row_group_size=group_rows)
    return content.getvalue()
