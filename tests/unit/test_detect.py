"""What a file is: by content first; what is refused, and with which words."""

from __future__ import annotations

import io
import sqlite3
import zipfile
from typing import TYPE_CHECKING

import pytest

from synctables.errors import (
    EmptyFileError,
    HtmlRefusedError,
    InvalidGeoJsonError,
    MalformedSpreadsheetError,
    PasswordProtectedError,
    RasterError,
    RunError,
    UnsupportedFileError,
)
from synctables.importer.read.detect import detect
from tests.support.reading import FILES, member, read_sample

if TYPE_CHECKING:
    from pathlib import Path

    from synctables.importer.model import Format

CSV = b"name,people\nOslo,700000\n"
GEOJSON = b'{"type": "FeatureCollection", "features": []}'
KML = b'<?xml version="1.0"?>\n<!-- made by hand -->\n<kml xmlns="http://www.opengis.net/kml/2.2"/>'
HTML = b"\n<!DOCTYPE html>\n<html><body>Please log in</body></html>"
VRT = b'<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>/etc/passwd</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>'  # noqa: E501


def package(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("[Content_Types].xml", *names):
            archive.writestr(name, b"<x/>")
    return buffer.getvalue()


XLSX = package("xl/workbook.xml")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        pytest.param("a.csv", CSV, "csv", id="csv"),
        pytest.param("a.xml", CSV, "csv", id="csv called xml"),
        pytest.param("a.xlsx", CSV, "csv", id="csv called xlsx"),
        pytest.param("a", CSV, "csv", id="csv without a suffix"),
        pytest.param("a.csv", CSV.decode().encode("utf-16"), "csv", id="csv in utf-16"),
        pytest.param("a.csv", CSV.decode().encode("utf-16-le"), "csv", id="utf-16 without a mark"),
        pytest.param("a.csv", "name\nKöln\n".encode("latin-1"), "csv", id="csv in latin-1"),
        pytest.param(
            "a.csv", b"a,b\n1,\x002\n" + b"1,2\n" * 50, "csv", id="csv with a few zero bytes"
        ),
        pytest.param("a.csv", b"a,b\n1,\0002\n", "csv", id="a zero byte in a csv of two lines"),
        pytest.param("a.sql", b"/**/" * 9_000 + b"a,b\n1,2\n", "csv", id="comments without end"),
        pytest.param("a.csv", b"set x, y;\n1, 2;\n", "csv", id="csv that begins like a script"),
        pytest.param("a.csv", b"<id>,<name>\n1,2\n", "csv", id="csv whose header has angles"),
        pytest.param("a.csv", b"[m],{s}\n1,2\n", "csv", id="csv whose header has brackets"),
        pytest.param("a.csv", b"not found,error\n1,2\n", "csv", id="csv about errors"),
        pytest.param("a.geojson", GEOJSON, "geojson", id="geojson"),
        pytest.param("a.json", GEOJSON, "geojson", id="geojson called json"),
        pytest.param("a.txt", b"\xef\xbb\xbf \n" + GEOJSON, "geojson", id="geojson called txt"),
        pytest.param(
            "a.json", b'{"type": "Point", "coordinates": [1, 2]}', "geojson", id="a point"
        ),
        pytest.param("a.kml", KML, "kml", id="kml"),
        pytest.param("a.csv", KML, "kml", id="kml called csv"),
        pytest.param("a", b"\xef\xbb\xbf<kml:kml>", "kml", id="kml with a prefix and a mark"),
        pytest.param("a.csv", b'{"type": "Feature"}\n{"type": "Feature"}', "geojsonseq",
                     id="lines"),
        pytest.param("a.ndjson", b'{"type": "Point"}', "geojsonseq", id="one line"),
        pytest.param("a.json", b'\x1e{"type": "Feature"}\n\x1e{"type": "Feature"}', "geojsonseq",
                     id="records"),
        pytest.param("a.json", b'[{"a": 1}]', "json", id="an array"),
        pytest.param("a.txt", b'{"a": 1}\n{"a": 2}\n', "json", id="objects in lines"),
        pytest.param("a.jsonl", b'{"a": 1}', "json", id="an object in a line"),
        pytest.param("a.json", b'{"type": "Topology", "objects": {}}', "topojson", id="topojson"),
        pytest.param("a.json", b'{"geometryType": "esriGeometryPoint", "features": []}',
                     "esrijson", id="esri json"),
        pytest.param("a.gpx", b"<gpx/>", "gpx", id="gpx"),
        pytest.param("a.xml", b'<osm version="0.6"/>', "osm", id="osm"),
        pytest.param("a", b"\0\0\0\x0d\x0a\x09OSMHeader", "osm", id="osm pbf"),
        pytest.param("a.xml", b'<a:FeatureCollection xmlns:gml="http://www.opengis.net/gml/3.2"/>',
                     "gml", id="gml"),
        pytest.param("a.tab", b"!table\n!version 300\n", "mapinfo", id="mapinfo tab"),
        pytest.param("a.mif", b"VERSION 300\nColumns 1\n", "mapinfo", id="mapinfo mif"),
        pytest.param("a.tab", b"a\tb\n1\t2\n", "csv", id="tab separated"),
        pytest.param("a", b"PAR1", "parquet", id="parquet"),
        pytest.param("a", b"fgb\x03", "flatgeobuf", id="flatgeobuf"),
        pytest.param("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "xls", id="xls"),
        pytest.param("a", package("xl/workbook.bin"), "xlsb", id="xlsb"),
        pytest.param("a", package("META-INF/manifest.xml", "content.xml"), "ods", id="ods"),
        pytest.param("a.zip", XLSX, "xlsx", id="workbook called zip"),
        pytest.param("a.shp", b"\0\0\x27\x0a" + b"\0" * 96, "shapefile", id="shapefile"),
    ],
)  # fmt: skip
def test_detects(tmp_path: Path, name: str, content: bytes, expected: Format) -> None:
    assert detect(member(tmp_path, name, content)) == expected


