"""Values that come with a type keep it; what PostgreSQL cannot hold is NULL, and counted."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from synctables.importer.model import ColumnType, ReadOptions
from tests.support.inferring import infer_columns

UTC = dt.UTC
T = ColumnType


@pytest.mark.parametrize(
    ("array", "column_type", "typed"),
    [
        (pa.array([1, None], pa.int32()), T.BIGINT, [1, None]),
        (pa.array([2**64 - 1], pa.uint64()), T.NUMERIC, [Decimal(2**64 - 1)]),
        (pa.array([5], pa.uint64()), T.BIGINT, [5]),
        (pa.array([0.1], pa.float32()), T.DOUBLE, [0.10000000149011612]),
        (pa.array([1.0, 2.0]), T.DOUBLE, [1.0, 2.0]),
        (pa.array([Decimal("1.50")], pa.decimal128(10, 2)), T.NUMERIC, [Decimal("1.50")]),
        (pa.array([True]), T.BOOLEAN, [True]),
        (pa.array([dt.date(2024, 1, 1)]), T.DATE, [dt.date(2024, 1, 1)]),
        (
            pa.array([1_704_103_200_000], pa.timestamp("ms")),
            T.TIMESTAMPTZ,
            [dt.datetime(2024, 1, 1, 10, tzinfo=UTC)],
        ),
        (
            pa.array([dt.datetime(2024, 1, 1, 10, tzinfo=UTC)], pa.timestamp("s", "Asia/Tokyo")),
            T.TIMESTAMPTZ,
            [dt.datetime(2024, 1, 1, 10, tzinfo=UTC)],
        ),
        (pa.array([dt.time(10)], pa.time32("ms")), T.TIME, [dt.time(10)]),
        (pa.array([b"\x00\xff"]), T.BYTEA, [b"\x00\xff"]),
        (pa.array([[1, 2], None]), T.JSONB, ["[1, 2]", None]),
        (pa.array([{"b": 1, "a": "x"}]), T.JSONB, ['{"a": "x", "b": 1}']),
        (pa.array(["a", "b", "a"]).dictionary_encode(), T.TEXT, ["a", "b", "a"]),
        (pa.array(["1", "2"], pa.large_string()), T.TEXT, ["1", "2"]),
        (pa.nulls(2, pa.int64()), T.BIGINT, [None, None]),
        (pa.nulls(2), T.TEXT, [None, None]),
        (pa.array([dt.timedelta(seconds=5)], pa.duration("s")), T.TEXT, ["5"]),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), T.JSONB, ['{"k": 1}']),
        (
            pa.array([[("k", 1), ("k", 2)]], pa.map_(pa.string(), pa.int64())),
            T.JSONB,
            ['[["k", 1], ["k", 2]]'],
        ),
        (pa.array([[b"\xff"]]), T.JSONB, ['["ff"]']),
        (pa.array([86_400_000], pa.date64()), T.DATE, [dt.date(1970, 1, 2)]),
        (
            pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
            T.TEXT,
            ["MonthDayNano(months=1, days=2, nanoseconds=3)"],
        ),
    ],
)
def test_values_that_come_with_a_type_keep_it(
    array: pa.Array, column_type: ColumnType, typed: list[Any]
) -> None:
    inferred = infer_columns({"x": array}, file_format="gpkg")
    assert (inferred.types["x"], inferred.values("x")) == (column_type, typed)


def test_nanoseconds_are_cut_and_counted() -> None:
    inferred = infer_columns(
        {"x": pa.array([1_000, 1_001], pa.timestamp("ns"))}, file_format="gpkg"
    )
    (misfit,) = inferred.layer.misfits
    assert (misfit.count, misfit.reason, misfit.examples[0][0]) == (1, "cut to microseconds", 2)


def test_times_of_day_are_cut_to_microseconds_and_counted() -> None:
    inferred = infer_columns({"x": pa.array([1_001], pa.time64("ns"))}, file_format="gpkg")
    assert inferred.values("x") == [dt.time(0, 0, 0, 1)]
    assert inferred.layer.misfits[0].reason == "cut to microseconds"


@pytest.mark.parametrize(
    ("array", "values", "reason"),
    [
        (pa.array([0, 2**31 - 1], pa.int32()).view(pa.date32()), [dt.date(1970, 1, 1), None],
         "outside the range of dates"),
        (pa.array([2**62, 0], pa.int64()).view(pa.date64()), [None, dt.date(1970, 1, 1)],
         "outside the range of dates"),
        (pa.array([-1, 0], pa.int64()).view(pa.time64("us")), [None, dt.time()],
         "outside the range of times"),
    ],
)  # fmt: skip
def test_dates_and_times_that_postgresql_cannot_hold_become_null_and_are_counted(
    array: pa.Array, values: list[Any], reason: str
) -> None:
    inferred = infer_columns({"x": array}, file_format="parquet")
    assert inferred.values("x") == values
    (misfit,) = inferred.layer.misfits
    assert (misfit.count, misfit.reason) == (1, reason)


def test_timestamps_that_postgresql_cannot_hold_become_null_and_are_counted() -> None:
    seconds = pa.array([10**17, -(10**17), 0], pa.timestamp("s"))
    inferred = infer_columns({"x": seconds}, file_format="gpkg")
    assert inferred.values("x") == [None, None, dt.datetime(1970, 1, 1, tzinfo=UTC)]
    assert inferred.layer.misfits[0].count == 2


def test_json_is_canonical_and_what_jsonb_cannot_hold_is_a_misfit() -> None:
    marked = pa.array(
        ['{"bb":1.50,"a":[1e2,-0.0]}', '{"a":1,"a":2}', '"\\u0000"', '"\\ud800"', "NaN", "null"]
    )
    options = ReadOptions(column_types={"x": T.JSONB})
    inferred = infer_columns({"x": marked}, options=options, file_format="geojson")
    assert inferred.values("x") == ['{"a": [100, 0.0], "bb": 1.50}', *[None] * 4, "null"]
    assert inferred.layer.misfits[0].count == 4
