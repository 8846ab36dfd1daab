"""Types of the table that stands are kept or widened, pinned ones win, and each says why."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from itertools import product
from typing import Any

import pyarrow as pa
import pytest

from synctables.importer.infer.types import widen
from synctables.importer.model import Column, ColumnType, ReadOptions
from tests.support.inferring import infer_columns, infer_values

UTC = dt.UTC
T = ColumnType


@pytest.mark.parametrize(
    ("contract", "needed", "widened"),
    [
        (T.BIGINT, T.BIGINT, T.BIGINT),
        (T.BIGINT, T.DOUBLE, T.DOUBLE),
        (T.BIGINT, T.NUMERIC, T.NUMERIC),
        (T.DOUBLE, T.NUMERIC, T.NUMERIC),
        (T.DOUBLE, T.BIGINT, T.DOUBLE),
        (T.DATE, T.TIMESTAMPTZ, T.TIMESTAMPTZ),
        (T.BOOLEAN, T.BIGINT, T.TEXT),
        (T.DATE, T.TIME, T.TEXT),
        (T.JSONB, T.BIGINT, T.TEXT),
        (T.BYTEA, T.TEXT, T.TEXT),
        (T.TEXT, T.BIGINT, T.TEXT),
    ],
)
def test_a_contract_widens_to_the_least_upper_bound(
    contract: ColumnType, needed: ColumnType, widened: ColumnType
) -> None:
    assert widen(contract, needed) == widened


def test_a_bigint_with_many_digits_meets_a_double_as_numeric() -> None:
    assert widen(T.BIGINT, T.DOUBLE, is_long=True) is T.NUMERIC
    assert widen(T.DOUBLE, T.BIGINT, is_long=True) is T.NUMERIC
    assert widen(T.BIGINT, T.BIGINT, is_long=True) is T.BIGINT


def test_widening_is_a_join() -> None:
    for first, second, third in product(ColumnType, repeat=3):
        assert widen(first, first) is first
        assert widen(first, second) is widen(second, first)
        assert widen(widen(first, second), third) is widen(first, widen(second, third))


def _contract(column_type: ColumnType, reason: str = "fits every value") -> ReadOptions:
    return ReadOptions(contract=(Column(name="x", field="x", type=column_type, reason=reason),))


@pytest.mark.parametrize(
    ("contract", "values", "column_type", "reason"),
    [
        (T.TEXT, ["1", "2"], T.TEXT, "the table's type"),
        (T.DOUBLE, ["1", "2"], T.DOUBLE, "the table's type"),
        (T.NUMERIC, ["1", "2"], T.NUMERIC, "the table's type"),
        (T.TIMESTAMPTZ, ["2024-01-01"], T.TIMESTAMPTZ, "the table's type"),
        (T.BIGINT, ["", None], T.BIGINT, "the table's type"),
        (T.JSONB, ["", None], T.JSONB, "the table's type"),
        (T.BIGINT, ["1", "1.5"], T.DOUBLE, 'widened from bigint: row 2 holds "1.5"'),
        (T.BIGINT, ["1", "1", "abc"], T.TEXT, 'widened from bigint: row 3 holds "abc"'),
        (T.BOOLEAN, ["t", "1"], T.TEXT, 'widened from boolean: row 2 holds "1"'),
        (T.BIGINT, ["1", "2024-01-01"], T.TEXT, 'widened from bigint: row 2 holds "2024-01-01"'),
        (
            T.DOUBLE,
            ["1.5", "12345678901234567"],
            T.NUMERIC,
            'widened from double precision: row 2 holds "12345678901234567"',
        ),
        (T.DATE, ["01/02/2015"], T.TEXT, 'widened from date: row 1 holds "01/02/2015"'),
    ],
)
def test_types_of_the_first_import_are_kept_or_widened(
    contract: ColumnType, values: list[str], column_type: ColumnType, reason: str
) -> None:
    column = infer_values(values, options=_contract(contract)).columns["x"]
    assert (column.type, column.reason) == (column_type, reason)


def test_a_widening_is_among_the_decisions() -> None:
    inferred = infer_values(["1", "abc"], options=_contract(T.BIGINT))
    assert inferred.decision("type of x") == 'text: widened from bigint: row 2 holds "abc"'


def test_dates_that_were_settled_once_stay_settled() -> None:
    first = infer_values(["18/03/2015"])
    later = infer_values(["01/02/2015"], options=ReadOptions(contract=first.layer.columns))
    assert later.columns["x"].type is T.DATE
    assert later.values("x") == [dt.date(2015, 2, 1)]


def test_settled_dates_are_remembered_through_a_version_without_any() -> None:
    columns = infer_values(["18/03/2015"]).layer.columns
    for values in ([""], ["2015-03-18"]):
        columns = infer_values(values, options=ReadOptions(contract=columns)).layer.columns
    later = infer_values(["01/02/2015"], options=ReadOptions(contract=columns))
    assert later.values("x") == [dt.date(2015, 2, 1)]


def test_the_first_value_that_does_not_fit_is_found_in_any_chunk() -> None:
    values = ["1"] * 70_000 + ["abc"] + ["1"] * 70_000 + ["def"]
    column = infer_values(values, options=_contract(T.BIGINT), chunk_rows=50_000).columns["x"]
    assert column.reason == 'widened from bigint: row 70001 holds "abc"'


def test_a_contract_keeps_names_and_new_fields_keep_clear_of_them() -> None:
    contract = (
        Column(name="price_1", field="Price", type=T.BIGINT),
        Column(name="price", field="old price", type=T.BIGINT),
    )
    inferred = infer_columns(
        {"PRICE": ["5"], "Price": ["1"]}, options=ReadOptions(contract=contract)
    )
    assert {c.field: c.name for c in inferred.layer.columns} == {
        "PRICE": "price",
        "Price": "price_1",
    }


def test_a_field_that_vanished_leaves_a_decision_and_no_column() -> None:
    contract = (
        Column(name="x", field="x", type=T.BIGINT),
        Column(name="gone", field="Gone", type=T.BIGINT),
    )
    inferred = infer_values(["1"], options=ReadOptions(contract=contract))
    assert list(inferred.columns) == ["x"]
    assert inferred.decision("column gone") == (
        'kept, its values are NULL: the file no longer has the field "Gone"'
    )


def test_equal_headers_keep_their_columns_in_file_order() -> None:
    first = infer_columns([("a", ["1"]), ("a", ["x"]), ("", ["2.5"])])
    again = infer_columns(
        [("a", ["1"]), ("a", ["x"]), ("", ["2.5"])],
        options=ReadOptions(contract=first.layer.columns),
    )
    assert again.types == first.types == {"a": T.BIGINT, "a_1": T.TEXT, "field_3": T.DOUBLE}


@pytest.mark.parametrize(
    ("pin", "values", "typed", "misfits"),
    [
        (T.TEXT, ["1", "2"], ["1", "2"], []),
        (T.BIGINT, ["007", "+5", "abc", "1.5"], [7, 5, None, None], [(3, "abc"), (4, "1.5")]),
        (T.DOUBLE, ["1e5", " 2 ", "x"], [1e5, 2.0, None], [(3, "x")]),
        (T.NUMERIC, ["1.10", "2.125", "x"], [Decimal("1.10"), Decimal("2.125"), None], [(3, "x")]),
        (T.BOOLEAN, ["yes", "0", "maybe", ""], [True, False, None, None], [(3, "maybe")]),
        (T.DATE, ["2024-01-01", "2024-02-30"], [dt.date(2024, 1, 1), None], [(2, "2024-02-30")]),
        (T.TIME, ["10:30", "25:00"], [dt.time(10, 30), None], [(2, "25:00")]),
        (T.JSONB, ['{"b": 1,"a":2}', "{"], ['{"a": 2, "b": 1}', None], [(2, "{")]),
    ],
)
def test_a_pinned_type_wins_and_reports_what_does_not_fit(
    pin: ColumnType, values: list[str], typed: list[Any], misfits: list[tuple[int, str]]
) -> None:
    inferred = infer_values(values, options=ReadOptions(column_types={"x": pin}))
    assert (inferred.types["x"], inferred.values("x")) == (pin, typed)
    assert [e for m in inferred.layer.misfits for e in m.examples] == misfits


def test_a_pin_overrides_the_contract_and_counts_every_misfit() -> None:
    options = ReadOptions(
        column_types={"x": T.BIGINT}, contract=(Column(name="x", field="x", type=T.TEXT),)
    )
    inferred = infer_values(["a", "b", "c", "d", "1"], options=options)
    (misfit,) = inferred.layer.misfits
    assert (misfit.column, misfit.count, misfit.reason) == ("x", 4, "not bigint")
    assert misfit.examples == ((1, "a"), (2, "b"), (3, "c"))


@pytest.mark.parametrize(
    ("contract", "array", "column_type", "typed"),
    [
        (T.TEXT, pa.array([12]), T.TEXT, ["12"]),
        (T.DOUBLE, pa.array([12]), T.DOUBLE, [12.0]),
        (T.BIGINT, pa.array([1.5]), T.DOUBLE, [1.5]),
        (T.NUMERIC, pa.array([1.5]), T.NUMERIC, [Decimal("1.5")]),
        (T.BIGINT, pa.array(["12"]), T.TEXT, ["12"]),
        (T.BIGINT, pa.nulls(1, pa.string()), T.BIGINT, [None]),
        (
            T.TIMESTAMPTZ,
            pa.array([dt.date(2024, 1, 1)]),
            T.TIMESTAMPTZ,
            [dt.datetime(2024, 1, 1, tzinfo=UTC)],
        ),
        (
            T.TEXT,
            pa.array([1_704_105_000_500], pa.timestamp("ms")),
            T.TEXT,
            ["2024-01-01 10:30:00.5+00"],
        ),
        (T.TEXT, pa.array([b"\xff"]), T.TEXT, ["\\xff"]),
    ],
)
def test_a_declared_type_meets_the_contract(
    contract: ColumnType, array: pa.Array, column_type: ColumnType, typed: list[Any]
) -> None:
    inferred = infer_columns({"x": array}, file_format="gpkg", options=_contract(contract))
    assert (inferred.types["x"], inferred.values("x")) == (column_type, typed)


def test_a_pin_for_a_column_that_is_not_there_is_noted() -> None:
    inferred = infer_values(["1"], options=ReadOptions(column_types={"y": T.TEXT}))
    assert inferred.decision("pinned type of y") == "not applied: the file has no such column"
