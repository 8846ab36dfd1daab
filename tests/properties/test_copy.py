"""What is sent to PostgreSQL is what PostgreSQL keeps: COPY in, then COPY out, byte for byte."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from synctables.importer.apply.columns import column_definitions
from synctables.importer.apply.copying import encoded_batches
from synctables.importer.model import ColumnType, ReadOptions
from synctables.localpg import LocalCluster
from tests.conftest import clone_database
from tests.support.arrow_files import write_typed_file
from tests.support.inferring import Inferred, infer_columns

T = ColumnType


@pytest.fixture(scope="module")
def session(cluster: LocalCluster) -> Iterator[psycopg.Connection[Any]]:
    with clone_database(cluster) as url, psycopg.connect(url) as connection:
        yield connection


@st.composite
def arrays(
    draw: st.DrawFn, arrow: pa.DataType, values: st.SearchStrategy[Any], stored: pa.DataType = None
) -> pa.Array:
    """A few values, and NULLs; ``stored``: the type whose bits they are."""
    array = pa.array(draw(st.lists(st.none() | values, min_size=1, max_size=10)), arrow)
    return array if stored is None else array.view(stored)


@st.composite
def decimals(draw: st.DrawFn) -> pa.Array:
    scale = draw(st.integers(0, 38))
    digits = st.integers(1 - 10**38, 10**38 - 1) | st.integers(-99, 99).map((10**scale).__mul__)
    in_range = digits.filter(lambda number: abs(number) < 10**38)
    numbers = in_range.map(lambda number: Decimal(number).scaleb(-scale, Context(prec=76)))
    return draw(arrays(pa.decimal128(38, scale), numbers))


ANY_INT64 = st.integers(-(2**63), 2**63 - 1)
NANS = st.integers(0xFFF0 << 48 | 1, 2**64 - 1) | st.integers(0x7FF0 << 48 | 1, 2**63 - 1)
BITS = NANS | st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 1 << 63, 0x7FF0 << 48])
SECONDS = st.integers(-210_866_803_201, 9_223_371_331_200)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
COLUMNS = st.one_of(
    arrays(pa.bool_(), st.booleans()),
    arrays(pa.int64(), ANY_INT64),
    arrays(pa.uint64(), st.integers(0, 2**64 - 1)),
    arrays(pa.uint64(), BITS, pa.float64()),
    arrays(pa.float32(), st.floats(width=32)),
    decimals(),
    arrays(pa.date32(), st.dates()),
    arrays(pa.int32(), st.integers(-(2**31), 2**31 - 1), pa.date32()),
    *(
        arrays(pa.int64(), ANY_INT64 | SECONDS, pa.timestamp(unit, zone))
        for unit in ("s", "ms", "us", "ns")
        for zone in (None, "UTC", "+02:00")
    ),
    arrays(pa.time64("us"), st.times()),
    arrays(pa.int64(), ANY_INT64, pa.time64("ns")),
    arrays(pa.binary(), st.binary(max_size=40)),
    arrays(pa.string(), TEXTS),
    arrays(pa.binary(), st.binary(max_size=20) | st.just(b"\xed\xa0\x80"), pa.string()),
)


@given(COLUMNS)
def test_values_of_any_type_are_kept_as_they_are_sent(
    session: psycopg.Connection[Any], values: pa.Array
) -> None:
    assert_kept(session, infer_columns({"x": values}, file_format="parquet"))


WRITTEN_NUMBERS = st.one_of(
    st.sampled_from(["-0.0", "0.0", "-0", "1.50", "1.5", "1e400", "nan", "-nan", "inf", ".5", ""]),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.from_regex(r"-?[0-9]{1,45}(\.[0-9]{0,40})?", fullmatch=True),
)


@pytest.mark.parametrize("pin", [None, T.DOUBLE, T.NUMERIC])
@given(values=st.lists(st.none() | WRITTEN_NUMBERS, min_size=1, max_size=6))
def test_numbers_as_they_are_written_are_kept(
    session: psycopg.Connection[Any], pin: ColumnType | None, values: list[str | None]
) -> None:
    options = ReadOptions(column_types={"x": pin} if pin else {})
    assert_kept(session, infer_columns({"x": values}, options=options))


def test_negative_zero_of_a_text_is_kept(session: psycopg.Connection[Any]) -> None:
    inferred = infer_columns({"x": ["0.0", "-0.0", "1.5"]})
    assert inferred.types == {"x": T.DOUBLE}
    assert [math.copysign(1, value) for value in inferred.values("x")] == [1, -1, 1]
    assert_kept(session, inferred)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip
JSON_TEXTS = st.one_of(
    JSON.map(json.dumps),
    JSON.map(lambda value: json.dumps(value, indent=1)),
    st.sampled_from(
        [
            "-0", "-0.00", "1.50", "1E3", "1e-20", "1e131072", "1e-16384", "1e-16383",
            '{"a": 1, "a": 2}', '"\\u0000"', '"\\ud800"', '"\x7f"', "nul", "NaN",
            '{"b": 1, "aa": 2, "a": 3, "é": 4, "": 5}', "[" * 5_000 + "]" * 5_000,
        ]
    ),
)  # fmt: skip


@given(st.lists(st.none() | JSON_TEXTS, min_size=1, max_size=6))
def test_jsonb_is_kept_as_it_is_sent(
    session: psycopg.Connection[Any], texts: list[str | None]
) -> None:
    options = ReadOptions(column_types={"x": T.JSONB})
    assert_kept(session, infer_columns({"x": texts}, options=options))


DEGREES = st.tuples(st.floats(-180, 180), st.floats(-90, 90))
LINES = st.lists(DEGREES, min_size=2, max_size=6)
RINGS = st.lists(DEGREES, min_size=3, max_size=6).map(lambda ring: [*ring, ring[0]])
SIMPLE_SHAPES = st.one_of(
    DEGREES.map(shapely.Point),
    st.tuples(st.floats(-180, 180), st.floats(-90, 90), st.floats()).map(shapely.Point),
    LINES.map(shapely.LineString),
    RINGS.map(shapely.Polygon),
    st.lists(DEGREES, max_size=4).map(shapely.MultiPoint),
    st.lists(LINES, max_size=3).map(shapely.MultiLineString),
    st.lists(RINGS.map(shapely.Polygon), max_size=3).map(shapely.MultiPolygon),
)
SHAPES = SIMPLE_SHAPES | st.lists(SIMPLE_SHAPES, max_size=3).map(shapely.GeometryCollection)


@given(st.lists(st.none() | SHAPES, min_size=1, max_size=5))
def test_shapes_of_every_kind_are_kept_as_they_are_sent(
    session: psycopg.Connection[Any], shapes: list[shapely.Geometry | None]
) -> None:
    fields = {"x": ["1"] * len(shapes)}
    assert_kept(session, infer_columns(fields, shapes=shapes, crs="EPSG:4326"))


def assert_kept(session: psycopg.Connection[Any], inferred: Inferred) -> None:
    """What COPY gives back of a table is what was sent to it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "0.arrow"
        write_typed_file(path, inferred.table)
        layer = replace(inferred.layer, path=path)
        sent = b"".join(content for content, _ in encoded_batches(layer, "id"))
    with session.transaction(force_rollback=True), session.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "CREATE TEMPORARY TABLE kept (id bigint, the_geom geometry(Geometry, 4326),"
                " the_geom_webmercator geometry(Geometry, 3857){})"
            ).format(column_definitions(layer.columns))
        )
        with cursor.copy("COPY kept FROM STDIN (FORMAT binary)") as copy:
            copy.write(sent)
        with cursor.copy("COPY kept TO STDOUT (FORMAT binary)") as copy:
            kept = b"".join(map(bytes, copy))
    assert kept == sent
