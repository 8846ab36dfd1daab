"""Shapes that a file has of its own, and what becomes of them on their way to the table."""

from __future__ import annotations

import math
import struct

import numpy as np
import pyarrow as pa
import pyproj
import pytest
import shapely
from shapely import wkt

from synctables.errors import InvalidGeometriesError, UnknownSridError
from synctables.importer.infer.geometry_sources import UNREADABLE_SHAPE
from synctables.importer.infer.projection import MAX_LATITUDE, webmercator
from synctables.importer.model import ASSUMED_CRS
from tests.support.inferring import Inferred, infer_columns

MADRID = shapely.Point(-3.7, 40.4)


def infer_shapes(*shapes: shapely.Geometry | None, crs: str | None = "EPSG:4326") -> Inferred:
    return infer_columns({"id": pa.array(range(len(shapes)))}, shapes=shapes, crs=crs)


def reasons(inferred: Inferred) -> dict[str, int]:
    return {misfit.reason: misfit.count for misfit in inferred.layer.misfits}


# --- shapes of geospatial formats ----------------------------------------------------------------


def test_both_geometries_are_little_endian_ewkb_with_their_srid() -> None:
    inferred = infer_shapes(MADRID)
    assert inferred.values("the_geom")[0][:9].hex() == "0101000020e6100000"
    assert inferred.values("the_geom_webmercator")[0][:9].hex() == "0101000020110f0000"


@pytest.mark.parametrize(
    "text",
    [
        "POINT (1 2)",
        "MULTIPOINT ((1 2), (3 4))",
        "LINESTRING (0 0, 1 1)",
        "MULTILINESTRING ((0 0, 1 1), (2 2, 3 3))",
        "POLYGON ((0 0, 1 0, 1 1, 0 0))",
        "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))",
        "GEOMETRYCOLLECTION (POINT (1 2), LINESTRING (0 0, 1 1))",
    ],
)
def test_every_type_of_shape_is_kept_as_it_is(text: str) -> None:
    assert infer_shapes(wkt.loads(text)).shapes() == [text]


def test_mixed_types_and_rows_without_geometry_stay() -> None:
    inferred = infer_shapes(MADRID, None, wkt.loads("LINESTRING (0 0, 1 1)"))
    assert inferred.shapes() == ["POINT (-3.7 40.4)", None, "LINESTRING (0 0, 1 1)"]
    assert inferred.layer.geometry_types == ("LineString", "Point")
    assert inferred.layer.row_count == 3


def test_z_and_m_are_dropped_with_a_note() -> None:
    inferred = infer_shapes(wkt.loads("POINT ZM (1 2 3 4)"), wkt.loads("POINT Z (1 2 3)"))
    assert inferred.shapes() == ["POINT (1 2)", "POINT (1 2)"]
    assert inferred.decision("geometry") == "Z and M values dropped: 2 shapes"


def test_empty_shapes_become_null_with_a_note() -> None:
    inferred = infer_shapes(wkt.loads("POINT EMPTY"), MADRID)
    assert inferred.shapes() == [None, "POINT (-3.7 40.4)"]
    assert inferred.decision("geometry") == "empty shapes are NULL: 1 shapes"


def test_coordinates_that_are_no_numbers_become_null_and_are_counted() -> None:
    inferred = _infer_wkb(struct.pack("<BII4d", 1, 2, 2, 0, math.nan, 1, 1))
    assert inferred.shapes() == ["POINT (-3.7 40.4)", None]
    assert infer_shapes(shapely.Point(math.inf, 0)).shapes() == [None]
    assert reasons(inferred) == {"coordinates without a place": 1}


@pytest.mark.parametrize("crs", ["EPSG:25830", pyproj.CRS.from_epsg(25830).to_wkt()])
def test_coordinates_are_reprojected_from_what_proj_knows(crs: str) -> None:
    (place,) = shapely.from_wkb(
        infer_shapes(shapely.Point(440_000, 4_470_000), crs=crs).values("the_geom")
    )
    assert (place.x, place.y) == pytest.approx((-3.70682, 40.37843), abs=1e-5)


def test_a_reprojection_that_has_no_place_on_earth_is_a_misfit() -> None:
    inferred = infer_shapes(
        shapely.Point(1e12, 1e12), shapely.Point(440_000, 4_470_000), crs="EPSG:25830"
    )
    assert inferred.shapes()[0] is None
    assert reasons(inferred) == {"coordinates without a place": 1}


def test_longitude_comes_first_whatever_the_authority_says() -> None:
    assert infer_shapes(MADRID, crs="EPSG:4326").shapes() == ["POINT (-3.7 40.4)"]
    assert infer_shapes(MADRID, crs="OGC:CRS84").shapes() == ["POINT (-3.7 40.4)"]


def test_without_a_coordinate_system_degrees_are_assumed_where_all_fit() -> None:
    inferred = infer_shapes(MADRID, crs=None)
    assert inferred.shapes() == ["POINT (-3.7 40.4)"]
    assert inferred.decision("coordinate system") == (
        "EPSG:4326: the file names none; all are in range"
    )


