"""Where geometry comes from, and what becomes of shapes on their way to the table."""

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
from synctables.importer.infer.geometry_text import shapes_of_texts
from synctables.importer.infer.projection import MAX_LATITUDE, webmercator
from synctables.importer.model import ASSUMED_CRS, Column, ColumnType, ReadOptions
from tests.support.inferring import Inferred, infer_columns

MADRID = shapely.Point(-3.7, 40.4)
KML_POLYGON = (
    "<Polygon><outerBoundaryIs><LinearRing><coordinates>0,0,5 1,0,5 1,1,5 0,0,5</coordinates>"
    "</LinearRing></outerBoundaryIs></Polygon>"
)
BOMB = '<!DOCTYPE x [<!ENTITY a "1,2">]><Point><coordinates>&a;</coordinates></Point>'


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


# --- geometry as text ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("POINT(1 2)", "POINT (1 2)"),
        ("  point (1 2) ", "POINT (1 2)"),
        ("SRID=4326;POINT(1 2)", "POINT (1 2)"),
        ("POINT Z (1 2 3)", "POINT Z (1 2 3)"),
        (shapely.to_wkb(shapely.Point(1, 2), hex=True), "POINT (1 2)"),
        (shapely.to_wkb(shapely.Point(1, 2), hex=True).lower(), "POINT (1 2)"),
        ('{"type":"Point","coordinates":[1,2]}', "POINT (1 2)"),
        (
            '{"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1],[0,0]]]]}',
            "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))",
        ),
        ("<Point><coordinates>1,2,3</coordinates></Point>", "POINT (1 2)"),
        ("<LineString><coordinates>0,0 1,1</coordinates></LineString>", "LINESTRING (0 0, 1 1)"),
        (KML_POLYGON, "POLYGON ((0 0, 1 0, 1 1, 0 0))"),
        (
            f"<MultiGeometry>{KML_POLYGON}{KML_POLYGON}</MultiGeometry>",
            "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((0 0, 1 0, 1 1, 0 0)))",
        ),
        ("POINT (nan 2)", "POINT (NaN 2)"),
        ("abc", None),
        ("", None),
        ("POINT(1", None),
        ("{}", None),
        ('{"type":"Point"}', None),
        ("<Point/>", None),
        ("<Point><coordinates>1</coordinates></Point>", None),
        ("<Polygon><LinearRing/></Polygon>", None),
        ("<Point", None),
        (BOMB, None),
        ("SRID=abc;POINT(1 2)", None),
        ("0102030405060708090a", None),
        ("POLYGON((0 0, 1 1))", None),
    ],
)
def test_text_is_read_as_a_shape_in_the_notation_that_it_uses(text: str, shape: str | None) -> None:
    (found,) = shapes_of_texts([text])
    assert (None if found is None else shapely.to_wkt(found)) == shape


def test_a_column_by_a_geometrys_name_becomes_the_geometry() -> None:
    inferred = infer_columns({"id": ["1", "2"], "WKT": ["POINT(1 2)", ""]})
    assert list(inferred.columns) == ["id"]
    assert inferred.shapes() == ["POINT (1 2)", None]
    assert inferred.decision("geometry") == 'from the field "WKT": 1 of 1 values are shapes'


def test_a_column_named_the_geom_is_taken_before_another() -> None:
    inferred = infer_columns({"wkt": ["POINT(1 2)"], "the_geom": ["POINT(3 4)"]})
    assert inferred.shapes() == ["POINT (3 4)"]
    assert inferred.types == {"wkt": "text"}


def test_ewkb_and_ewkt_are_reprojected_by_their_own_srid() -> None:
    place = shapely.set_srid(shapely.Point(440_000, 4_470_000), 25830)
    texts = [shapely.to_wkb(place, hex=True, include_srid=True), "SRID=25830;POINT(440000 4470000)"]
    inferred = infer_columns({"the_geom": texts})
    for shape in shapely.from_wkb(inferred.values("the_geom")):
        assert (shape.x, shape.y) == pytest.approx((-3.70682, 40.37843), abs=1e-5)


def test_values_that_name_their_coordinate_system_may_lie_beyond_the_antimeridian() -> None:
    inferred = infer_columns({"the_geom": ["SRID=4326;POINT(190 5)"]})
    assert inferred.shapes() == ["POINT (190 5)"]
    assert inferred.decision("coordinate system") == "EPSG:4326: as each value says"


def test_values_that_are_no_shapes_become_null_and_are_counted() -> None:
    inferred = infer_columns({"geom": ["POINT(1 2)", "unknown", "POINT(3 4)"]})
    assert inferred.shapes() == ["POINT (1 2)", None, "POINT (3 4)"]
    (misfit,) = inferred.layer.misfits
    assert (misfit.reason, misfit.examples) == ("not a shape", ((2, "unknown"),))


def test_a_column_that_holds_mostly_something_else_stays_a_column() -> None:
    inferred = infer_columns({"geometry": ["cone", "cube", "POINT(1 2)"]})
    assert inferred.values("geometry") == ["cone", "cube", "POINT(1 2)"]
    assert inferred.shapes() == [None, None, None]
    assert inferred.layer.misfits == ()
    assert inferred.decision("geometry") == ('none: 2 of 3 values of "geometry" are no shapes')


