"""Real rows to make files of: airports, earthquakes and Natural Earth, from two npm packages."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import shapely
from pyogrio.raw import read as read_vector
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

AIRPORTS = "vega-datasets/data/airports.csv"
EARTHQUAKES = "vega-datasets/data/earthquakes.json"
COUNTRIES = "world-atlas/countries-110m.json"
LAND = "world-atlas/land-110m.json"

STRONG_MAGNITUDE = 2.5
"""From here on an earthquake is usually felt."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a file. Every row of a file has the same field names."""

    fields: Mapping[str, object]
    geometry: BaseGeometry | None = None


class MissingPackageError(Exception):
    """The npm packages are not there; the message says how to get them."""


def read_rows(packages: Path) -> dict[str, tuple[Row, ...]]:
    """The rows of the six files, by table name, out of the folder ``node_modules``.

    Raises `MissingPackageError`.
    """
    missing = [
        path for path in (AIRPORTS, EARTHQUAKES, COUNTRIES, LAND) if not _has(packages, path)
    ]
    if missing:
        raise MissingPackageError(f"{packages / missing[0]} is missing; run `make dev` (npm ci)")
    airports = _read_airports(packages / AIRPORTS)
    earthquakes = _read_earthquakes(packages / EARTHQUAKES)
    return {
        "airports": airports,
        "alaska_airports": tuple(row for row in airports if row.fields["state"] == "AK"),
        "earthquakes": earthquakes,
        "strong_earthquakes": tuple(_describe(row) for row in earthquakes if _is_strong(row)),
        "countries": _read_topology(packages / COUNTRIES, layer="countries"),
        "landmasses": _read_landmasses(packages / LAND),
    }


def _has(packages: Path, path: str) -> bool:
    return (packages / path).is_file()


def _read_airports(path: Path) -> tuple[Row, ...]:
    with path.open(encoding="utf-8", newline="") as lines:
        return tuple(Row(fields=fields) for fields in csv.DictReader(lines))


def _read_earthquakes(path: Path) -> tuple[Row, ...]:
    features = json.loads(path.read_text(encoding="utf-8"))["features"]
    return tuple(
        Row(fields=feature["properties"], geometry=shape(feature["geometry"]))
        for feature in features
    )


def _is_strong(row: Row) -> bool:
    magnitude = row.fields["mag"]
    return isinstance(magnitude, int | float) and magnitude >= STRONG_MAGNITUDE


def _describe(row: Row) -> Row:
    """The few fields that a placemark shows."""
    fields = row.fields
    return Row(
        fields={"Name": fields["title"], "magnitude": fields["mag"], "place": fields["place"]},
        geometry=row.geometry,
    )


def _read_topology(path: Path, *, layer: str) -> tuple[Row, ...]:
    """Rows of one layer of a TopoJSON file, decoded by GDAL."""
    about, _, shapes, columns = read_vector(path, layer=layer)
    names = [str(name) for name in about["fields"]]
    return tuple(
        Row(fields=dict(zip(names, values, strict=True)), geometry=geometry)
        for geometry, *values in zip(shapely.from_wkb(shapes), *columns, strict=True)
    )


def _read_landmasses(path: Path) -> tuple[Row, ...]:
    """Each separate piece of land as a row of its own."""
    (whole,) = _read_topology(path, layer="land")
    return tuple(
        Row(fields={"number": number, "square_degrees": round(piece.area, 3)}, geometry=piece)
        for number, piece in enumerate(shapely.get_parts(whole.geometry), start=1)
    )
