"""Limits of layers, tables and columns: the same in every format, each with its code."""

from __future__ import annotations

import asyncio
import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
import xlsxwriter

from synctables.accounts.service import rotate_key
from synctables.errors import RunError, TooManyColumnsError, TooManyLayersError
from synctables.importer.model import MAX_TABLES_PER_IMPORT, Limits
from synctables.importer.read.gdal import allow_only
from tests.support.reading import LIMITS, read_bytes
from tests.support.spreadsheet_files import ods_workbook, xlsb_file

if TYPE_CHECKING:
    from tests.support.api_server import ApiServer
    from tests.support.workers import Desk

POINT = shapely.to_wkb(shapely.Point(1, 2))
ROW = (
    '<table:table-row><table:table-cell office:value-type="string"><text:p>a</text:p>'
    "</table:table-cell></table:table-row>"
)


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def by_gdal(driver: str, name: str, *, layers: int = 1, columns: int = 1, **options: str) -> bytes:
    """A file with so many layers of so many columns; one of several parts comes as a ZIP."""
    cells = {f"c{number}": ["x"] for number in range(columns)}
    table = pa.table({**cells, "geometry": pa.array([POINT], pa.binary())})
    allow_only(driver)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(layers):
            pyogrio.write_arrow(
                table, f"{folder}/{name}", driver=driver, layer=f"layer_{number}",
                geometry_name="geometry", geometry_type="Point", crs="EPSG:4326",
                append=number > 0, **options,
            )  # fmt: skip
        top = Path(folder)
        files = {str(path.relative_to(top)): path for path in sorted(top.rglob("*"))}
        parts = {path: file.read_bytes() for path, file in files.items() if file.is_file()}
    return parts[name] if len(parts) == 1 else zipped(parts)


def workbook(*, sheets: int = 1, columns: int = 1) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer) as book:
        for number in range(sheets):
            sheet = book.add_worksheet(f"S{number:02}")
            sheet.write_row(0, 0, [f"c{column}" for column in range(columns)])
            sheet.write_row(1, 0, [number] * columns)
    return buffer.getvalue()


def kml(folders: int) -> bytes:
    place = "<Placemark><name>a</name><Point><coordinates>1,2</coordinates></Point></Placemark>"
    parts = "".join(f"<Folder><name>{n}</name>{place}</Folder>" for n in range(folders))
    return (
        f"<kml xmlns='http://www.opengis.net/kml/2.2'><Document>{parts}</Document></kml>".encode()
    )


def kml_of_columns(count: int) -> bytes:
    fields = "".join(f"<Data name='c{n}'><value>x</value></Data>" for n in range(count))
    place = f"<ExtendedData>{fields}</ExtendedData><Point><coordinates>1,2</coordinates></Point>"
    return (
        f"<kml xmlns='http://www.opengis.net/kml/2.2'><Placemark>{place}</Placemark></kml>".encode()
    )


def topojson(*, objects: int = 1, columns: int = 1) -> bytes:
    cells = {f"c{number}": "x" for number in range(columns)}
    shape = {"type": "Point", "coordinates": [1, 2], "properties": cells}
    collection = {"type": "GeometryCollection", "geometries": [shape]}
    found = {f"o{number}": collection for number in range(objects)}
    return json.dumps({"type": "Topology", "objects": found, "arcs": []}).encode()


def gml(types: int) -> bytes:
    point = "<gml:Point srsName='EPSG:4326'><gml:pos>2 1</gml:pos></gml:Point>"
    members = "".join(
        f"<gml:featureMember><x:T{n} gml:id='a{n}'><x:a>x</x:a><x:g>{point}</x:g></x:T{n}>"
        "</gml:featureMember>"
        for n in range(types)
    )
    spaces = "xmlns:gml='http://www.opengis.net/gml/3.2' xmlns:x='http://example.org/x'"
    return f"<gml:FeatureCollection {spaces}>{members}</gml:FeatureCollection>".encode()


def feature(columns: int) -> dict[str, Any]:
    cells = {f"c{number}": "x" for number in range(columns)}
    shape = {"type": "Point", "coordinates": [1, 2]}
    return {"type": "Feature", "properties": cells, "geometry": shape}


def esri_json(columns: int) -> bytes:
    names = [f"c{number}" for number in range(columns)]
    fields = [{"name": name, "type": "esriFieldTypeString"} for name in names]
    row = {"attributes": dict.fromkeys(names, "x"), "geometry": {"x": 1, "y": 2}}
    document = {"geometryType": "esriGeometryPoint", "fields": fields, "features": [row]}
    return json.dumps(document).encode()


def parquet(columns: int) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({f"c{number}": ["x"] for number in range(columns)}), sink)
    return sink.getvalue()


def ods_of_columns(count: int) -> bytes:
    cell = ROW.removeprefix("<table:table-row>").removesuffix("</table:table-row>")
    return ods_workbook({"S": f"<table:table-row>{cell * count}</table:table-row>"})


