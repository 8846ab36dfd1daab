"""Large GeoJSON files, at whose rows GDAL comes by their beginning only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from synctables.errors import InvalidGeoJsonError
from synctables.importer.read.known_columns import HEAD_BYTES
from tests.support.reading import names_of, read_bytes, table_of

if TYPE_CHECKING:
    from pathlib import Path

    from synctables.importer.model import Layer

GAP = " " * (2 * HEAD_BYTES)
"""Blanks within a JSON text mean nothing, and here make its beginning less than half of it."""
POINT = {"type": "Point", "coordinates": [1.5, 2.5]}
LINE = {"type": "LineString", "coordinates": [[1, 2], [3, 4]]}


def feature(value: Any, *, shape: Any = POINT, **more: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": {"v": value}, "geometry": shape, **more}


def collection(*features: dict[str, Any], gap: str = "", end: str = "]}") -> bytes:
    """A file of these features, with ``gap`` before the last of them."""
    *early, last = map(json.dumps, features)
    text = ",\n".join([*early, gap + last])
    return ('{"type": "FeatureCollection", "features": [' + text + end).encode()


def read_layer(folder: Path, content: bytes) -> Layer:
    (layer,) = read_bytes(folder, "things.geojson", content).layers
    return layer


@pytest.mark.parametrize(
    ("early", "late"),
    [
        pytest.param(feature(1), feature(2), id="nothing new"),
        pytest.param(feature(1), feature(2.5), id="a fraction among integers"),
        pytest.param(feature(1), feature(2**40), id="an integer beyond 32 bits"),
        pytest.param(feature(1), feature(10**20), id="an integer beyond 64 bits"),
        pytest.param(feature(1), feature("x"), id="text among integers"),
        pytest.param(feature(True), feature(7), id="an integer among booleans"),
        pytest.param(feature("2026-01-02"), feature("2026-01-03"), id="days"),
        pytest.param(feature("2026-01-02"), feature("tomorrow"), id="text among days"),
        pytest.param(feature(None), feature(3), id="a value after nulls"),
        pytest.param(feature([1]), feature([2]), id="lists"),
        pytest.param(feature({"a": 1}), feature({"a": 2}), id="objects"),
        pytest.param(feature({"a": 1}), feature("x"), id="text among objects"),
        pytest.param(feature(1), feature(2, shape=LINE), id="shapes of another type"),
        pytest.param(feature(1), feature(2, shape=None), id="a feature without a shape"),
        pytest.param(feature(1), feature(2, id="b"), id="a feature with an id"),
        pytest.param(feature(1), feature(2) | {"properties": {"v": 2, "w": 3}}, id="a new column"),
        pytest.param({"type": "Feature", "properties": {"id": 1}, "geometry": POINT},
                     {"type": "Feature", "properties": {"id": 2}, "geometry": POINT},
                     id="row numbers"),
    ],
)  # fmt: skip
def test_what_comes_late_counts_as_much(
    tmp_path: Path, early: dict[str, Any], late: dict[str, Any]
) -> None:
    small = read_layer(tmp_path, collection(early, late))
    large = read_layer(tmp_path, collection(early, late, gap=GAP))
    assert (large.fields, large.crs) == (small.fields, small.crs)
    assert table_of(large).equals(table_of(small), check_metadata=True)
    assert names_of(large)


def test_a_large_file_that_breaks_off_is_refused(tmp_path: Path) -> None:
    content = collection(feature(1), feature(2), gap=GAP, end="")
    with pytest.raises(InvalidGeoJsonError):
        read_layer(tmp_path, content[:-3])