def test_without_a_coordinate_system_one_row_out_of_range_is_an_error() -> None:
    with pytest.raises(UnknownSridError, match="row 2 lies at 440000"):
        infer_shapes(MADRID, shapely.Point(440_000, 4_470_000), crs=None)


@pytest.mark.parametrize(
    "place", [shapely.Point(440_000, 4_470_000), shapely.LineString([(0, 0), (1, 90.1)])]
)
def test_a_geojson_that_names_no_system_and_holds_no_degrees_is_an_error(
    place: shapely.Geometry,
) -> None:
    with pytest.raises(UnknownSridError, match="names no coordinate system, and row 2 lies"):
        infer_shapes(MADRID, place, crs=ASSUMED_CRS)


def test_a_geojson_may_go_beyond_the_antimeridian_and_a_little_beyond_a_pole() -> None:
    inferred = infer_shapes(shapely.Point(190.5, 90.0000000001), crs=ASSUMED_CRS)
    assert inferred.shapes() == ["POINT (190.5 90)"]
    assert inferred.decision("coordinate system") == (
        "OGC:CRS84: the file names none; all are in range"
    )


@pytest.mark.parametrize("crs", ["EPSG:999999", "not a crs", 'PROJCS["broken"'])
def test_a_coordinate_system_that_proj_does_not_know_is_an_error(crs: str) -> None:
    with pytest.raises(UnknownSridError):
        infer_shapes(MADRID, crs=crs)


def test_a_self_intersecting_polygon_is_repaired_to_a_polygon_and_counted() -> None:
    inferred = infer_shapes(wkt.loads("POLYGON ((0 0, 2 2, 2 0, 0 2, 0 0))"), MADRID)
    (shape, _) = shapely.from_wkb(inferred.values("the_geom"))
    assert (shape.geom_type, shape.is_valid, shape.area) == ("MultiPolygon", True, 2.0)
    assert reasons(inferred) == {"invalid polygon, repaired": 1}


def test_a_polygon_without_area_becomes_the_line_that_it_is() -> None:
    inferred = infer_shapes(wkt.loads("POLYGON ((0 0, 1 1, 0 0, 0 0))"))
    (shape,) = shapely.from_wkb(inferred.values("the_geom"))
    assert shape.geom_type == "LineString"
    assert reasons(inferred) == {"invalid polygon, repaired": 1}


def _infer_wkb(blob: bytes) -> Inferred:
    return infer_columns(
        {"id": pa.array([1, 2])},
        shapes=(MADRID, MADRID),
        crs="EPSG:4326",
        replace_wkb={1: blob},
    )


def test_a_ring_that_is_not_closed_is_closed_and_counted() -> None:
    inferred = _infer_wkb(struct.pack("<BIII6d", 1, 3, 1, 3, 0, 0, 1, 0, 1, 1))
    assert inferred.shapes()[1] == "POLYGON ((0 0, 1 0, 1 1, 0 0))"
    assert reasons(inferred) == {"ring that was not closed, closed": 1}


@pytest.mark.parametrize(
    "blob",
    [
        b"\x01\x02",
        b"",
        struct.pack("<BIII2d", 1, 3, 1, 1, 0, 0),
        struct.pack("<BII", 1, 2, 1 << 30),
    ],
)
def test_bytes_that_are_no_shape_at_all_are_an_error(blob: bytes) -> None:
    with pytest.raises(InvalidGeometriesError, match="row 2"):
        _infer_wkb(blob)


def test_a_shape_that_the_reader_could_not_read_is_null_and_counted() -> None:
    inferred = _infer_wkb(UNREADABLE_SHAPE)
    assert inferred.shapes()[1] is None
    assert reasons(inferred) == {"a shape that cannot be read, kept as NULL": 1}


# --- webmercator ---------------------------------------------------------------------------------


def test_webmercator_agrees_with_proj() -> None:
    longitude = np.linspace(-180, 180, 37)
    latitude = np.linspace(-85, 85, 37)
    to_mercator = pyproj.Transformer.from_crs(4326, 3857, always_xy=True)
    expected = to_mercator.transform(longitude, latitude)
    for got, wanted in zip(webmercator(longitude, latitude), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-6)


def test_webmercator_is_finite_where_the_projection_is_not() -> None:
    x, y = webmercator(np.array([190.0, 0.0, 0.0]), np.array([91.0, -90.0, MAX_LATITUDE]))
    half_world = math.pi * 6_378_137
    np.testing.assert_allclose(y, [half_world, -half_world, half_world], atol=1e-3)
    assert x[0] > half_world


def test_a_geometry_column_of_a_layer_with_its_own_shapes_stays_a_column() -> None:
    inferred = infer_columns(
        {"the_geom": pa.array(["POINT(1 2)"])}, shapes=[MADRID], crs="EPSG:4326"
    )
    assert inferred.types == {"the_geom_1": "text"}
    assert inferred.shapes() == ["POINT (-3.7 40.4)"]
