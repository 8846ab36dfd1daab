"""The samples of the reference system: each becomes the tables that it must become, or a code.

The files are not part of this project: without the folder beside it, the tests are skipped. Where
a case departs from what the reference's own tests require, `Case.instead` says by which rule of
ours; a case that only requires what everybody would has none.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from synctables.errors import RunError
from synctables.importer.model import ReadOptions
from synctables.importer.sandbox import Sandbox, SandboxLimits
from synctables.importer.table_names import first_free, table_base_name
from synctables.importer.workspace import create_workspace, remove_workspace
from tests.support.arrow_files import read_typed_file
from tests.support.reading import LIMITS, fetched

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from synctables.importer.model import TypedLayer

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "reference"
AMPLE = SandboxLimits(memory_bytes=2 << 30, seconds=600, max_file_bytes=1 << 30)
EVERY_LAYER = ReadOptions(every_layer=True)

POINT, LINE, POLYGON = ("Point",), ("LineString",), ("Polygon",)
MULTI_POLYGON, POLYGONS = ("MultiPolygon",), ("MultiPolygon", "Polygon")
KEPT = "mixed and multi geometries are kept as they are, not promoted"
BY_CONTENT = "the format is told by the content; a name that lies is fine"
UNIQUE = "column names are always unique and never over 63 bytes"

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no samples at {SAMPLES}")


@dataclass(frozen=True, kw_only=True)
class Table:
    """What a table holds: rows, of which so many have a shape of these types."""

    rows: int
    shapes: int = 0
    types: tuple[str, ...] = ()


def plain(rows: int) -> Table:
    """A table without shapes."""
    return Table(rows=rows)


def shaped(rows: int, types: tuple[str, ...]) -> Table:
    """A table in which every row has its shape."""
    return Table(rows=rows, shapes=rows, types=types)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a file must become: tables by name, with some of their columns, or a code."""

    tables: dict[str, Table] = field(default_factory=dict)
    columns: dict[str, list[Any]] = field(default_factory=dict)
    """Values of columns of the first table, its first rows; only the name where empty."""
    code: int | None = None
    instead: str = ""


KML = {
    "placemarks": shaped(3, POINT),
    "styles_and_markup": plain(1),
    "highlighted_icon": shaped(1, POINT),
    "ground_overlays": shaped(1, POLYGON),
    "paths": shaped(6, LINE),
    "google_campus": shaped(4, POLYGON),
    "extruded_polygon": shaped(1, POLYGON),
    "absolute_and_relative": shaped(4, POLYGON),
}
"""Two more layers hold no placemark, so no table is made of them."""


def one(name: str, table: Table, /, **columns: list[Any]) -> Case:
    """One table."""
    return Case(tables={name: table}, columns=columns)


