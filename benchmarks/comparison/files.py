"""Writes a version as a file, in the four formats that are compared."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyogrio
import xlsxwriter

from comparison.rows import GEOMETRY

Writer = Callable[[pa.Table, Path], None]


def write_csv(version: pa.Table, path: Path) -> None:
    """Comma-separated UTF-8 with a header, quotes only where they are needed."""
    options = pyarrow.csv.WriteOptions(quoting_style="needed")
    pyarrow.csv.write_csv(version, path, options)


def write_xlsx(version: pa.Table, path: Path) -> None:
    """One sheet; days as text, as most spreadsheets from the web have them."""
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as workbook:
        sheet = workbook.add_worksheet("points")
        sheet.write_row(0, 0, version.column_names)
        columns = [
            [str(value) for value in column.to_pylist()]
            if pa.types.is_date(column.type)
            else column.to_pylist()
            for column in version.columns
        ]
        for line, values in enumerate(zip(*columns, strict=True), start=1):
            sheet.write_row(line, 0, values)


def write_geojson(version: pa.Table, path: Path) -> None:
    """A FeatureCollection of points (RFC 7946), a feature on each line."""
    fields = ", ".join(f'"{name}"' for name in version.column_names if name != GEOMETRY)
    query = f"""
        SELECT {{'type': 'Feature', 'properties': {{{_struct(fields)}}},
                'geometry': {{'type': 'Point', 'coordinates': [lon, lat]}}}}::JSON::VARCHAR
        FROM version"""  # names of our own columns
    with duckdb.connect() as connection, path.open("w", encoding="utf-8") as file:
        connection.register("version", version.drop_columns([GEOMETRY]))
        answer = connection.execute(query)
        file.write('{"type": "FeatureCollection", "features": [')
        separator = "\n"
        while lines := answer.fetchmany(50_000):
            file.write(separator + ",\n".join(line for (line,) in lines))
            separator = ",\n"
        file.write("\n]}\n")


def write_shapefile(version: pa.Table, path: Path) -> None:
    """A zip archive of a shapefile in EPSG:4326."""
    folder = path.with_suffix(".parts")
    folder.mkdir()
    place = version.schema.get_field_index("is_open")
    numbers = pa.array(version["is_open"].to_numpy().astype(np.int32))  # DBF as GDAL writes it
    pyogrio.write_arrow(
        version.set_column(place, "is_open", numbers),
        folder / "polygons.shp",
        driver="ESRI Shapefile",
        geometry_name=GEOMETRY,
        geometry_type="Polygon",
        crs="EPSG:4326",
        encoding="UTF-8",
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for part in sorted(folder.iterdir()):
            archive.write(part, part.name)
            part.unlink()
    folder.rmdir()


def _struct(fields: str) -> str:
    return ", ".join(f"{name}: {name}" for name in fields.split(", "))
