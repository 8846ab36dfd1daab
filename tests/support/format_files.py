"""One small table in every format that is read.

The table is `ROWS`: a name beyond ASCII, a whole number, a fraction, and a point in EPSG:4326. Each
maker gives the files that belong together, by name; most formats have one. Formats that GDAL or
Arrow write are written by them, the others are made here, byte by byte, after their specifications.
"""

from __future__ import annotations

import io
import json
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pyogrio.raw
import shapely
import xlsxwriter

from synctables.importer.read.gdal import allow_only
from tests.support.archive_files import Files, varint, zip_of
from tests.support.spreadsheet_files import ods_file, xlsb_file

FILES = Path(__file__).parents[1] / "files"
ROWS = (("Oslo", 700_000, 1.5, (10.75, 59.9)), ("Köln", 1_080_000, 0.25, (6.95, 50.94)))
FIELDS = ("name", "people", "ratio")


def _with_gdal(driver: str, name: str, layer: str | None = None, **options: str) -> Files:
    """All files that a driver of GDAL writes."""
    columns = [[row[i] for row in ROWS] for i in range(3)]
    table = pa.table(dict(zip(FIELDS, map(pa.array, columns), strict=True)))
    shapes = [shapely.to_wkb(shapely.Point(row[3])) for row in ROWS]
    table = table.append_column("geometry", pa.array(shapes, pa.binary()))
    with tempfile.TemporaryDirectory() as folder:
        allow_only(driver)
        target = f"{folder}/{name}"
        pyogrio.write_arrow(
            table,
            target,
            driver=driver,
            layer=layer,
            geometry_name="geometry",
            geometry_type="Point",
            crs="EPSG:4326",
            **options,
        )
        top = Path(target) if Path(target).is_dir() else Path(folder)
        return {path.name: path.read_bytes() for path in sorted(top.iterdir()) if path.is_file()}


def csv() -> Files:
    lines = ["name,people,ratio,longitude,latitude"]
    lines += [f"{n},{p},{r},{x},{y}" for n, p, r, (x, y) in ROWS]
    return {"cities.csv": "\n".join(lines).encode()}


def tsv() -> Files:
    return {"cities.tsv": csv()["cities.csv"].replace(b",", b"\t")}


def _cells() -> list[list[str | float]]:
    header: list[str | float] = ["name", "people", "ratio", "longitude", "latitude"]
    rows: list[list[str | float]] = [[n, p, r, x, y] for n, p, r, (x, y) in ROWS]
    return [header, *rows]


def xlsx() -> Files:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer) as workbook:
        sheet = workbook.add_worksheet("Cities")
        for number, row in enumerate(_cells()):
            sheet.write_row(number, 0, row)
    return {"cities.xlsx": buffer.getvalue()}


def xls() -> Files:
    """Written once with xlwt 1.3.0, for want of a program that is still maintained."""
    return {"cities.xls": (FILES / "cities.xls").read_bytes()}


def _ods_cell(value: str | float) -> str:
    if isinstance(value, str):
        text = f"<text:p>{value}</text:p>"
        return f'<table:table-cell office:value-type="string">{text}</table:table-cell>'
    return f'<table:table-cell office:value-type="float" office:value="{value}"/>'


def ods() -> Files:
    rows = ["".join(map(_ods_cell, row)) for row in _cells()]
    body = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    return {"cities.ods": ods_file(body)}


def xlsb() -> Files:
    cells = {number: dict(enumerate(row)) for number, row in enumerate(_cells())}
    return {"cities.xlsb": xlsb_file(dict(cells))}  # type: ignore[arg-type]


def geojson() -> Files:
    return _with_gdal("GeoJSON", "cities.geojson")


def geojson_lines() -> Files:
    return _with_gdal("GeoJSONSeq", "cities.geojsonl")


def topojson() -> Files:
    shapes = [
        {"type": "Point", "coordinates": [x, y],
         "properties": {"name": name, "people": people, "ratio": ratio}}
        for name, people, ratio, (x, y) in ROWS
    ]  # fmt: skip
    objects = {"cities": {"type": "GeometryCollection", "geometries": shapes}}
    document = {"type": "Topology", "objects": objects, "arcs": []}
    return {"cities.topojson": json.dumps(document).encode()}


def esri_json() -> Files:
    kinds = {"name": "String", "people": "Integer", "ratio": "Double"}
    document = {
        "geometryType": "esriGeometryPoint",
        "spatialReference": {"wkid": 4326},
        "fields": [{"name": n, "type": f"esriFieldType{k}"} for n, k in kinds.items()],
        "features": [
            {"attributes": {"name": n, "people": p, "ratio": r}, "geometry": {"x": x, "y": y}}
            for n, p, r, (x, y) in ROWS
        ],
    }
    return {"cities.json": json.dumps(document).encode()}


def _objects() -> list[dict[str, object]]:
    return [
        {"name": n, "people": p, "ratio": r, "longitude": x, "latitude": y}
        for n, p, r, (x, y) in ROWS
    ]


def json_list() -> Files:
    return {"cities.json": json.dumps(_objects()).encode()}


def json_lines() -> Files:
    return {"cities.ndjson": "\n".join(map(json.dumps, _objects())).encode()}


def shapefile() -> Files:
    return _with_gdal("ESRI Shapefile", "cities.shp", ENCODING="UTF-8")