CASES = {
    # delimited text
    "clubbing.csv": one("clubbing", plain(1998)),
    "column_string_to_boolean.csv": one("column_string_to_boolean", plain(11), f1=[]),
    "created_at_update_at_fields_present.csv": one(
        "created_at_update_at_fields_present", plain(2), created_at=[], updated_at=[]
    ),
    "csv_as_xls.xls": Case(tables={"csv_as_xls": plain(76)}, instead=BY_CONTENT),
    "csv_as_xlsx.xlsx": Case(tables={"csv_as_xlsx": plain(76)}, instead=BY_CONTENT),
    "csv_no_quotes.csv": one("csv_no_quotes", plain(8406)),
    "csv_with_geojson.csv": one("csv_with_geojson", shaped(3, MULTI_POLYGON)),
    "csv_with_one_column.csv": one("csv_with_one_column", plain(38)),
    "csv_without_extension": one("csv_without_extension", shaped(3, MULTI_POLYGON)),
    "dec_2012_modis_forest_change_fusion_tables.csv": one(
        "dec_2012_modis_forest_change_fusion_tables", shaped(7903, POINT)
    ),
    "duplicated_long_column_name.csv": Case(
        tables={"duplicated_long_column_name": plain(2)},
        columns={
            "c23456789012345678901234567890123456789012345678901234567890123": [],
            "c234567890123456789012345678901234567890123456789012345678901_1": [],
        },
        instead=UNIQUE,
    ),
    "empty.csv": one("empty", plain(0), f1=[], f2=[], f3=[]),
    "empty_file.csv": one("empty_file", plain(0), name=[], description=[]),
    "escaped_quotes_comma_sep.csv": one(
        "escaped_quotes_comma_sep",
        plain(2),
        a=[100, 200],
        b=['--"--', "------"],
        c=['"XYZ"', 'I"J"K'],
    ),
    "estaciones2.csv": one("estaciones2", plain(30)),
    "forest_change.csv": one("forest_change", shaped(4, POINT)),
    "import_csv_1.csv": one("import_csv_1", shaped(100, POINT)),
    "in_cell_line_breaks_needs_norm.csv": one(
        "in_cell_line_breaks_needs_norm",
        shaped(5, POINT),
        state=["MI"],
        plan_marketing_name=["Blue Cross\n Premier Value"],
    ),
    "ngos.csv": one("ngos", plain(76)),
    "ngos_aidmaps.csv": one("ngos_aidmaps", plain(85)),
    "ok_data.csv.gz": one("ok_data", plain(1), description=["Una descripción"]),
    "reserved_columns.csv": one("reserved_columns", plain(7), _xmin=[]),
    "short_clubbing.csv": one("short_clubbing", plain(78), club_id=[]),
    "table_50m_rivers_l_3.csv": one(
        "table_50m_rivers_l_3", Table(rows=6, shapes=2, types=("MultiLineString",))
    ),
    "too_many_columns.csv": Case(code=2004),
    "twitters_with_blank_column.csv": one("twitters_with_blank_column", plain(7)),
    "twitters_with_headerless_column.csv": one(
        "twitters_with_headerless_column", plain(7), field_2=["vzlaturistica "], field_5=[None]
    ),
    "utf8_with_rev_lf.csv": one(
        "utf8_with_rev_lf",
        plain(2),
        b=["Logroño"],
        c=["Línea uno\N{REPLACEMENT CHARACTER}Línea dos"],
    ),
    "walmart.csv": one(  # 67 rows have no coordinates
        "walmart", Table(rows=3176, shapes=3109, types=POINT), st=["05"], county=["007"]
    ),
    "walmart_latlon.csv": one("walmart_latlon", shaped(2, POINT)),
    "Weird Filename (2).csv": one("weird_filename_2", shaped(155, POINT)),
    "wrong_the_geom_guessing.csv": one("wrong_the_geom_guessing", shaped(2, POINT)),
    # what is called a CSV and is an image: the names are those of a download (test_file_names.py)
    "csvwithwrongextension.xml": Case(code=1002),
    "foowithoutextension": Case(code=1002),
    # JSON
    "clubbing.json": one("clubbing", plain(5), nombre=["CONTROL"]),
    "csv_with_number_columns.json": one(  # as many objects stand in the file
        "csv_with_number_columns", plain(176), _2002=["No Report", "18.584"], country=["Burundi"]
    ),
    "geojson.geojson": one("geojson", shaped(4, POINT)),
    "invalid.geojson": Case(code=1002),
    "simple.json": Case(tables={"simple": shaped(11, POLYGONS)}),
    # workbooks
    "fixture_20150714.xls": one("fixture_20150714", plain(76)),
    # vector maps
    "_penguins_below_80.zip": one("penguins_below_80", shaped(136, POINT)),
    "cartodb_10_export_shp.zip": one("gadm1_light_export", shaped(10, POLYGON)),
    "CartoDB_csv_multipoly_export.zip": one("sql_statement_1_export", shaped(601, MULTI_POLYGON)),
    "counties_ny_export.kml": one("counties_ny_export", shaped(62, MULTI_POLYGON)),
    "countries_simplified.zip": one("countries_simplified", shaped(246, POLYGONS)),
    "EjemploVizzuality.zip": one("vizzuality", shaped(11, POLYGONS)),
    "ESP_adm.zip": Case(
        tables={f"esp_adm{number}": shaped(53, POLYGONS) for number in ("", 1, 2, 3, 4, 5)}
    ),
    "filegeodatabase.gdb.zip": Case(
        tables={
            "filegeodatabase_pts": shaped(2, POINT),
            "filegeodatabase_lns": shaped(2, ("MultiLineString",)),
        }
    ),
    "kml_samples.zip": Case(tables={f"kml_samples_{name}": table for name, table in KML.items()}),
    "map2.osm": Case(
        tables={
            "map2_points": shaped(11, POINT),
            "map2_lines": shaped(17, LINE),
            "map2_multilinestrings": shaped(11, ("MultiLineString",)),
            "map2_multipolygons": shaped(17, MULTI_POLYGON),
        }
    ),
    "multilayer_shp.zip": Case(
        tables={
            "geography_regions_polys": shaped(60, POLYGONS),
            "land": shaped(127, POLYGON),
            "ocean": shaped(2, POLYGON),
            "populated_places": shaped(243, POINT),
            "rivers_lake_centerlines": shaped(14, LINE),
        }
    ),
    "multiple_layer.kml": Case(
        tables={f"multiple_layer_{name}": table for name, table in KML.items()}
    ),
    "one_layer.gpx": Case(
        tables={
            "one_layer_tracks": shaped(1, ("MultiLineString",)),
            "one_layer_track_points": shaped(4, POINT),
        }
    ),
    "SHP1.zip": one("esp_adm1", shaped(18, POLYGONS)),
    "TM_WORLD_BORDERS_SIMPL-0.3.zip": Case(
        tables={"tm_world_borders_simpl_0_3": shaped(246, POLYGONS)}, instead=KEPT
    ),
    "unknown_srid_shp.zip": one("table_110m_glaciated_areas", shaped(11, POLYGON)),
    "usdm130806.kmz": one("usdm130806", shaped(5, MULTI_POLYGON)),
    # archives
    "1good1bad.zip": one("twitters", plain(7)),  # the other file has a header only
    "file_ok_and_file_ko.rar": one("ok", plain(2)),
    "guess_country_ip.carto": Case(tables={"guess_country": plain(14), "guess_ip": plain(2)}),
    "public_visualization_export_with_csv_table.carto": one(
        "twitter_t3chfest_reduced", shaped(999, POINT)
    ),
    "shapefile_with_version_txt.rar": one("ne_110m_rivers_lake_centerlines", shaped(14, LINE)),
    "shapefile_with_version_txt.zip": one("ne_110m_rivers_lake_centerlines", shaped(14, LINE)),
    "zipped_ab.zip": Case(
        tables={"zipped_a": shaped(1, MULTI_POLYGON), "zipped_b": shaped(1, MULTI_POLYGON)}
    ),
}


