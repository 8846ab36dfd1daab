"""Every code of the table: produced by a file or a server here, or accounted for by name.

A new class with a code fails `test_every_code_is_accounted_for` until it stands in one of the four
tables: a file for what a file can do, a page for what a server can do, the test elsewhere that
proves it, or why nothing raises it yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from synctables import errors
from synctables.errors import RETIRED_CODES, RunError, describe_code
from synctables.importer import read
from synctables.importer.apply import coded_database_errors
from synctables.importer.infer import infer
from synctables.importer.model import Limits, ReadOptions
from synctables.syncs import runs
from tests.support.fetching import make_fetcher
from tests.support.file_server import FileServer
from tests.support.reading import FILES, LIMITS, unpack_bytes
from tests.support.workers import Desk, StartWorker

TESTS = Path(__file__).parents[1]

PROTECTED_FILES = (
    # Made with py7zr 1.1, msoffcrypto-tool 6.1 and, after the formats' specifications, by hand;
    # those of RAR 4 and the ZIP with a hidden list are libarchive's own samples (BSD 2-Clause).
    *("7z_with_password.7z", "7z_with_password_on_its_list_of_files.7z"),
    *("rar_4_with_password.rar", "rar_4_with_password_on_its_list_of_files.rar"),
    "rar_4_with_password_on_one_of_two_files.rar",
    *("rar_5_with_password.rar", "rar_5_with_password_on_its_list_of_files.rar"),
    *("zip_with_password.zip", "zip_with_password_on_its_list_of_files.zip"),
    *("ods_with_password.ods", "ods_with_password_on_everything.ods"),
    *("xls_with_password.xls", "xlsx_with_password.xlsx"),
)

RASTERS = (
    *("esri_ascii_grid.asc", "geotiff_of_one_pixel.tif", "geotiff_with_its_side_files.zip"),
    "geopackage_of_raster_tiles_only.gpkg",
)

FAULTY_FILES: list[tuple[int, str]] = [
    (1002, "picture_called_csv.csv"),
    (1002, "geopackage_cut_off.gpkg"),
    *((1002, name) for name in RASTERS),
    (1003, "zip_cut_off.zip"),
    (1005, "no_bytes_at_all.csv"),
    (1006, "shapefile_without_dbf.zip"),
    (1006, "shapefile_without_shp.zip"),
    (1003, "rar_5_with_wrong_checksum.rar"),
    *((1018, name) for name in PROTECTED_FILES),
    (1019, "zip_of_fifty_one_tables.zip"),
    (1024, "three_layers.gpkg"),
    (2001, "kml_cut_off.kml"),
    (2002, "utf16_cut_within_a_character.csv"),
    (2003, "rows_of_every_width.csv"),
    (2004, "one_column_too_many.csv"),
    (2006, "tar_with_name_in_no_encoding.tar"),
    (2008, "noise_called_xlsx.xlsx"),
    (2014, "geopackage_with_ring_of_one_point.gpkg"),
    (2103, "login_page_instead_of_data.csv"),
    (3007, "text_called_geojson.geojson"),
    (3008, "shapefile_in_metres_without_prj.zip"),
    (3202, "network_link.kml"),
    (6666, "zip_that_grows_to_2_mb.zip"),
]
OPTIONS = {1024: ReadOptions(layer="gone")}
TIGHT = {6666: Limits(max_bytes=1_000_000)}

FAULTY_PAGES: list[tuple[int, dict[str, Any]]] = [
    (1001, {"status": 500}),
    (1001, {"status": 400}),
    (1007, {"status": 400, "headers": {"Error": "You requested too many nodes (limit is 50000)."}}),
    (1020, {"hold_after_bytes": 0, "holds_headers": True}),
    (1100, {"status": 404}),
    (1101, {"status": 401}),
    (1103, {"body": b"a,b\n1,2\n", "declared_bytes": 999}),
    (6666, {"body": b"a,b\n" * 1000}),
]

FAULTY_ADDRESSES = [
    (1102, "http://nowhere.invalid/a.csv"),
    (1102, "http://10.0.0.1/a.csv"),
]

PROVEN_ELSEWHERE = {
    1011: "integration/test_quotas.py::"
    "test_a_sync_whose_plan_has_no_sync_tables_any_more_fails_with_1011",
    1013: "integration/test_paged_arcgis.py::test_servers_before_10_1_are_refused",
    1014: "unit/test_names.py::test_no_free_table_name_is_an_error",
    1023: "integration/test_paged_arcgis.py::test_a_layer_that_cannot_be_queried_is_refused",
    2012: "integration/test_runs.py::test_types_stick_and_widen_and_a_frozen_schema_refuses",
    2013: "integration/test_apply_columns.py::"
    "test_a_view_in_the_way_of_a_type_is_named_and_the_table_stays",
    2101: "integration/test_runs.py::test_a_poisonous_version_is_refused_and_the_table_stays",
    2102: "integration/test_runs.py::test_a_poisonous_version_is_refused_and_the_table_stays",
    2104: "integration/test_runs.py::test_a_dropped_table_is_said_and_not_made_anew",
    6667: "integration/test_sandbox_endings.py::test_a_child_beyond_its_limits_is_killed",
    6668: "integration/test_quotas.py::"
    "test_more_rows_than_the_plan_allows_are_6668_and_the_table_stays",
    6669: "integration/test_plans.py::test_more_imports_at_once_than_the_plan_allows_are_429",
    6671: "integration/test_error_codes.py::test_a_run_whose_worker_ends_again_and_again_is_stuck",
    6672: "integration/test_error_codes.py::test_a_database_that_goes_away_is_told_as_such",
    6673: "integration/test_apply_users.py::test_a_lock_that_stays_is_not_waited_for_for_ever",
    6674: "integration/test_fetch.py::test_a_full_disk_is_told_as_such",
    6675: "integration/test_sandbox_endings.py::"
    "test_who_ended_the_child_decides_whether_the_file_is_to_blame",
    8001: "integration/test_quotas.py::test_what_does_not_fit_after_all_is_rolled_back",
    8002: "integration/test_quotas.py::test_more_tables_than_the_plan_allows_are_8002",
    99999: "integration/test_error_codes.py::test_what_nobody_foresaw_has_the_code_for_it",
}

NOT_RAISED_YET = {
    **dict.fromkeys((1008, 1012, 1016, 1017, 1021), "files in cloud drives are not read yet"),
    1022: "a table whose name is taken gets another name; there is no way to skip it yet",
}

REFERENCE = {
    *(1, *range(1000, 1024), *range(1100, 1104), *range(1500, 1503), *range(2001, 2015)),
    *(3007, 3008, 3009, 3101, 3201, 3202, *range(6666, 6672), *range(8001, 8009), 9999, 99999),
}
"""The codes of the Sync Tables API's own table."""


