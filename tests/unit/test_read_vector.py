"""GeoJSON, shapefile, GeoPackage and KML through GDAL with one driver."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING, Any

import pyogrio
import pytest
import shapely
from pyogrio.errors import DataSourceError

from synctables.errors import EmptyKmlError, InvalidGeoJsonError, InvalidShapefileError
from synctables.importer.model import ASSUMED_CRS
from synctables.importer.read.arrow import JSON_MARK
from synctables.importer.read.exact_features import UNREADABLE_SHAPE
from synctables.importer.read.gdal import DRIVERS, allow_only, registered_drivers
from tests.support.reading import (
    FILES,
    names_of,
    read_bytes,
    read_sample,
    rows_of,
    said_about,
    table_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from synctables.importer.model import Layer

UTC = datetime.UTC
CRS84 = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
UTM_30 = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::25830"}}


def read_features(folder: Path, *features: dict[str, Any], **more: Any) -> Layer:
    """A GeoJSON with these properties and (key ``geometry``) geometries."""
    collection = {
        "type": "FeatureCollection",
        **more,
        "features": [
            {"type": "Feature", "geometry": feature.pop("geometry", None), "properties": feature}
            for feature in features
        ],
    }
    content = json.dumps(collection).encode()
    (layer,) = read_bytes(folder, "things.geojson", content).layers
    return layer


def point(*coordinates: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": coordinates}


def shapes_of(layer: Layer) -> list[Any]:
    return [shapely.from_wkb(row[-1]) for row in rows_of(layer)]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        pytest.param([1, 2**40], "int64", [1, 2**40], id="integers"),
        pytest.param([1, 2.5], "double", [1.0, 2.5], id="numbers"),
        pytest.param([True, None], "bool", [True, None], id="booleans"),
        pytest.param(["a", ""], "string", ["a", ""], id="an empty text is no null"),
        pytest.param(["12", "007"], "string", ["12", "007"], id="figures in text"),
        pytest.param([1, "a"], "string", ["1", "a"], id="mixed scalars are text"),
        pytest.param(["2026-01-02T03:04:05.123456Z"], "string", ["2026-01-02T03:04:05.123456Z"],
                     id="moments keep their microseconds"),
    ],
)  # fmt: skip
def test_geojson_properties(
    tmp_path: Path, values: list[Any], kind: str, expected: list[Any]
) -> None:
    layer = read_features(tmp_path, *({"v": value} for value in values))
    column = table_of(layer).column(0)
    assert (str(column.type), column.to_pylist()) == (kind, expected)
    assert (table_of(layer).schema.field(0).metadata or {}) != JSON_MARK


def test_a_property_called_id_stands_once(tmp_path: Path) -> None:
    layer = read_features(tmp_path, {"id": 1, "name": "a"}, {"id": 2, "name": "b"})
    assert names_of(layer) == ["id", "name"]


def test_text_that_is_a_moment_throughout_may_be_guessed(tmp_path: Path) -> None:
    layer = read_features(tmp_path, {"day": "2026-01-02", "name": "x", "code": "12"})
    guessable = [field.name for field in layer.fields if field.is_text_to_guess]
    assert guessable == ["day"]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([{"a": [1, 2]}, {"b": None}], id="objects"),
        pytest.param([[1, 2], []], id="lists of numbers"),
        pytest.param([["a", "é"], None], id="lists of text"),
        pytest.param([[{"a": 1}], {"b": 2}], id="both"),
    ],
)
def test_nested_values_are_json(tmp_path: Path, values: list[Any]) -> None:
    table = table_of(read_features(tmp_path, *({"v": value} for value in values)))
    assert table.schema.field(0).metadata == JSON_MARK
    found = [None if text is None else json.loads(text) for text in table.column(0).to_pylist()]
    assert found == values


def test_geometries_are_flat_and_missing_ones_null(tmp_path: Path) -> None:
    line = {"type": "LineString", "coordinates": [[1, 2, 3], [4, 5, 6]]}
    layer = read_features(
        tmp_path, {"geometry": point(1, 2, 3)}, {"geometry": None}, {"geometry": line}
    )
    assert shapes_of(layer) == [shapely.Point(1, 2), None, shapely.LineString([(1, 2), (4, 5)])]
    assert not any(shape.has_z for shape in shapes_of(layer) if shape)
    assert said_about(layer)["geometry"] == "2D"


@pytest.mark.parametrize(
    ("more", "crs"),
    [
        pytest.param({}, ASSUMED_CRS, id="by default"),
        pytest.param({"crs": CRS84}, "EPSG:4326", id="where it says what is the default"),
        pytest.param({"crs": UTM_30}, "EPSG:25830", id="by its crs member"),
    ],
)  # fmt: skip
def test_geojson_crs(tmp_path: Path, more: dict[str, Any], crs: str) -> None:
    assert read_features(tmp_path, {"geometry": point(1, 2)}, **more).crs == crs
    assert read_features(tmp_path, {"geometry": point(1, 2, 3)}, **more).crs == crs


def many_features() -> bytes:
    features = [
        {"type": "Feature", "properties": {"i": index}, "geometry": point(1, 2)}
        for index in range(5_000)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(many_features()[:-9_000], id="cut off"),
        pytest.param(many_features().replace(b'"i": 4000', b'"i": 40x0'), id="a broken number"),
        pytest.param(many_features() + b"garbage", id="garbage behind it"),
    ],
)
def test_broken_geojson_is_refused_and_never_read_in_part(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InvalidGeoJsonError):
        read_bytes(tmp_path, "things.geojson", content)


def test_a_geopackage_gives_each_layer_with_its_types(tmp_path: Path) -> None:
    layers = read_sample(tmp_path, "three_layers.gpkg", every_layer=True).layers
    assert [layer.table_name for layer in layers] == ["three_layers_cities", "three_layers_notes"]
    cities, notes = layers
    assert (cities.crs, notes.has_geometry, rows_of(notes)) == (
        "EPSG:25830",
        False,
        [[1, "x"], [2, "y"]],
    )
    assert names_of(cities) == ["city_id", "name", "people", "founded", "seen", "coastal"]
    assert rows_of(cities)[1][:6] == [
        *(2, "Ávila", 57_949, None),
        datetime.datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC),
        False,
    ]


@pytest.mark.parametrize(
    ("sample", "crs", "encoding"),
    [
        ("shapefile_with_cpg_ending_in_newline.zip", "EPSG:4326", "utf-8"),
        ("shapefile_without_prj_and_cpg.zip", None, "cp1252"),
    ],
)
def test_a_zipped_shapefile(tmp_path: Path, sample: str, crs: str | None, encoding: str) -> None:
    (layer,) = read_sample(tmp_path, sample).layers
    assert (layer.name.lower(), layer.crs) == ("lakes", crs)
    assert said_about(layer)["encoding"] == encoding
    assert [row[:2] for row in rows_of(layer)] == [
        ["Málaga", 578_460],
        ["Ávila", 57_949],
        ["Nowhere", None],
    ]
    assert shapes_of(layer)[2] is None


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        ("shapefile_without_dbf.zip", "lacks the .dbf"),
        ("shapefile_without_shp.zip", "lacks the .shp"),
    ],
)
def test_a_shapefile_without_all_its_parts_is_refused(
    tmp_path: Path, sample: str, words: str
) -> None:
    with pytest.raises(InvalidShapefileError, match=words):
        read_sample(tmp_path, sample)


def test_a_lone_shp_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidShapefileError, match=r"\.shx and the \.dbf"):
        read_bytes(tmp_path, "lakes.shp", b"\0\0\x27\x0a" + b"\0" * 96)


def test_a_kml_gives_each_folder(tmp_path: Path) -> None:
    layers = read_sample(tmp_path, "two_folders.kml", every_layer=True).layers
    assert [layer.name for layer in layers] == ["Peaks", "Paths"]
    assert shapes_of(layers[0]) == [shapely.Point(-3.31, 37.05)]
    assert not shapes_of(layers[1])[1].has_z
    assert said_about(layers[0])["geometry"] == "2D"


def test_a_kml_that_only_links_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmptyKmlError):
        read_sample(tmp_path, "network_link.kml")


VRT = """<OGRVRTDataSource><OGRVRTLayer name="three_layers"><SrcDataSource>{path}</SrcDataSource>
<SrcLayer>cities</SrcLayer></OGRVRTLayer></OGRVRTDataSource>"""


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(VRT, id="a virtual layer over a local file"),
        pytest.param('<WFS_Capabilities version="1.1.0"/>', id="a web service"),
        pytest.param("<OGRWFSDataSource><URL>http://127.0.0.1/</URL></OGRWFSDataSource>", id="wfs"),
        pytest.param("{path}", id="a path"),
    ],
)
def test_no_driver_that_we_use_is_led_elsewhere(tmp_path: Path, driver: str, content: str) -> None:
    path = tmp_path / "x.geojson"
    path.write_text(content.format(path=FILES / "three_layers.gpkg"))
    allow_only(driver)
    with pytest.raises(DataSourceError):
        pyogrio.read_info(str(path))


def test_only_the_driver_in_use_is_registered_and_each_can_come_back() -> None:
    for driver in (*DRIVERS, *DRIVERS):
        allow_only(driver)
        assert registered_drivers() == [driver]


@pytest.mark.filterwarnings("ignore:Integer values probably ranging out of 64bit")
def test_integers_beyond_64_bits_stay_exact(tmp_path: Path) -> None:
    big = 12_345_678_901_234_567_890_123
    features = [
        {"type": "Feature", "properties": {"a": value, "b": 1}, "geometry": None}
        for value in (big, 2, None)
    ]
    content = json.dumps({"type": "FeatureCollection", "features": features}).encode()
    (layer,) = read_bytes(tmp_path, "a.geojson", content).layers
    assert rows_of(layer)[0][0] == str(big)
    assert [row[0] for row in rows_of(layer)[1:]] == ["2", None]
    assert layer.fields[0].is_text_to_guess


@pytest.mark.filterwarnings("ignore:Unsupported geometry type")
@pytest.mark.parametrize("name", ["a.geojson", "a.geojsonl"])
def test_shapes_that_cannot_be_read_are_told_from_none(tmp_path: Path, name: str) -> None:
    shapes = [{"type": "Point", "coordinates": [1, 2]}, {"type": "Blob", "coordinates": [1]}, None]
    features = [{"type": "Feature", "properties": {"a": 1}, "geometry": s} for s in shapes]
    document = {"type": "FeatureCollection", "features": features}
    lines = "\n".join(map(json.dumps, features))
    content = json.dumps(document) if name == "a.geojson" else lines
    (layer,) = read_bytes(tmp_path, name, content.encode()).layers
    found = [row[-1] for row in rows_of(layer)]
    assert [shape if shape is None else len(shape) for shape in found] == [
        21,
        len(UNREADABLE_SHAPE),
        None,
    ]


def test_geojson_in_latin_1_is_read_as_such(tmp_path: Path) -> None:
    feature = (
        '{"type": "Feature", "properties": {"a": "Köln, Düsseldorf, Straße"}, "geometry": null}'
    )
    content = f'{{"type": "FeatureCollection", "features": [{feature}]}}'.encode("latin-1")
    (layer,) = read_bytes(tmp_path, "a.geojson", content).layers
    assert rows_of(layer)[0][0] == "Köln, Düsseldorf, Straße"
    assert said_about(layer)["encoding"] == "cp1252"
