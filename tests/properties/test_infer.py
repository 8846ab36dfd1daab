"""Promises of the infer stage, for any values, headers, chunks and orders of rows."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import shapely
from hypothesis import assume, example, given
from hypothesis import strategies as st

from synctables.importer.infer.json_values import canonical_json
from synctables.importer.infer.names import column_names
from synctables.importer.infer.text_values import read_text
from synctables.importer.infer.types import Kind, Need, join, type_of
from synctables.importer.model import SYSTEM_COLUMNS, Column, ColumnType, ReadOptions
from synctables.importer.table_names import table_base_name
from tests.support.inferring import infer_columns, infer_values

T = ColumnType

# Values at the borders of the types: nearly numbers, nearly dates, words that mean something.
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
BLANKS = st.sampled_from(["", " ", "\t ", "\n"])
NUMBERS = st.from_regex(r"-?[0-9]{0,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
SHORT_NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,9})(\.[0-9]{1,5})?", fullmatch=True)
INTEGERS = st.integers(-(2**65), 2**65).map(str)
FLOATS = st.floats(allow_nan=False, allow_infinity=False).map(repr)
DAYS = st.from_regex(r"(19|20)[0-9]{2}(-(0[1-9]|1[0-3])-[0-3][0-9])", fullmatch=True)
DATES = st.dates().map(str) | st.dates().map(lambda day: f"{day:%Y/%m/%d}".rjust(10, "0"))
MOMENTS = st.datetimes(timezones=st.none() | st.just(dt.UTC)).map(str)
DAY_FIRST = st.dates(dt.date(1000, 1, 1)).map(lambda day: f"{day.day}/{day.month:02}/{day.year}")
TIMES = st.times().map(str) | st.from_regex(r"[0-2][0-9]:[0-6][0-9]", fullmatch=True)
BOOLEANS = st.sampled_from(["true", "false", "t", "f", "True", "F", "yes", "1"])
FAMILIES = [
    WORDS, NUMBERS, SHORT_NUMBERS, INTEGERS, FLOATS,
    DAYS, DATES, MOMENTS, DAY_FIRST, TIMES, BOOLEANS,
]  # fmt: skip


@st.composite
def columns(draw: st.DrawFn) -> list[str | None]:
    """Values mostly of one family, with blanks and now and then a stranger."""
    family = draw(st.sampled_from(FAMILIES))
    other = draw(st.sampled_from([family, family, family, *FAMILIES]))
    return draw(st.lists(family | other | BLANKS | st.none(), min_size=1, max_size=12))


def _present(values: list[str | None]) -> list[str]:
    return [value for value in values if value is not None and value.strip(" \t\n\r\f")]


@example(values=["0.0", "1000000000000000.0"], first=1, second=2)
@given(columns(), st.integers(1, 5), st.integers(1, 5))
def test_the_size_of_chunks_changes_nothing(
    values: list[str | None], first: int, second: int
) -> None:
    one, other = (infer_values(values, chunk_rows=rows) for rows in (first, second))
    assert one.table.equals(other.table)
    assert one.layer.columns == other.layer.columns
    assert one.layer.misfits == other.layer.misfits


@given(columns(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(values: list[str | None], random: Any) -> None:
    order = random.sample(range(len(values)), len(values))
    one = infer_values(values)
    other = infer_values([values[index] for index in order])
    assert other.types == one.types
    assert other.table.equals(one.table.take(order))


@given(columns())
def test_no_value_loses_its_identity(values: list[str | None]) -> None:
    inferred = infer_values(values)
    column = inferred.columns["x"]
    for original, typed in zip(values, inferred.values("x"), strict=True):
        if column.type is T.TEXT:
            assert typed == original
        elif original is None or not _present([original]):
            assert typed is None
        else:
            assert IDENTITIES[column.type](original, typed, column), (original, typed)


@given(st.lists(WORDS | st.none(), min_size=1, max_size=8))
def test_text_is_always_allowed(values: list[str | None]) -> None:
    options = ReadOptions(type_guessing=False)
    assert infer_values(values, options=options).values("x") == values


def _same_double(original: str, typed: float, _: Column) -> bool:
    digits = re.sub(r"[eE].*", "", original).lstrip("-0.").replace(".", "")
    kept = Decimal(original) == Decimal(repr(typed))
    signed = original.startswith("-") == (str(typed)[0] == "-")
    return kept and signed and _is_plain(original) and len(digits.rstrip("0")) <= 15


def _is_plain(number: str) -> bool:
    """No leading zeros, no plus sign, no exponent without a point."""
    return re.fullmatch(r"-?(0|[1-9]\d*)?(\.\d+([eE][+-]?\d+)?)?", number) is not None


def _same_date(original: str, typed: dt.date, column: Column) -> bool:
    if "day/month/year" in column.reason:
        return original == f"{typed.day}/{typed.month:02}/{typed.year}"
    if "month/day/year" in column.reason:
        return original == f"{typed.month}/{typed.day:02}/{typed.year}"
    return original.replace("/", "-") == typed.isoformat()


def _same_moment(original: str, typed: dt.datetime, _: Column) -> bool:
    moment = dt.datetime.fromisoformat(original.replace("/", "-"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)) == typed


IDENTITIES: dict[ColumnType, Callable[[str, Any, Column], bool]] = {
    T.BOOLEAN: lambda original, typed, _: original.lower() in (str(typed).lower(), "ft"[typed]),
    T.BIGINT: lambda original, typed, _: original == str(typed),
    T.DOUBLE: _same_double,
    T.NUMERIC: lambda original, typed, _: _is_plain(original) and Decimal(original) == typed,
    T.DATE: _same_date,
    T.TIMESTAMPTZ: _same_moment,
    T.TIME: lambda original, typed, _: dt.time.fromisoformat(original) == typed,
}


@given(columns(), columns())
def test_the_need_of_many_values_is_the_join_of_theirs(
    first: list[str | None], second: list[str | None]
) -> None:
    both = join(_need(first), _need(second))
    assert both == join(_need(second), _need(first))
    assert type_of(both) == type_of(_need([*first, *second]))


@given(columns(), columns(), columns())
def test_joining_needs_is_associative_and_idempotent(
    first: list[str | None], second: list[str | None], third: list[str | None]
) -> None:
    one, two, three = _need(first), _need(second), _need(third)
    assert join(join(one, two), three) == join(one, join(two, three))
    assert join(one, one) == one


@given(columns(), st.sampled_from(Kind))
def test_what_is_expected_of_a_chunk_changes_no_need(
    values: list[str | None], expected: Kind
) -> None:
    assume(expected is not Kind.TEXT)
    assert read_text(pa.array(values, pa.string()), expected=expected).need == _need(values)


def _need(values: list[str | None]) -> Need:
    return read_text(pa.array(values, pa.string()), expected=Kind.NOTHING).need


@given(columns())
def test_the_same_file_again_changes_no_column(values: list[str | None]) -> None:
    first = infer_values(values)
    again = infer_values(values, options=ReadOptions(contract=first.layer.columns))
    assert again.types == first.types
    assert again.table.equals(first.table)


@given(columns(), columns())
def test_a_later_version_never_narrows_a_type(
    first: list[str | None], second: list[str | None]
) -> None:
    contract = infer_values(first).layer.columns
    later = infer_values(second, options=ReadOptions(contract=contract)).columns["x"]
    if later.type is not contract[0].type:
        assert later.type in WIDER[contract[0].type]
        assert later.reason.startswith(f"widened from {contract[0].type}: row ")


WIDER = {
    T.BOOLEAN: {T.TEXT},
    T.BIGINT: {T.DOUBLE, T.NUMERIC, T.TEXT},
    T.DOUBLE: {T.NUMERIC, T.TEXT},
    T.NUMERIC: {T.TEXT},
    T.DATE: {T.TIMESTAMPTZ, T.TEXT},
    T.TIMESTAMPTZ: {T.TEXT},
    T.TIME: {T.TEXT},
    T.TEXT: set(),
}


@given(columns(), st.sampled_from(ColumnType))
def test_under_a_pin_every_value_fits_or_is_counted(
    values: list[str | None], pin: ColumnType
) -> None:
    inferred = infer_values(values, options=ReadOptions(column_types={"x": pin}))
    assert inferred.types["x"] == pin
    typed = inferred.values("x")
    missing = sum(
        value is None and bool(_present([original]))
        for original, value in zip(values, typed, strict=True)
    )
    assert missing == sum(misfit.count for misfit in inferred.layer.misfits)


@given(st.lists(st.text(max_size=80) | st.sampled_from(["a", "A", "select", ""]), max_size=30))
def test_any_header_gives_unique_legal_names_the_same_each_time(headers: list[str]) -> None:
    names = column_names(headers)
    assert names == column_names(headers)
    assert len(set(names) | set(SYSTEM_COLUMNS)) == len(headers) + len(SYSTEM_COLUMNS)
    for name in names:
        assert re.fullmatch(r"[a-z_][a-z0-9_]*", name)
        assert len(name.encode()) <= 63


@given(st.lists(WORDS, min_size=1, max_size=8), st.lists(WORDS, max_size=8))
def test_columns_keep_their_names_whatever_comes_beside_them(
    headers: list[str], more: list[str]
) -> None:
    assume(len(set(headers)) == len(headers) and all(headers))
    first = infer_columns([(header, ["a"]) for header in headers])
    wider = infer_columns(
        [(header, ["a"]) for header in [*more, *headers] if header],
        options=ReadOptions(contract=first.layer.columns),
    )
    names = [column.name for column in wider.layer.columns]
    assert len(set(names)) == len(names)
    assert {column.name for column in first.layer.columns} <= set(names)


@given(st.text(max_size=90))
def test_any_file_name_gives_a_legal_table_name(file_name: str) -> None:
    name = table_base_name(file_name)
    assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
    assert len(name.encode()) <= 63


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(JSON)
def test_canonical_json_means_the_same_and_is_stable(value: Any) -> None:
    text = json.dumps(value)
    canonical = canonical_json(text)
    assert canonical_json(canonical) == canonical
    assert _exact(canonical) == _exact(text)


def _exact(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


@given(
    st.lists(
        st.tuples(st.floats(-180, 180), st.floats(-90, 90)) | st.none(), min_size=1, max_size=8
    ),
    st.sampled_from(["wkt", "hex", "geojson", "degrees", "wkb"]),
)
def test_points_come_back_the_same_from_every_notation(
    points: list[tuple[float, float] | None], notation: str
) -> None:
    shapes = [None if point is None else shapely.Point(point) for point in points]
    write = {
        "wkt": lambda shape: f"POINT ({shape.x!r} {shape.y!r})",
        "hex": lambda shape: shapely.to_wkb(shape, hex=True),
        "geojson": shapely.to_geojson,
    }
    if notation == "degrees":
        fields = {
            "lat": [p and repr(p[1]) for p in points],
            "lon": [p and repr(p[0]) for p in points],
        }
        inferred = infer_columns(fields)
    elif notation == "wkb":
        inferred = infer_columns({"id": ["1"] * len(points)}, shapes=shapes, crs="EPSG:4326")
    else:
        texts = [shape and write[notation](shape) for shape in shapes]
        inferred = infer_columns({"id": ["1"] * len(points), "geom": texts})
    found = shapely.from_wkb(inferred.values("the_geom"))
    assert [shape and (shape.x, shape.y) for shape in found] == points
