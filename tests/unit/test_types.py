"""Which type the values of a column get, and that none of them changes."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from synctables.errors import TooManyColumnsError
from synctables.importer.model import ColumnType, ReadOptions
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


def test_nul_characters_are_removed_and_counted() -> None:
    inferred = infer_values(["a", "b\0c", None])
    (misfit,) = inferred.layer.misfits
    assert inferred.values("x") == ["a", "bc", None]
    assert (misfit.column, misfit.count, misfit.examples) == ("x", 1, ((2, "b\0c"),))


def test_more_columns_than_a_table_takes_are_refused() -> None:
    with pytest.raises(TooManyColumnsError):
        infer_columns({f"c{number}": ["1"] for number in range(1_598)})


def test_a_file_without_rows_gives_an_empty_table() -> None:
    inferred = infer_columns({"a": [], "b": []})
    assert (inferred.types, inferred.layer.row_count) == ({"a": T.TEXT, "b": T.TEXT}, 0)