def _classes(parent: type[RunError] = RunError) -> Iterator[type[RunError]]:
    for child in parent.__subclasses__():
        if "code" in vars(child):
            yield child
        yield from _classes(child)


RAISED = {found.code for found in _classes()}


def test_every_code_is_accounted_for() -> None:
    here = {code for code, _ in (*FAULTY_FILES, *FAULTY_PAGES, *FAULTY_ADDRESSES)}
    assert here | PROVEN_ELSEWHERE.keys() | NOT_RAISED_YET.keys() == RAISED
    assert not NOT_RAISED_YET.keys() & (here | PROVEN_ELSEWHERE.keys())


def test_the_table_is_complete_and_no_code_stands_in_it_twice() -> None:
    assert RAISED | RETIRED_CODES.keys() >= REFERENCE
    assert not RAISED & RETIRED_CODES.keys()


@pytest.mark.parametrize("place", PROVEN_ELSEWHERE.values())
def test_the_test_elsewhere_is_there(place: str) -> None:
    path, _, name = place.partition("::")
    assert f"def {name}(" in (TESTS / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("code", sorted(RAISED | RETIRED_CODES.keys()))
def test_every_code_says_what_it_is_and_what_to_do(code: int) -> None:
    found = describe_code(code)
    assert found.code == code
    assert found.title
    assert found.hint.endswith(".")
    assert found.blame in ("user", "service", "external")
    assert found.transient in (True, False)


@pytest.mark.parametrize("error", list(_classes()), ids=lambda error: error.__name__)
def test_the_sandbox_can_name_every_class(error: type[RunError]) -> None:
    assert getattr(errors, error.__name__) is error


@pytest.mark.parametrize("code", [None, 4242])
def test_a_code_that_nobody_knows_is_unknown(code: int | None) -> None:
    assert describe_code(code) is errors.UnknownError


@pytest.mark.parametrize(("code", "name"), FAULTY_FILES)
def test_a_file_ends_with_its_code(tmp_path: Path, code: int, name: str) -> None:
    options, limits = OPTIONS.get(code, ReadOptions(every_layer=True)), TIGHT.get(code, LIMITS)
    with pytest.raises(RunError) as failure:
        _import(tmp_path, name, options, limits)
    assert failure.value.code == code
    assert not failure.value.transient


@pytest.mark.parametrize("name", RASTERS)
def test_a_raster_is_told_as_such(tmp_path: Path, name: str) -> None:
    with pytest.raises(errors.RasterError, match="Raster is out of scope"):
        _import(tmp_path, name, ReadOptions(), LIMITS)


def _import(folder: Path, name: str, options: ReadOptions, limits: Limits) -> None:
    unpacked = unpack_bytes(folder, name, (FILES / name).read_bytes(), limits=limits)
    layers = read.read(unpacked, options, limits)
    typed = {"into": folder, "limits": limits, "on_rows": lambda _: None}
    infer(layers, read.open_batches, options, **typed)  # type: ignore[arg-type]


@pytest.mark.parametrize(("code", "page"), FAULTY_PAGES)
async def test_a_server_ends_with_its_code(
    tmp_path: Path, file_server: FileServer, code: int, page: dict[str, Any]
) -> None:
    fetcher = make_fetcher(tmp_path, idle_timeout_seconds=0.1, max_file_bytes=1000)
    assert (await fetcher.failure(file_server.put("/a.csv", **page))).code == code


@pytest.mark.parametrize(("code", "url"), FAULTY_ADDRESSES)
async def test_an_address_ends_with_its_code(tmp_path: Path, code: int, url: str) -> None:
    assert (await make_fetcher(tmp_path).failure(url)).code == code


async def test_a_run_whose_worker_ends_again_and_again_is_stuck(
    desk: Desk, file_server: FileServer, start_worker: StartWorker
) -> None:
    _, run_id = await desk.add_only(file_server.put("/a.csv", b"a\n1\n"))
    await desk.execute(f"UPDATE runs SET attempt_count = {runs.MOST_ATTEMPTS}")
    await start_worker()
    assert (await desk.wait_for(run_id)).error_code == 6671


async def test_a_database_that_goes_away_is_told_as_such(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        with pytest.raises(errors.DatabaseUnavailableError) as failure, coded_database_errors():
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert failure.value.code == 6672


async def test_what_nobody_foresaw_has_the_code_for_it(
    desk: Desk, file_server: FileServer, worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "run_pipeline", lambda *_, **__: int("secret"))
    sync, run = await desk.add(file_server.put("/a.csv", b"a\n1\n"))
    assert (sync.error_code, run.error_code) == (99999, 99999)
    assert "secret" not in str(run.error_message)
