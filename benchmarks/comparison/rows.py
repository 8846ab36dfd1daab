"""The rows that files are made of: the same ones each time, and what a later version changes.

A version of a file is an Arrow table. It is the truth that every measured table is compared with,
so nothing here reads a file back.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

SEED = 20150806

KEY = "id"
GEOMETRY = "geometry"
"""Column of WKB in versions whose file brings its geometry along."""

CITIES = np.array(["Oslo", "Bergen", "Voss", "Molde", "Vadsø", "Åndalsnes"])
KINDS_OF_CHANGE = ("attributes", "moved", "removed", "added")
SHARES_OF_CHANGE = (0.7, 0.1, 0.1, 0.1)
"""Of the rows that a new version changes: so many in two attributes, moved, removed, added."""

POLYGON_CORNERS = 12


def make_points(count: int, *, first: int = 0) -> pa.Table:
    """Ten columns of the usual kinds, two of them coordinates; keys from ``first`` on."""
    numbers = np.arange(first, first + count, dtype=np.int64)
    return _points(numbers, np.random.default_rng([SEED, first] if first else SEED))


def make_polygons(count: int) -> pa.Table:
    """The ten columns and a polygon of twelve corners round each point."""
    points = make_points(count)
    turns = np.linspace(0, 2 * np.pi, POLYGON_CORNERS, endpoint=False)
    sizes = np.random.default_rng(SEED).uniform(0.001, 0.01, (count, 1))
    lon = _floats(points, "lon")[:, None] + sizes * np.cos(-turns)
    lat = _floats(points, "lat")[:, None] + sizes * np.sin(-turns)  # clockwise, as shapefiles are
    rings = np.round(np.stack([lon, lat], axis=-1), 6)
    return points.append_column(GEOMETRY, pa.array(shapely.to_wkb(shapely.polygons(rings))))


def with_points(version: pa.Table) -> pa.Table:
    """The same rows with a point of ``lon`` and ``lat`` as geometry."""
    shapes = shapely.points(_floats(version, "lon"), _floats(version, "lat"))
    return version.append_column(GEOMETRY, pa.array(shapely.to_wkb(shapes)))


def read_airports(packages: Path, count: int) -> pa.Table:
    """Real rows: the airports of vega-datasets, repeated until there are ``count``."""
    with (packages / "vega-datasets/data/airports.csv").open(encoding="utf-8", newline="") as lines:
        airports = list(csv.DictReader(lines))
    places = np.arange(count) % len(airports)
    texts = {
        name: pa.array([row[name] for row in airports]).take(places)
        for name in ("iata", "name", "city", "state", "country")
    }
    degrees = {
        name: pa.array(np.round([float(row[name]) for row in airports], 6)).take(places)
        for name in ("latitude", "longitude")
    }
    return pa.table({KEY: np.arange(count, dtype=np.int64), **texts, **degrees})


def change(version: pa.Table, share: float, *, number: int) -> pa.Table:
    """The next version of points: ``share`` of the rows changed, scattered over the file.

    See `SHARES_OF_CHANGE`. New rows stand at the end, with keys above all others. Each ``number``
    of a version has rows of its own: those that changed last stand together on disk, and to change
    the same ones again would cost less.
    """
    random = np.random.default_rng([SEED, number])
    count = version.num_rows
    touched = random.permutation(count)[: max(len(KINDS_OF_CHANGE), round(count * share))]
    ends = np.cumsum(np.multiply(SHARES_OF_CHANGE, len(touched))).astype(int)[:-1]
    attributes, moved, removed, added = np.split(touched, ends)
    version = _replace(version, "size", attributes, _ints(version, "size") + 100)
    version = _replace(version, "share", attributes, 1 - _floats(version, "share"))
    version = _replace(version, "lat", moved, _floats(version, "lat") + 0.5)
    version = _replace(version, "lon", moved, _floats(version, "lon") - 0.5)
    kept = version.filter(~np.isin(np.arange(count), removed))
    next_key = int(_ints(version, KEY).max()) + 1
    new = _points(np.arange(next_key, next_key + len(added), dtype=np.int64), random)
    return pa.concat_tables([kept, new])


def removed_rows(version: pa.Table, following: pa.Table) -> pa.Table:
    """The rows of ``version`` whose key is not in the version that follows."""
    return version.filter(~np.isin(_ints(version, KEY), _ints(following, KEY)))


def _points(numbers: NDArray[np.int64], random: np.random.Generator) -> pa.Table:
    count = len(numbers)
    texts = [f"{city} {number % 5000}" for city, number in zip(_cities(count, random), numbers)]  # noqa: B905
    days = np.datetime64("2024-01-01") + (numbers % 365).astype("timedelta64[D]")
    return pa.table(
        {
            KEY: numbers,
            "name": texts,
            "lat": np.round(random.uniform(-60, 60, count), 6),
            "lon": np.round(random.uniform(-170, 170, count), 6),
            "size": numbers % 97,
            "share": np.round(random.random(count), 6),
            "code": numbers * 3,
            "day": days.astype("datetime64[D]"),
            "is_open": numbers % 3 > 0,
            "note": [f"a note of some length {number % 1000}" for number in numbers],
        }
    )


def _cities(count: int, random: np.random.Generator) -> list[str]:
    cities: list[str] = random.choice(CITIES, count).tolist()
    return cities


def _floats(version: pa.Table, name: str) -> NDArray[np.float64]:
    values: NDArray[np.float64] = version[name].to_numpy()
    return values


def _ints(version: pa.Table, name: str) -> NDArray[np.int64]:
    values: NDArray[np.int64] = version[name].to_numpy()
    return values


def _replace(
    version: pa.Table, name: str, places: NDArray[np.int64], values: NDArray[np.generic]
) -> pa.Table:
    column = version[name].to_numpy().copy()
    column[places] = values[places]
    if column.dtype == np.float64:
        column = np.round(column, 6)
    return version.set_column(version.schema.get_field_index(name), name, pa.array(column))
