"""Esri JSON becomes GeoJSON; what a server says of its layer; block sizes; addresses of layers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from synctables.datasources.page_client import parse_json
from synctables.datasources.paged import find_paged_source
from synctables.datasources.paged.arcgis import ArcgisSource, find_arcgis
from synctables.datasources.paged.arcgis_layer import feature_layers
from synctables.datasources.paged.arcgis_reader import Selection
from synctables.datasources.paged.block_size import BlockSize
from synctables.datasources.paged.esri_json import iso_date, to_geometry
from synctables.datasources.paged.ogc_features import OgcFeaturesSource
from synctables.datasources.paged.wfs import WfsSource

if TYPE_CHECKING:
    from collections.abc import Sequence

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "addresses.md"
SERVICE = "https://gis.example.org/arcgis/rest/services/City/Trees/FeatureServer"

# Esri: exterior rings clockwise. RFC 7946: exterior rings counter-clockwise.
SQUARE = [[0, 0], [0, 9], [9, 9], [9, 0], [0, 0]]
HOLE = [[1, 1], [2, 1], [2, 2], [1, 2], [1, 1]]
ISLAND = [[1.4, 1.4], [1.4, 1.6], [1.6, 1.6], [1.6, 1.4], [1.4, 1.4]]
FAR = [[20, 0], [20, 9], [29, 9], [29, 0], [20, 0]]
FAR_HOLE = [[21, 1], [22, 1], [22, 2], [21, 2], [21, 1]]
CORNER_HOLE = [[0, 0], [9, 0], [9, 9], [0, 0]]


def turned(ring: Sequence[Sequence[float]]) -> Sequence[Sequence[float]]:
    return ring[::-1]


GEOMETRIES: list[tuple[str, dict[str, Any] | None, dict[str, Any] | None]] = [
    ("nothing", None, None),
    ("an empty object", {}, None),
    ("a point", {"x": 1, "y": 2}, {"type": "Point", "coordinates": [1, 2]}),
    ("a point with height", {"x": 1, "y": 2, "z": 3}, {"type": "Point", "coordinates": [1, 2, 3]}),
    ("an unknown height", {"x": 1, "y": 2, "z": None}, {"type": "Point", "coordinates": [1, 2]}),
    ("a point that is none", {"x": "NaN", "y": "NaN"}, None),
    ("a point of nulls", {"x": None, "y": None}, None),
    (
        "points",
        {"points": [[1, 2], [3, 4]]},
        {"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]},
    ),
    ("no points", {"points": []}, None),
    (
        "a line",
        {"paths": [[[1, 2], [3, 4]]]},
        {"type": "LineString", "coordinates": [[1, 2], [3, 4]]},
    ),
    (
        "lines",
        {"paths": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]},
        {"type": "MultiLineString", "coordinates": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]},
    ),
    ("no lines", {"paths": []}, None),
    ("a polygon", {"rings": [SQUARE]}, {"type": "Polygon", "coordinates": [turned(SQUARE)]}),
    (
        "a polygon that is not closed",
        {"rings": [SQUARE[:-1]]},
        {"type": "Polygon", "coordinates": [turned(SQUARE)]},
    ),
    (
        "a hole before its polygon",
        {"rings": [HOLE, SQUARE]},
        {"type": "Polygon", "coordinates": [turned(SQUARE), turned(HOLE)]},
    ),
    (
        "an island in a hole",
        {"rings": [SQUARE, HOLE, ISLAND]},
        {"type": "MultiPolygon", "coordinates": [[turned(SQUARE), turned(HOLE)], [turned(ISLAND)]]},
    ),
    (
        "each hole to its own polygon",
        {"rings": [SQUARE, FAR, FAR_HOLE, HOLE]},
        {
            "type": "MultiPolygon",
            "coordinates": [[turned(SQUARE), turned(HOLE)], [turned(FAR), turned(FAR_HOLE)]],
        },
    ),
    (
        "a hole whose corners are all on the exterior",
        {"rings": [SQUARE, CORNER_HOLE]},
        {"type": "Polygon", "coordinates": [turned(SQUARE), turned(CORNER_HOLE)]},
    ),
    ("a hole around nothing", {"rings": [HOLE]}, {"type": "Polygon", "coordinates": [HOLE]}),
    ("no rings", {"rings": []}, None),
]


@pytest.mark.parametrize(
    ("given", "expected"), [case[1:] for case in GEOMETRIES], ids=[case[0] for case in GEOMETRIES]
)
def test_a_geometry_keeps_its_shape(
    given: dict[str, Any] | None, expected: dict[str, Any] | None
) -> None:
    assert to_geometry(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
        (-2_208_988_800_000, "1900-01-01T00:00:00Z"),
        (1.7e12, "2023-11-14T22:13:20Z"),
        (None, None),
        (10**18, 10**18),
        ("2023-11-14", "2023-11-14"),
    ],
)
def test_dates_are_told_in_iso_8601(given: object, expected: object) -> None:
    assert iso_date(given) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b"[NaN, Infinity, -Infinity]", [None, "Infinity", "-Infinity"]),
        (
            b"[INF, -INF, nan, 1.#INF, -1.#IND]",
            [
                None if one == "n" else one
                for one in ("Infinity", "-Infinity", "n", "Infinity", "n")
            ],
        ),
        (b'["INF \\" NaN", inf]', ['INF " NaN', "Infinity"]),
        (b"12345678901234567890", 12345678901234567890),
    ],
)
def test_json_is_read_as_servers_write_it(text: bytes, expected: object) -> None:
    assert parse_json(text) == expected


def test_what_is_no_json_is_an_error() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        parse_json(b"<html>")


def test_blocks_double_while_all_goes_well_and_halve_on_failure() -> None:
    block = BlockSize(most=1_000)
    sizes = [block.size]
    for _ in range(4):
        block.grow()
        sizes.append(block.size)
    assert sizes == [100, 200, 400, 800, 1_000]
    assert block.shrink()
    assert block.size == 500
    block.grow()
    assert block.size == 500, "after a failure, growing takes longer"
    block.grow()
    assert block.size == 1_000


def test_blocks_never_reach_zero_and_patience_ends() -> None:
    block = BlockSize(most=2)
    attempts = 0
    while block.shrink():
        assert block.size == 1
        attempts += 1
    assert attempts == 4


def test_groups_and_rasters_are_no_feature_layers() -> None:
    layers = [
        {"id": 0, "name": "All", "type": "Group Layer", "subLayerIds": [1]},
        {"id": 1, "name": "Trees", "type": "Feature Layer", "subLayerIds": None},
        {"id": 2, "name": "Photo", "type": "Raster Layer"},
        {"id": 3, "name": "Old"},
    ]
    assert feature_layers({"layers": layers}) == [(1, "Trees"), (3, "Old")]


@pytest.mark.parametrize(
    ("url", "layer", "selection"),
    [
        (SERVICE, None, Selection()),
        (f"{SERVICE}/3", 3, Selection()),
        (f"{SERVICE}/3/?f=pjson", 3, Selection()),
        (f"{SERVICE}/3?token=t", 3, Selection(further=(("token", "t"),))),
        (
            f"{SERVICE}/3/query?where=a%3D1&outFields=a,b&f=json",
            3,
            Selection(where="a=1", fields="a,b"),
        ),
        (
            f"{SERVICE}/3/query?geometry=1,2,3,4&inSR=4326&outSR=3857",
            3,
            Selection(further=(("geometry", "1,2,3,4"), ("inSR", "4326"))),
        ),
    ],
)
def test_addresses_of_arcgis_layers(url: str, layer: int | None, selection: Selection) -> None:
    assert find_arcgis(url) == ArcgisSource(service=SERVICE, layer=layer, selection=selection)


def test_every_collection_of_the_guide_is_read_page_by_page() -> None:
    section = GUIDE.read_text().partition("## Read page by page")[2].partition("\n## ")[0]
    examples = re.findall(r"^\|[^|]+\| `(https://[^`]+)` \|", section, re.MULTILINE)
    assert len(examples) > 5
    assert [example for example in examples if find_paged_source(example) is None] == []


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://example.org/collections/parks/items", OgcFeaturesSource),
        ("https://example.org/a/collections/parks?f=json", OgcFeaturesSource),
        ("https://example.org/wfs?SERVICE=wfs&REQUEST=getfeature&TYPENAME=a:b", WfsSource),
        ("https://example.org/wfs?service=WFS&typeNames=b&outputFormat=geojson", WfsSource),
        ("https://example.org/arcgis/rest/services/A/MapServer/12", ArcgisSource),
        ("https://example.org/collections/parks/items?f=csv", None),
        ("https://example.org/collections/parks/items/7", None),
        ("https://example.org/collections", None),
        ("https://example.org/wfs?service=WFS&request=GetCapabilities", None),
        ("https://example.org/wfs?service=WFS&typeNames=a,b", None),
        ("https://example.org/wfs?service=WFS&typeNames=a&outputFormat=shape-zip", None),
        ("https://example.org/wfs?service=WMS&request=GetMap&typeNames=a", None),
        ("https://example.org/arcgis/rest/services/A/ImageServer", None),
        ("https://example.org/arcgis/rest/services/A/MapServer/export", None),
        (f"{SERVICE}/0/query?where=1=1&f=pbf", None),
        (f"{SERVICE}/0/query?where=1=1&returnCountOnly=true&f=json", None),
        (f"{SERVICE}/0/query?outStatistics=[]&f=json", None),
        (f"{SERVICE}/0/query?where=1=1&resultRecordCount=10", None),
        ("https://example.org/cities.csv", None),
    ],
)
def test_which_addresses_are_read_page_by_page(url: str, kind: type | None) -> None:
    found = find_paged_source(url)
    assert (type(found) if found else None) is kind
