"""Which type the values of a column get, and that none of them changes."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from itertools import product
from typing import Any

import pyarrow as pa
import pytest

from synctables.errors import TooManyColumnsError
from synctables.importer.infer.types import widen
from synctables.importer.model import Column, ColumnType, ReadOptions
from tests.support.inferring import infer_columns, infer_values

UTC = dt.UTC
T = ColumnType


@pytest.mark.parametrize(
    ("values", "column_type", "typed"),
    [
        (["1", "-2", "0"], T.BIGINT, [1, -2, 0]),
        (["9223372036854775807", "-9223372036854775808"], T.BIGINT, [2**63 - 1, -(2**63)]),
        (["9223372036854775808"], T.NUMERIC, [Decimal(2**63)]),
        (["1" * 38], T.NUMERIC, [Decimal("1" * 38)]),
        (["1", ""], T.BIGINT, [1, None]),
        (["1", "  ", None], T.BIGINT, [1, None, None]),
        (["0", "0.5", "-.5"], T.DOUBLE, [0.0, 0.5, -0.5]),
        (["1.50", "2"], T.DOUBLE, [1.5, 2.0]),
        (["1.5e3", "1.5E-3"], T.DOUBLE, [1500.0, 0.0015]),
        (["-0", "1"], T.DOUBLE, [-0.0, 1.0]),
        (["123456789.123456"], T.DOUBLE, [123456789.123456]),
        (["1234567890.123456"], T.NUMERIC, [Decimal("1234567890.123456")]),
        (["0.1234567890123456", "7"], T.NUMERIC, [Decimal("0.1234567890123456"), Decimal(7)]),
        (["1234567890123456", "1.5"], T.NUMERIC, [Decimal(1234567890123456), Decimal("1.5")]),
        (["0.100000000000000000000"], T.DOUBLE, [0.1]),
        (["1.2345678901234567e-05"], T.NUMERIC, [Decimal("1.2345678901234567e-05")]),
        (["true", "FALSE", "t", "F"], T.BOOLEAN, [True, False, True, False]),
        (["2024-02-29", "2023/01/05"], T.DATE, [dt.date(2024, 2, 29), dt.date(2023, 1, 5)]),
        (["2024-02-29T10:30"], T.TIMESTAMPTZ, [dt.datetime(2024, 2, 29, 10, 30, tzinfo=UTC)]),
        (
            ["2024-01-01 00:30:00+02", "2024-01-01 10:00:00.250 UTC", "2024-01-01"],
            T.TIMESTAMPTZ,
            [
                dt.datetime(2023, 12, 31, 22, 30, tzinfo=UTC),
                dt.datetime(2024, 1, 1, 10, 0, 0, 250_000, tzinfo=UTC),
                dt.datetime(2024, 1, 1, tzinfo=UTC),
            ],
        ),
        (["10:30", "23:59:59.5"], T.TIME, [dt.time(10, 30), dt.time(23, 59, 59, 500_000)]),
        (["18/03/2015", "1/2/2015"], T.DATE, [dt.date(2015, 3, 18), dt.date(2015, 2, 1)]),
        (["03/18/2015", "1/2/2015"], T.DATE, [dt.date(2015, 3, 18), dt.date(2015, 1, 2)]),
        (["18.03.2015 14:30"], T.TIMESTAMPTZ, [dt.datetime(2015, 3, 18, 14, 30, tzinfo=UTC)]),
        (["31-12-1999"], T.DATE, [dt.date(1999, 12, 31)]),
    ],
)
def test_values_get_the_strictest_type_that_keeps_them(
    values: list[str | None], column_type: ColumnType, typed: list[Any]
) -> None:
    inferred = infer_values(values)
    assert (inferred.types["x"], inferred.values("x")) == (column_type, typed)


@pytest.mark.parametrize(
    "values",
    [
        ["01569", "2"],
        ["00"],
        ["-01"],
        ["+34123456789"],
        ["1 000"],
        ["1,000"],
        ["1e5"],
        ["2E10"],
        ["E00000012"],
        ["0x1F"],
        ["5."],
        ["."],
        ["-"],
        ["--1"],
        ["NaN"],
        ["Infinity", "1.5"],
        [" 12"],
        ["12 "],
        ["1.5e400"],
        ["1.5e-400"],
        ["1" * 39],
        ["-0.0", "0.12345678901234567"],
        ["yes", "no"],
        ["y", "n"],
        ["true", "1"],
        ["1", "abc"],
        ["20240101", "2024-01-01"],
        ["2024-02-30"],
        ["2024-1-5"],
        ["2023-02-29"],
        ["0000-01-01"],
        ["12024-01-01"],
        ["2024-01-01 24:00:00"],
        ["2024-12-31 23:59:60"],
        ["2024-01-01T10"],
        ["2024-01-01 10:30:00.1234567"],
        ["9999-12-31 23:00-02"],
        ["0001-01-01 00:00+02"],
        ["01/02/2015", "03/04/2015"],
        ["18/03/2015", "03/18/2015"],
        ["18/03/2015", "18.03.2015"],
        ["31/02/2015"],
        ["18/03/15"],
        ["2024-01-01", "N/A"],
        ["24:00"],
        ["9:30"],
        ["10:60"],
        ["10:30", "2024-01-01"],
        ["1,5", "2,25"],
        ["1,234,567"],
        ["1.234.567,89"],
        ["1 234 567"],
        ["1'234"],
        ["12 %", "3.5%"],
        ["$1", "$2.50"],
        ["1,50 €"],
        ["USD 5"],
    ],
)
def test_what_would_lose_its_identity_stays_text(values: list[str]) -> None:
    inferred = infer_values(values)
    assert (inferred.types["x"], inferred.values("x")) == (T.TEXT, values)


def test_a_column_without_values_is_text() -> None:
    inferred = infer_values(["", None, "  "])
    assert (inferred.types["x"], inferred.values("x")) == (T.TEXT, ["", None, "  "])


def test_blank_cells_of_a_text_column_stay_as_they_are() -> None:
    assert infer_values(["abc", "  ", ""]).values("x") == ["abc", "  ", ""]


def test_a_value_in_the_last_of_many_chunks_decides_too() -> None:
    values = [str(number) for number in range(100_000)]
    inferred = infer_values([*values, "abc"])
    assert inferred.columns["x"].reason == 'bigint until row 100001 holds "abc"'
    assert inferred.values("x") == [*values, "abc"]


def test_a_longer_fraction_in_a_later_chunk_widens_the_numeric() -> None:
    values = ["1234567890.123456"] * 70_000 + ["0.12345678901234567890"]
    assert infer_values(values).values("x")[-1] == Decimal("0.1234567890123456789")


def test_type_guessing_off_keeps_text() -> None:
    inferred = infer_values(["1", "2"], options=ReadOptions(type_guessing=False))
    assert inferred.types["x"] == T.TEXT


def test_type_guessing_off_makes_text_of_the_values_of_a_spreadsheet() -> None:
    inferred = infer_columns(
        {"n": pa.array([1.0, 2.5, None]), "d": pa.array([dt.date(2024, 1, 1)] * 3)},
        options=ReadOptions(type_guessing=False),
        file_format="xlsx",
    )
    assert inferred.values("n") == ["1", "2.5", None]
    assert inferred.values("d") == ["2024-01-01"] * 3


@pytest.mark.parametrize(("guess_quoted", "column_type"), [(True, T.BIGINT), (False, T.TEXT)])
def test_quoted_fields_are_guessed_unless_told_otherwise(
    guess_quoted: bool, column_type: ColumnType
) -> None:
    inferred = infer_columns(
        {"x": ["1"], "y": ["1"]},
        options=ReadOptions(quoted_fields_guessing=guess_quoted),
        quoted=frozenset("x"),
    )
    assert inferred.types == {"x": column_type, "y": T.BIGINT}


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


def test_a_pin_for_a_column_that_is_not_there_is_noted() -> None:
    inferred = infer_values(["1"], options=ReadOptions(column_types={"y": T.TEXT}))
    assert inferred.decision("pinned type of y") == "not applied: the file has no such column"


def test_nul_characters_are_removed_and_counted() -> None:
    inferred = infer_values(["a", "b\0c", None])
    (misfit,) = inferred.layer.misfits
    assert inferred.values("x") == ["a", "bc", None]
    assert (misfit.column, misfit.count, misfit.examples) == ("x", 1, ((2, "b\0c"),))


def test_json_is_canonical_and_what_jsonb_cannot_hold_is_a_misfit() -> None:
    marked = pa.array(
        ['{"bb":1.50,"a":[1e2,-0.0]}', '{"a":1,"a":2}', '"\\u0000"', '"\\ud800"', "NaN", "null"]
    )
    options = ReadOptions(column_types={"x": T.JSONB})
    inferred = infer_columns({"x": marked}, options=options, file_format="geojson")
    assert inferred.values("x") == ['{"a": [100, 0.0], "bb": 1.50}', *[None] * 4, "null"]
    assert inferred.layer.misfits[0].count == 4


def test_more_columns_than_a_table_takes_are_refused() -> None:
    with pytest.raises(TooManyColumnsError):
        infer_columns({f"c{number}": ["1"] for number in range(1_598)})


def test_a_file_without_rows_gives_an_empty_table() -> None:
    inferred = infer_columns({"a": [], "b": []})
    assert (inferred.types, inferred.layer.row_count) == ({"a": T.TEXT, "b": T.TEXT}, 0)