OF_LAYERS: dict[str, Callable[[int], bytes]] = {
    "a.gpkg": lambda count: by_gdal("GPKG", "a.gpkg", layers=count),
    "a.gdb.zip": lambda count: by_gdal("OpenFileGDB", "a.gdb", layers=count),
    "a.kml": kml,
    "a.kmz": lambda count: zipped({"doc.kml": kml(count)}),
    "a.gml": gml,
    "a.topojson": lambda count: topojson(objects=count),
    "a.xlsx": lambda count: workbook(sheets=count),
    "a.ods": lambda count: ods_workbook({f"S{number}": ROW * 2 for number in range(count)}),
    "maps.zip": lambda count: zipped(
        {f"{number}.json": json.dumps([{"a": 1}]).encode() for number in range(count)}
    ),
}


@pytest.mark.parametrize("name", OF_LAYERS)
def test_fifty_layers_are_read_and_one_more_is_refused(tmp_path: Path, name: str) -> None:
    most, make = LIMITS.max_layers, OF_LAYERS[name]
    layers = read_bytes(tmp_path, name, make(most), every_layer=True)
    assert len(layers.layers) + len(layers.left_out) == most == 50
    assert len(layers.layers) == MAX_TABLES_PER_IMPORT
    assert _refusal(tmp_path, name, make(most + 1), TooManyLayersError).code == 1019


OF_COLUMNS: dict[str, Callable[[int], bytes]] = {
    "a.csv": lambda count: ",".join(f"c{number}" for number in range(count)).encode() + b"\n",
    "a.xlsx": lambda count: workbook(columns=count),
    "a.xlsb": lambda count: xlsb_file(
        {0: {number: f"c{number}" for number in range(count)}, 1: {0: 1.0}}
    ),
    "a.ods": ods_of_columns,
    "a.json": lambda count: json.dumps([feature(count)["properties"]]).encode(),
    "a.ndjson": lambda count: (json.dumps(feature(count)["properties"]) + "\n").encode() * 2,
    "a.geojson": lambda count: json.dumps(
        {"type": "FeatureCollection", "features": [feature(count)]}
    ).encode(),
    "a.geojsonl": lambda count: (json.dumps(feature(count)) + "\n").encode() * 2,
    "a.topojson": lambda count: topojson(columns=count),
    "esri.json": esri_json,
    "a.gpkg": lambda count: by_gdal("GPKG", "a.gpkg", columns=count),
    "a.gdb.zip": lambda count: by_gdal("OpenFileGDB", "a.gdb", columns=count),
    "a.fgb": lambda count: by_gdal("FlatGeobuf", "a.fgb", columns=count),
    "a.kml": kml_of_columns,
    "a.parquet": parquet,
}

GIVEN_COLUMNS = {"a.kml": 12, "a.gdb.zip": 1, "a.topojson": 1}
"""Those that GDAL gives every file of the format: name, description, …; a number or an id."""


@pytest.mark.parametrize(
    "name",
    [  # GDAL takes half a minute to write that FileGDB
        pytest.param(name, marks=[pytest.mark.full] if name == "a.gdb.zip" else [])
        for name in OF_COLUMNS
    ],
)
def test_1597_columns_are_read_and_one_more_is_refused(tmp_path: Path, name: str) -> None:
    most, make = LIMITS.max_columns, OF_COLUMNS[name]
    spare = GIVEN_COLUMNS.get(name, 0)
    (layer,) = read_bytes(tmp_path, name, make(most - spare)).layers
    assert len(layer.fields) == most == 1597
    assert _refusal(tmp_path, name, make(most + 1 - spare), TooManyColumnsError).code == 2004


def _refusal(folder: Path, name: str, content: bytes, error: type[RunError]) -> RunError:
    with pytest.raises(error) as refusal:
        read_bytes(folder, name, content, limits=Limits(max_bytes=1 << 30), every_layer=True)
    return refusal.value


async def test_of_27_layers_26_become_tables_and_the_api_names_the_other(
    desk: Desk, worker: None, api_server: ApiServer
) -> None:
    async with desk.pool.connection() as connection:
        key = await rotate_key(connection, name=desk.account.name)

    def call(method: str, path: str, **options: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {key}"}
        answer = api_server.call(method, f"/api/v1/imports{path}", headers=headers, **options)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    sent = {"files": {"file": ("many.xlsx", workbook(sheets=27))}}
    posted = await asyncio.to_thread(call, "POST", "", **sent)
    await desk.wait_for(posted["item_queue_id"])
    shown = await asyncio.to_thread(call, "GET", f"/{posted['item_queue_id']}")
    assert (shown["state"], shown["tables_created_count"]) == ("complete", 26)
    assert shown["warnings"] == {"rejected_layers": ["S26"], "max_tables_per_import": 26}
    names = [f"many_s{number:02}" for number in range(26)]
    assert await desk.rows(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'alice' ORDER BY 1"
    ) == [(name,) for name in names]
    assert await desk.rows("SELECT c0 FROM many_s25") == [(25,)]
