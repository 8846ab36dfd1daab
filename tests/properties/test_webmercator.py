"""The database's webmercator, for hand edits, gives what the worker's gives for files."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from synctables.importer.infer.projection import webmercator

Connection = AsyncConnection[DictRow]

LATITUDES = [
    -91,
    -90,
    -89.999,
    -85.06,
    -85.0511287798066,
    -1e-12,
    0,
    1 / 3,
    45,
    85.05112877,
    86,
    91,
]
LONGITUDES = [-540.5, -190, -180, -1e-300, -0.0, 1e-7, 10.75, 123.45678901234567, 180, 190]
SHAPES = [
    "POINT EMPTY",
    "LINESTRING(170 10,190 89)",
    "POLYGON((0 0,10 0,10 91,0 0),(1 1,2 1,2 2,1 1))",
    "MULTIPOINT(1 2,3 4)",
    "MULTILINESTRING((1 2,3 4),(5 6,7e-15 8))",
    "MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))",
    "GEOMETRYCOLLECTION(POINT(1.5 2.5),LINESTRING(0 0,-1 -1),POINT EMPTY)",
    "GEOMETRYCOLLECTION EMPTY",
]
ULPS = 4
"""The last bits, where two libraries' logarithm and tangent may differ."""


async def by_the_database(connection: Connection, shapes: list[bytes]) -> list[bytes]:
    cursor = await connection.execute(
        "SELECT ST_AsBinary(synctables.webmercator(ST_GeomFromWKB(shape, 4326))) AS shape"
        " FROM unnest(%s::bytea[]) WITH ORDINALITY AS given(shape, number) ORDER BY number",
        [shapes],
    )
    return [bytes(row["shape"]) for row in await cursor.fetchall()]


async def assert_the_same(connection: Connection, shapes: list[shapely.Geometry]) -> None:
    expected = shapely.transform(np.array(shapes), webmercator, interleaved=False)
    found = shapely.from_wkb(
        await by_the_database(connection, [bytes(shapely.to_wkb(shape)) for shape in shapes])
    )
    assert [shapely.get_type_id(shape) for shape in found] == [
        shapely.get_type_id(shape) for shape in shapes
    ]
    np.testing.assert_array_max_ulp(
        shapely.get_coordinates(found), shapely.get_coordinates(expected), maxulp=ULPS
    )


async def test_a_grid_with_latitudes_and_longitudes_beyond_the_map(connection: Connection) -> None:
    await assert_the_same(connection, [shapely.Point(x, y) for x in LONGITUDES for y in LATITUDES])


async def test_a_thousand_random_points(connection: Connection) -> None:
    source = np.random.default_rng(1)
    magnitudes = 10.0 ** source.integers(-12, 1, size=1_000)
    points = np.column_stack(
        [source.uniform(-190, 190, 1_000) * magnitudes, source.uniform(-91, 91, 1_000) * magnitudes]
    )
    await assert_the_same(connection, list(shapely.points(points)))


@pytest.mark.parametrize("shape", SHAPES)
async def test_every_type_of_shape(connection: Connection, shape: str) -> None:
    await assert_the_same(connection, [shapely.from_wkt(shape)])


@pytest.mark.parametrize("shape", ["POINT(NaN 1)", "LINESTRING(0 0,Infinity 1)"])
async def test_a_shape_with_a_coordinate_that_is_no_number_has_none(
    connection: Connection, shape: str
) -> None:
    cursor = await connection.execute(
        "SELECT synctables.webmercator(ST_GeomFromWKB(%s, 4326)) AS shape",
        [shapely.to_wkb(shapely.from_wkt(shape))],
    )
    assert await cursor.fetchone() == {"shape": None}


async def test_no_shape_has_none(connection: Connection) -> None:
    cursor = await connection.execute("SELECT synctables.webmercator(NULL) AS shape")
    assert await cursor.fetchone() == {"shape": None}