def test_detects_a_geopackage_by_its_tables_under_any_name(tmp_path: Path) -> None:
    content = (FILES / "three_layers.gpkg").read_bytes()
    assert detect(member(tmp_path, "a.sqlite", content)) == "gpkg"


def sqlite_file(folder: Path) -> bytes:
    path = folder / "plain.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (a)")
    connection.close()
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "error", "words"),
    [
        pytest.param("a.csv", b"", EmptyFileError, "a.csv is empty", id="nothing"),
        pytest.param("a.csv", HTML, HtmlRefusedError, "<html>", id="a web page"),
        pytest.param("a.csv", b"<div>oops</div>", HtmlRefusedError, "<div>", id="a piece of page"),
        pytest.param("a.csv", b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
                     HtmlRefusedError, "<Error>", id="an error in xml"),
        pytest.param("a.csv", b"Error: not found", HtmlRefusedError, "error text", id="an error"),
        pytest.param("x.geojson", VRT, HtmlRefusedError, "OGRVRT", id="a vrt called geojson"),
        pytest.param("x.geojson", b"<WFS_Capabilities/>", HtmlRefusedError, "WFS", id="wfs"),
        pytest.param("x.geojson", b"WFS:http://a.b/", InvalidGeoJsonError, "not JSON", id="url"),
        pytest.param("a.geojson", b'{"1": [2]}', UnsupportedFileError, "no GeoJSON", id="json"),
        pytest.param("a", b'{"error": "no"}', UnsupportedFileError, "no list", id="an object"),
        pytest.param("a.json", b"[[1, 2], [3, 4]]", UnsupportedFileError, "no list", id="lists"),
        pytest.param("a.csv", b"%PDF-1.7", UnsupportedFileError, "PDF", id="a pdf called csv"),
        pytest.param("a.tif", b"II*\0" + b"\0" * 50, UnsupportedFileError, "raster", id="tiff"),
        pytest.param("a.png", b"\x89PNG\r\n", UnsupportedFileError, "raster", id="png"),
        pytest.param("a.tif", b"MM\0+" + b"\0" * 50, RasterError, "BigTIFF", id="big tiff"),
        pytest.param("a.img", b"EHFA_HEADER_TAG\0" + b"\0" * 50, RasterError, "Erdas", id="img"),
        pytest.param("a.nc", b"CDF\x02" + b"\0" * 50, RasterError, "netCDF", id="netcdf"),
        pytest.param("a.rar", b"Rar!\x1a", UnsupportedFileError, "an archive", id="rar"),
        pytest.param("a.sql", b"-- all\n/* of */ CREATE TABLE a (b int);\n", UnsupportedFileError,
                     "SQL script", id="an sql script"),
        pytest.param("a.json", b'show({"type": "FeatureCollection"});', UnsupportedFileError,
                     "JSONP", id="jsonp"),
        pytest.param("a.xls", b'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?>'
                     b'<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>',
                     MalformedSpreadsheetError, "Excel 2003", id="a workbook in xml"),
        pytest.param("a.bin", bytes(range(256)) * 9, UnsupportedFileError, "unknown", id="noise"),
        pytest.param("a.xlsx", bytes(range(256)) * 9, MalformedSpreadsheetError, "no workbook",
                     id="noise called xlsx"),
        pytest.param("a.docx", package("word/document.xml"), UnsupportedFileError, "office",
                     id="docx"),
        pytest.param("a.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
                     + "EncryptedPackage".encode("utf-16-le"), PasswordProtectedError, "password",
                     id="an encrypted workbook"),
    ],
)  # fmt: skip
def test_refuses(
    tmp_path: Path, name: str, content: bytes, error: type[RunError], words: str
) -> None:
    with pytest.raises(error, match=words):
        detect(member(tmp_path, name, content))


def test_refuses_a_database_that_is_no_geopackage(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFileError, match="no GeoPackage"):
        detect(member(tmp_path, "a.gpkg", sqlite_file(tmp_path)))


@pytest.mark.parametrize("content", [HTML, b"Error 404: not found"], ids=["page", "text"])
def test_a_page_is_text_where_the_user_accepts_pages(tmp_path: Path, content: bytes) -> None:
    assert detect(member(tmp_path, "a.csv", content), accept_html=True) == "csv"


def test_an_encrypted_workbook_is_known_though_the_list_of_its_parts_stands_far_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{detect.__module__}.HEAD_BYTES", 512)
    with pytest.raises(PasswordProtectedError, match="workbook is password"):
        read_sample(tmp_path, "xlsx_with_password.xlsx")
