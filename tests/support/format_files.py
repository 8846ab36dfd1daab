"""One small table in every format that is read, and any file inside every archive.

The table is `ROWS`: a name beyond ASCII, a whole number, a fraction, and a point in EPSG:4326. Each
maker gives the files that belong together, by name; most formats have one. Formats that GDAL or
Arrow write are written by them, the others are made here, byte by byte, after their specifications.
"""

from __future__ import annotations

import io
import json
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import libarchive
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pyogrio.raw
import shapely
import xlsxwriter

from synctables.importer.read.gdal import allow_only

FILES = Path(__file__).parents[1] / "files"
Files = dict[str, bytes]
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


def _zip(parts: dict[str, bytes | str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def ods_file(rows: str, *, sheet: str = "Cities") -> bytes:
    """An OpenDocument spreadsheet of the given rows."""
    return ods_workbook({sheet: rows})


def ods_workbook(sheets: dict[str, str]) -> bytes:
    """An OpenDocument spreadsheet of the rows of each sheet."""
    tables = "".join(
        f'<table:table table:name="{name}">{rows}</table:table>' for name, rows in sheets.items()
    )
    spaces = " ".join(
        f'xmlns:{key}="urn:oasis:names:tc:opendocument:xmlns:{key}:1.0"'
        for key in ("office", "table", "text")
    )
    calc = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"
    content = (
        f'<?xml version="1.0"?><office:document-content {spaces} xmlns:calcext="{calc}">'
        f"<office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body>"
        "</office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = (
        '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<m:file-entry m:full-path="/" m:media-type="{kind}"/></m:manifest>'
    )
    parts = {"mimetype": kind, "META-INF/manifest.xml": manifest, "content.xml": content}
    return _zip(dict(parts))


def _ods_cell(value: str | float) -> str:
    if isinstance(value, str):
        text = f"<text:p>{value}</text:p>"
        return f'<table:table-cell office:value-type="string">{text}</table:table-cell>'
    return f'<table:table-cell office:value-type="float" office:value="{value}"/>'


def ods() -> Files:
    rows = ["".join(map(_ods_cell, row)) for row in _cells()]
    body = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    return {"cities.ods": ods_file(body)}


def _record(kind: int, content: bytes = b"") -> bytes:
    """A record of XLSB (MS-XLSB 2.1.4)."""
    head = bytes([kind]) if kind < 128 else bytes([kind & 0x7F | 0x80, kind >> 7])
    size = bytes([len(content)]) if len(content) < 128 else b""
    return head + (size or bytes([len(content) & 0x7F | 0x80, len(content) >> 7])) + content


def _wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


XLSB_ERROR = object()


def xlsb_file(rows: dict[int, dict[int, object]]) -> bytes:
    """A binary workbook with one sheet; cells by row and column, from 0."""
    last = (max(rows), max(column for cells in rows.values() for column in cells))
    sheet = _record(129) + _record(148, struct.pack("<IIII", 0, last[0], 0, last[1])) + _record(145)
    for number, cells in rows.items():
        sheet += _record(0, struct.pack("<IIHBBBI", number, 0, 300, 0, 0, 0, 0))
        for column, value in cells.items():
            place = struct.pack("<II", column, 0)
            if value is XLSB_ERROR:
                sheet += _record(3, place + b"\x07")
            elif isinstance(value, str):
                sheet += _record(6, place + _wide(value))
            else:
                sheet += _record(5, place + struct.pack("<d", value))
    sheet += _record(146) + _record(130)
    book = (
        _record(131)
        + _record(143)
        + _record(156, struct.pack("<II", 0, 1) + _wide("rId1") + _wide("Cities"))
    )
    book += _record(144) + _record(132)
    package = "http://schemas.openxmlformats.org/package/2006"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    types = f'<Types xmlns="{package}/content-types"/>'

    def relations(target: str, kind: str) -> str:
        return (
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
            f'Type="{office}/{kind}" Target="{target}"/></Relationships>'
        )

    return _zip(
        {
            "[Content_Types].xml": types,
            "_rels/.rels": relations("xl/workbook.bin", "officeDocument"),
            "xl/workbook.bin": book,
            "xl/_rels/workbook.bin.rels": relations("worksheets/sheet1.bin", "worksheet"),
            "xl/worksheets/sheet1.bin": sheet,
        }
    )


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
    return {"cities.kmz": _zip({"doc.kml": kml()["cities.kml"]})}


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


def _varint(number: int) -> bytes:
    head = bytes([number & 0x7F | (0x80 if number > 0x7F else 0)])
    return head + _varint(number >> 7) if number > 0x7F else head


def _message(number: int, value: bytes | int) -> bytes:
    """One field of a protocol buffer."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


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


def _archive(files: Files, format_name: str, filter_name: str | None = None) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/archive"
        with libarchive.file_writer(path, format_name, filter_name) as archive:
            for name, content in files.items():
                archive.add_file_from_memory(name, len(content), content)
        return Path(path).read_bytes()


def _compress(files: Files, filter_name: str) -> bytes:
    """Of several files, a tar of them; of one, only that."""
    if len(files) > 1:
        return _archive(files, "pax_restricted", filter_name)
    return _archive(files, "raw", filter_name)


def _rar_number(number: int) -> bytes:
    return _varint(number)


def _rar_block(kind: int, flags: int, content: bytes, data: bytes = b"") -> bytes:
    """A block of RAR 5 (rarlab.com/technote.htm): checksum, size, kind, flags, content."""
    size = _rar_number(len(data)) if data else b""
    head = _rar_number(kind) + _rar_number(flags | (2 if data else 0)) + size + content
    head = _rar_number(len(head)) + head
    return struct.pack("<I", zlib.crc32(head)) + head + data


def rar(files: Files) -> bytes:
    """RAR 5 with its files stored as they are, which is the only method that is described."""
    parts = [b"Rar!\x1a\x07\x01\x00", _rar_block(1, 0, _rar_number(0))]
    for name, content in files.items():
        encoded = name.encode()
        about = (
            _rar_number(4)  # a checksum follows
            + _rar_number(len(content))
            + _rar_number(0o100644)
            + struct.pack("<I", zlib.crc32(content))
            + _rar_number(0)  # stored
            + _rar_number(1)  # made on Unix
            + _rar_number(len(encoded))
            + encoded
        )
        parts.append(_rar_block(2, 0, about, content))
    parts.append(_rar_block(5, 0, _rar_number(0)))
    return b"".join(parts)


ARCHIVES: dict[str, Callable[[Files], bytes]] = {
    "zip": lambda files: _zip(dict(files)),
    "tar": lambda files: _archive(files, "ustar"),
    "tgz": lambda files: _archive(files, "ustar", "gzip"),
    "gz": lambda files: _compress(files, "gzip"),
    "bz2": lambda files: _compress(files, "bzip2"),
    "xz": lambda files: _compress(files, "xz"),
    "zst": lambda files: _compress(files, "zstd"),
    "tar.xz": lambda files: _archive(files, "ustar", "xz"),
    "7z": lambda files: _archive(files, "7zip"),
    "rar": rar,
}
"""By suffix. A compressor holds one file; of several it gets a tar."""