class Desk:
    """One sandboxed child for all files of the module, its workspace emptied in between."""

    def __init__(self, sandbox: Sandbox, workspace: Path) -> None:
        self._sandbox, self._workspace = sandbox, workspace

    async def tables(self, name: str) -> dict[str, TypedLayer]:
        """What a plain import of the sample makes, by table name. Raises `RunError`."""
        self._clear()
        path = self._workspace / "fetched"
        shutil.copyfile(SAMPLES / name, path)
        unpacked = await self._sandbox.unpack(fetched(path, name), LIMITS)
        layers = await self._sandbox.read(unpacked, EVERY_LAYER, LIMITS)
        typed = await self._sandbox.infer(layers, EVERY_LAYER, LIMITS)
        tables: dict[str, TypedLayer] = {}
        for layer, typed_layer in zip(layers.layers, typed.layers, strict=True):
            tables[first_free(table_base_name(layer.table_name), tables)] = typed_layer
        return tables

    def _clear(self) -> None:
        (self._workspace / "fetched").unlink(missing_ok=True)
        for folder in ("members", "typed"):
            shutil.rmtree(self._workspace / folder, ignore_errors=True)


@pytest.fixture(scope="module")
def workspace() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)  # the sandbox's user may enter
        workspace = create_workspace(Path(name) / "workspaces")
        yield workspace
        remove_workspace(workspace)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(workspace: Path) -> AsyncIterator[Desk]:
    async with Sandbox.start(workspace, AMPLE) as sandbox:
        yield Desk(sandbox, workspace)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", CASES)
async def test_the_sample_becomes(desk: Desk, name: str) -> None:
    case = CASES[name]
    if case.code is not None:
        with pytest.raises(RunError) as failure:
            await desk.tables(name)
        assert failure.value.code == case.code
        return
    tables = await desk.tables(name)
    assert {table: _held(layer) for table, layer in tables.items()} == case.tables
    _check_columns(next(iter(tables.values())), case.columns)


def test_every_sample_has_a_case() -> None:
    assert {path.name for path in SAMPLES.iterdir()} == set(CASES)


def _held(layer: TypedLayer) -> Table:
    shapes = read_typed_file(layer.path).column("the_geom")
    return Table(
        rows=layer.row_count,
        shapes=len(shapes) - shapes.null_count,
        types=layer.geometry_types,
    )


def _check_columns(layer: TypedLayer, columns: dict[str, list[Any]]) -> None:
    table = read_typed_file(layer.path)
    assert set(columns) <= set(table.column_names)
    for name, values in columns.items():
        assert table.column(name).slice(0, len(values)).to_pylist() == values
