"""Writes rows as a file in each of the six formats."""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import xlsxwriter
from pyogrio.raw import write as write_vector
from shapely.geometry import mapping

from demonstration.sources import Row

Writer = Callable[[str, Sequence[Row]], bytes]
"""Takes the layer's name and the rows, returns the file's bytes."""


def write_csv(name: str, rows: Sequence[Row]) -> bytes:
    """Comma-separated UTF-8 with a header; no geometry of its own."""
    del name
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=_field_names(rows))
    writer.writeheader()
    writer.writerows(dict(row.fields) for row in rows)
    return text.getvalue().encode()


def write_xlsx(name: str, rows: Sequence[Row]) -> bytes:
    """One sheet with a header row; what looks like a number is stored as one."""
    content = io.BytesIO()
    workbook = xlsxwriter.Workbook(content, {"in_memory": True, "strings_to_numbers": True})
    sheet = workbook.add_worksheet(name)
    names = _field_names(rows)
    sheet.write_row(0, 0, names)
    for line, row in enumerate(rows, start=1):
        sheet.write_row(line, 0, [row.fields[field] for field in names])
    workbook.close()
    return content.getvalue()


def write_geojson(name: str, rows: Sequence[Row]) -> bytes:
    """A FeatureCollection (RFC 7946)."""
    features = [
        {"type": "Feature", "properties": dict(row.fields), "geometry": mapping(row.geometry)}
        for row in rows
    ]
    return json.dumps({"type": "FeatureCollection", "name": name, "features": features}).encode()


def write_shapefile(name: str, rows: Sequence[Row]) -> bytes:
    """A zip archive of .shp, .shx, .dbf, .prj and .cpg."""
    with tempfile.TemporaryDirectory() as folder:
        _write_layer(Path(folder) / f"{name}.shp", rows, driver="ESRI Shapefile", layer=name)
        return _zip_folder(Path(folder))


def write_gpkg(name: str, rows: Sequence[Row]) -> bytes:
    """A GeoPackage with one layer."""
    return _write_single(f"{name}.gpkg", rows, driver="GPKG", layer=name)


def write_kml(name: str, rows: Sequence[Row]) -> bytes:
    """A KML document with one placemark per row."""
    content = _write_single(f"{name}.kml", rows, driver="KML", layer=name)
    # GDAL numbers the placemarks: one removed row would make every later one a changed row.
    return re.sub(rb'<Placemark id="[^"]*">', b"<Placemark>", content)


def _field_names(rows: Sequence[Row]) -> list[str]:
    return list(rows[0].fields)


def _write_single(file_name: str, rows: Sequence[Row], *, driver: str, layer: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file_name
        _write_layer(path, rows, driver=driver, layer=layer)
        return path.read_bytes()


def _write_layer(path: Path, rows: Sequence[Row], *, driver: str, layer: str) -> None:
    names = _field_names(rows)
    shapes = [row.geometry for row in rows]
    write_vector(
        path,
        shapely.to_wkb(shapes),
        [_column([row.fields[name] for row in rows]) for name in names],
        np.array(names, dtype=object),
        driver=driver,
        layer=layer,
        geometry_type=_geometry_type(shapes),
        promote_to_multi=False,
        crs="EPSG:4326",
    )


def _column(values: list[object]) -> np.ndarray[Any, np.dtype[Any]]:
    if all(isinstance(value, int) for value in values):
        return np.array(values, dtype=np.int32)
    if all(isinstance(value, int | float) for value in values):
        return np.array(values, dtype=np.float64)
    return np.array(values, dtype=object)


def _geometry_type(shapes: Sequence[Any]) -> str:
    """The one type all shapes have, else "Unknown" (which GDAL takes for: any)."""
    kinds = {shape.geom_type for shape in shapes}
    return kinds.pop() if len(kinds) == 1 else "Unknown"


def _zip_folder(folder: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    return content.getvalue()
