"""Geometry that stands in columns: as text in any notation, or as latitude and longitude."""

from __future__ import annotations

import pyarrow as pa
import pytest
import shapely

from synctables.importer.infer.geometry_text import shapes_of_texts
from synctables.importer.model import Column, ColumnType, ReadOptions
from tests.support.inferring import infer_columns

KML_POLYGON = (
    "<Polygon><outerBoundaryIs><LinearRing><coordinates>0,0,5 1,0,5 1,1,5 0,0,5</coordinates>"
    "</LinearRing></outerBoundaryIs></Polygon>"
)
BOMB = '<!DOCTYPE x [<!ENTITY a "1,2">]><Point><coordinates>&a;</coordinates></Point>'


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