def test_an_empty_geometry_column_is_dropped_and_degrees_are_taken() -> None:
    inferred = infer_columns({"the_geom": ["", None], "lat": ["1", "2"], "lon": ["3", "4"]})
    assert list(inferred.columns) == ["lat", "lon"]
    assert inferred.shapes() == ["POINT (3 1)", "POINT (4 2)"]


def test_a_geometry_column_of_a_layer_with_its_own_shapes_stays_a_column() -> None:
    inferred = infer_columns(
        {"the_geom": pa.array(["POINT(1 2)"])}, shapes=[MADRID], crs="EPSG:4326"
    )
    assert inferred.types == {"the_geom_1": "text"}
    assert inferred.shapes() == ["POINT (-3.7 40.4)"]


def test_a_column_that_the_table_has_is_never_taken_as_geometry() -> None:
    contract = (Column(name="geometry", field="geometry", type=ColumnType.TEXT),)
    inferred = infer_columns({"geometry": ["POINT(1 2)"]}, options=ReadOptions(contract=contract))
    assert inferred.types == {"geometry": "text"}


# --- geometry from latitude and longitude --------------------------------------------------------


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        ("40.4", "-3.7"),
        ("40,4", "-3,7"),
        ("40.4°", "-3.7 °"),
        ("40.4N", "3.7 W"),
        (" 40.4", "-3.7 "),
        ("+40.4", "-3.70"),
        ("4.04e1", "-0.37e1"),
        ("40º 24'", "-3°42'"),
        ("40°24'00\"N", "3°42'0,0\" W"),
        ("40° 24\u2032 0\u2033 n", "3° 42\u2032 0.0\u2033 w"),
        ("40°23.9999999999'", "3°42'00''W"),
    ],
)
def test_degrees_are_read_as_people_write_them(latitude: str, longitude: str) -> None:
    inferred = infer_columns({"Latitude": [latitude], "LNG": [longitude]})
    (place,) = shapely.from_wkb(inferred.values("the_geom"))
    assert (place.x, place.y) == pytest.approx((-3.7, 40.4))
    assert inferred.layer.geometry_types == ("Point",)
    assert list(inferred.columns) == ["latitude", "lng"]


def test_columns_of_degrees_keep_their_values() -> None:
    inferred = infer_columns({"lat": ["40,4", "x"], "lon": ["-3,7", "1"]})
    assert inferred.values("lat") == ["40,4", "x"]


def test_a_row_that_lacks_one_of_the_two_has_no_geometry() -> None:
    inferred = infer_columns({"lat": ["1", "", "3"], "lon": ["1", "2", None]})
    assert inferred.shapes() == ["POINT (1 1)", None, None]
    assert inferred.layer.misfits == ()


def test_the_point_where_equator_and_meridian_meet_is_a_point() -> None:
    assert infer_columns({"lat": ["0"], "lon": ["0"]}).shapes() == ["POINT (0 0)"]


@pytest.mark.parametrize("text", ["40°60'N", "40°24'60\"N", "40 24 00", "40°24", "1040°24'N"])
def test_minutes_that_are_none_make_no_degrees(text: str) -> None:
    assert infer_columns({"lat": [text], "lon": ["1"]}).shapes() == [None]


def test_cells_without_degrees_are_counted() -> None:
    inferred = infer_columns({"lat": ["1", "n/a"], "lon": ["1", "2"]})
    assert inferred.shapes() == ["POINT (1 1)", None]
    (misfit,) = inferred.layer.misfits
    assert (misfit.reason, misfit.examples) == ('no degrees in "lat"', ((2, "n/a"),))


def test_bytes_that_are_no_text_are_no_shape_and_are_counted() -> None:
    texts = pa.array([b"POINT (1 2)", b"\xff", b"POINT (3 4)"]).view(pa.string())
    inferred = infer_columns({"id": ["1", "2", "3"], "geom": texts}, file_format="parquet")
    assert inferred.shapes() == ["POINT (1 2)", None, "POINT (3 4)"]
    assert [misfit.reason for misfit in inferred.layer.misfits] == [
        "bytes that are no UTF-8 replaced",
        "not a shape",
    ]


@pytest.mark.parametrize("chunk_rows", [1, None])
@pytest.mark.parametrize(
    ("latitudes", "longitudes"),
    [(["40", "4470000"], ["1", "2"]), (["40", "41"], ["1", "181"]), (["-91", "0"], ["1", "2"])],
)
def test_one_value_out_of_range_means_that_they_are_no_degrees(
    latitudes: list[str], longitudes: list[str], chunk_rows: int | None
) -> None:
    inferred = infer_columns({"lat": latitudes, "lon": longitudes}, chunk_rows=chunk_rows)
    assert inferred.shapes() == [None, None]
    assert inferred.values("lat") == [int(text) for text in latitudes]
    assert inferred.layer.geometry_types == ()
    assert "beyond" in inferred.decision("geometry")


def test_degrees_in_the_cells_of_a_spreadsheet_are_taken_too() -> None:
    inferred = infer_columns(
        {"lat": pa.array([40.5, None]), "lon": pa.array([1, 2])}, file_format="xlsx"
    )
    assert inferred.shapes() == ["POINT (1 40.5)", None]


def test_without_guessing_degrees_make_no_geometry() -> None:
    inferred = infer_columns({"lat": ["1"], "lon": ["2"]}, options=ReadOptions(type_guessing=False))
    assert inferred.shapes() == [None]