def mapinfo_tab() -> Files:
    return _with_gdal("MapInfo File", "cities.tab", ENCODING="UTF-8")


def mapinfo_mif() -> Files:
    return _with_gdal("MapInfo File", "cities.mif", ENCODING="UTF-8")


def geopackage() -> Files:
    return _with_gdal("GPKG", "cities.gpkg")


def file_geodatabase() -> Files:
    target = "ARCGIS_PRO_3_2_OR_LATER"  # older ones have no 64-bit integers
    files = _with_gdal("OpenFileGDB", "cities.gdb", layer="cities", TARGET_ARCGIS_VERSION=target)
    return {f"cities.gdb/{name}": content for name, content in files.items()}


def flatgeobuf() -> Files:
    return _with_gdal("FlatGeobuf", "cities.fgb")


def gml() -> Files:
    return {"cities.gml": _with_gdal("GML", "cities.gml")["cities.gml"]}


def kml() -> Files:
    places = "".join(
        f"<Placemark><name>{n}</name><ExtendedData><SchemaData schemaUrl='#s'>"
        f"<SimpleData name='people'>{p}</SimpleData><SimpleData name='ratio'>{r}</SimpleData>"
        f"</SchemaData></ExtendedData><Point><coordinates>{x},{y}</coordinates></Point></Placemark>"
        for n, p, r, (x, y) in ROWS
    )
    schema = (
        "<Schema name='s' id='s'><SimpleField name='people' type='int'/>"
        "<SimpleField name='ratio' type='double'/></Schema>"
    )
    folder = f"<Folder><name>cities</name>{places}</Folder>"
    document = f"<Document>{schema}{folder}</Document>"
    text = f"<kml xmlns='http://www.opengis.net/kml/2.2'>{document}</kml>"
    return {"cities.kml": text.encode()}


def kmz() -> Files:
    return {"cities.kmz": zip_of({"doc.kml": kml()["cities.kml"]})}


def gpx() -> Files:
    """GPX knows no fields but its own: people stand in ``ele``, the ratio in ``hdop``."""
    points = "".join(
        f'<wpt lat="{y}" lon="{x}"><ele>{p}</ele><name>{n}</name><hdop>{r}</hdop></wpt>'
        for n, p, r, (x, y) in ROWS
    )
    head = '<gpx version="1.1" creator="test" xmlns="http://www.topografix.com/GPX/1/1">'
    return {"cities.gpx": f"{head}{points}</gpx>".encode()}


def osm_xml() -> Files:
    """OSM knows only tags: people stand in ``ref``, the ratio in ``address``."""
    nodes = "".join(
        f'<node id="{number}" lat="{y}" lon="{x}"><tag k="name" v="{n}"/>'
        f'<tag k="ref" v="{p}"/><tag k="address" v="{r}"/></node>'
        for number, (n, p, r, (x, y)) in enumerate(ROWS, start=1)
    )
    return {"cities.osm": f'<osm version="0.6">{nodes}</osm>'.encode()}


def _message(number: int, value: bytes | int) -> bytes:
    """One field of a protocol buffer."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def _blob(kind: bytes, content: bytes) -> bytes:
    blob = _message(2, len(content)) + _message(3, zlib.compress(content))
    header = _message(1, kind) + _message(3, len(blob))
    return struct.pack(">I", len(header)) + header + blob


def osm_pbf() -> Files:
    """The same in PBF (wiki.openstreetmap.org/wiki/PBF_Format): plain nodes, one block."""
    texts = [b"", b"name", b"ref", b"address"]
    nodes = b""
    for number, (n, p, r, (x, y)) in enumerate(ROWS, start=1):
        first = len(texts)
        texts += [n.encode(), str(p).encode(), str(r).encode()]
        nodes += _message(
            1,
            _message(1, 2 * number)
            + _message(2, bytes([1, 2, 3]))
            + _message(3, bytes(range(first, first + 3)))
            + _message(8, 2 * round(y * 1e7))
            + _message(9, 2 * round(x * 1e7)),
        )
    table = b"".join(_message(1, text) for text in texts)
    header = _message(4, b"OsmSchema-V0.6")
    block = _message(1, table) + _message(2, nodes)
    return {"cities.osm.pbf": _blob(b"OSMHeader", header) + _blob(b"OSMData", block)}


def _arrow_table() -> pa.Table:
    return pa.table({key: pa.array([row[key] for row in _objects()]) for key in _objects()[0]})


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def parquet() -> Files:
    return {"cities.parquet": _parquet(_arrow_table())}


def geoparquet() -> Files:
    shapes = pa.array([shapely.to_wkb(shapely.Point(row[3])) for row in ROWS])
    table = _arrow_table().select(FIELDS).append_column("shape", shapes)
    column = {"encoding": "WKB", "geometry_types": ["Point"]}
    geo = {"version": "1.1.0", "primary_column": "shape", "columns": {"shape": column}}
    table = table.replace_schema_metadata({"geo": json.dumps(geo)})
    return {"cities.geo.parquet": _parquet(table)}


MAKERS: tuple[Callable[[], Files], ...] = (
    *(csv, tsv, xlsx, xls, xlsb, ods, geojson, geojson_lines, topojson, esri_json, json_list),
    *(json_lines, shapefile, mapinfo_tab, mapinfo_mif, kml, kmz, gpx, geopackage),
    *(file_geodatabase, flatgeobuf, gml, osm_xml, osm_pbf, parquet, geoparquet),
)
