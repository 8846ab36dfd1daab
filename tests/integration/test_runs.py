"""A URL becomes a table that stays equal to it: the whole path, with real parts at every point."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from synctables.importer.model import ColumnType
from synctables.syncs.model import Accept, OnEmpty, RunState, SchemaPolicy, SyncState
from synctables.syncs.service import delete_sync
from tests.support.file_server import FileServer
from tests.support.workers import Desk

pytestmark = pytest.mark.usefixtures("worker")

CSV = b"name,lat,lon,size\nOslo,59.91,10.75,700000\nBergen,60.39,5.32,280000\nMolde,62.74,7.16,\n"
CHANGED = (
    b"name,lat,lon,size\nOslo,59.91,10.75,709000\nBergen,60.39,5.32,280000\nVoss,60.63,6.42,6000\n"
)


async def test_a_csv_becomes_a_table_with_geometry(desk: Desk, file_server: FileServer) -> None:
    url = file_server.put(
        "/cities.csv", CSV, etag='"v1"', last_modified="Sun, 06 Nov 1994 08:49:37 GMT"
    )
    sync, run = await desk.add(url)

    assert (sync.state, sync.name, sync.error_code) == (SyncState.SUCCESS, "cities", None)
    assert run.state is RunState.COMPLETE
    assert run.table_names == ("cities",)
    assert sync.version.etag == '"v1"'
    assert sync.version.modified_at == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
    assert sync.run_at == sync.created_at + timedelta(hours=1)
    assert sync.retried_times == 0
    assert run.report["rows"] == {
        "read": 3,
        "inserted": 3,
        "updated": 0,
        "deleted": 0,
        "unchanged": 0,
    }
    assert await desk.rows(
        "SELECT cartodb_id, name, size, st_asewkt(the_geom), st_srid(the_geom_webmercator)"
        " FROM cities ORDER BY 1"
    ) == [
        (1, "Oslo", 700000, "SRID=4326;POINT(10.75 59.91)", 3857),
        (2, "Bergen", 280000, "SRID=4326;POINT(5.32 60.39)", 3857),
        (3, "Molde", None, "SRID=4326;POINT(7.16 62.74)", 3857),
    ]
    log = (await desk.log(sync.log_id)).splitlines()
    assert log[-1].startswith("cities: 3 inserted")
    assert "column name: text" in log[-5]


async def test_an_unchanged_source_costs_a_304_and_a_changed_one_its_difference(
    desk: Desk, file_server: FileServer
) -> None:
    url = file_server.put("/cities.csv", CSV, etag='"v1"')
    first, _ = await desk.add(url)

    same, run = await desk.force(first.id)
    assert run.http_status == 304
    assert same.ran_at > first.ran_at
    assert same.updated_at == first.updated_at
    assert file_server.requests("/cities.csv")[-1].headers["if-none-match"] == '"v1"'

    file_server.put("/cities.csv", CHANGED, etag='"v2"')
    changed, run = await desk.force(first.id)
    assert changed.updated_at > first.updated_at
    assert changed.version.etag == '"v2"'
    assert run.report["rows"] == {
        "read": 3,
        "inserted": 1,
        "updated": 1,
        "deleted": 1,
        "unchanged": 1,
    }
    assert await desk.rows("SELECT name, size FROM cities ORDER BY name") == [
        ("Bergen", 280000),
        ("Oslo", 709000),
        ("Voss", 6000),
    ]


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE alice.cities SET size = 1",
        "DELETE FROM alice.cities",
        "INSERT INTO alice.cities (name) VALUES ('mine')",
        "ALTER TABLE alice.cities DROP size",
        "ALTER TABLE alice.cities DISABLE TRIGGER ALL; TRUNCATE alice.cities",
    ],
)
async def test_a_forced_run_heals_edits_although_the_source_is_unchanged(
    desk: Desk, file_server: FileServer, edit: str
) -> None:
    sync, _ = await desk.add(file_server.put("/cities.csv", CSV, etag='"v1"'))
    content = "SELECT name, size, st_astext(the_geom) FROM alice.cities ORDER BY name"
    before = await desk.rows(content)
    await desk.execute(edit)

    _, run = await desk.force(sync.id)
    assert run.http_status == 200
    assert await desk.rows(content) == before
    assert "not as the last run left it" in await desk.log(sync.log_id)

    _, run = await desk.force(sync.id)
    assert run.http_status == 304


async def test_equal_content_behind_new_validators_is_not_modified(
    desk: Desk, file_server: FileServer
) -> None:
    url = file_server.put("/cities.csv", CSV, etag='"v1"')
    first, _ = await desk.add(url)
    file_server.put("/cities.csv", CSV, etag='"v2"')
    again, run = await desk.force(first.id)
    assert (run.http_status, run.report) == (200, {})
    assert again.updated_at == first.updated_at
    assert again.version.etag == '"v2"'
    file_server.put("/cities.csv", CSV)
    again, _ = await desk.force(first.id)
    assert again.version.etag is None
    assert again.version.checksum == first.version.content_sha256


@pytest.mark.parametrize(
    ("body", "code", "accept"),
    [
        pytest.param(b"name,lat,lon,size\n", 2102, Accept.EMPTY, id="no rows any more"),
        pytest.param(
            b"<!DOCTYPE html><html><body>Please log in</body></html>", 2103, None, id="a login page"
        ),
        pytest.param(b"", 1005, None, id="nothing at all"),
        pytest.param(b"name,size\nOslo,1\n", 2101, Accept.ROW_LOSS, id="nearly all rows gone"),
    ],
)
async def test_a_poisonous_version_is_refused_and_the_table_stays(
    desk: Desk, file_server: FileServer, body: bytes, code: int, accept: Accept | None
) -> None:
    good = b"name,size\n" + b"".join(b"city %d,%d\n" % (i, i) for i in range(30))
    url = file_server.put("/cities.csv", good)
    first, _ = await desk.add(url)
    file_server.put("/cities.csv", body)

    refused, run = await desk.force(first.id)

    assert (refused.state, refused.error_code) == (SyncState.FAILURE, code)
    assert refused.retried_times == 1
    assert refused.version == first.version
    assert refused.ran_at == first.ran_at
    assert refused.attempted_at is not None
    assert refused.attempted_at > first.ran_at
    assert run.error_message == refused.error_message
    assert await desk.rows("SELECT count(*) FROM cities") == [(30,)]

    if accept is not None:
        forced, _ = await desk.force(first.id, accept)
        assert (forced.state, forced.error_code, forced.retried_times) == (
            SyncState.SUCCESS,
            None,
            0,
        )
        assert (await desk.rows("SELECT count(*) FROM cities"))[0][0] <= 1


async def test_options_of_the_sync_let_pass(desk: Desk, file_server: FileServer) -> None:
    url = file_server.put("/cities.csv", CSV)
    first, _ = await desk.add(url, on_empty=OnEmpty.ACCEPT)
    file_server.put("/cities.csv", b"name,lat,lon,size\n")
    emptied, _ = await desk.force(first.id)
    assert emptied.state is SyncState.SUCCESS
    assert await desk.rows("SELECT count(*) FROM cities") == [(0,)]


async def test_types_stick_and_widen_and_a_frozen_schema_refuses(
    desk: Desk, file_server: FileServer
) -> None:
    url = file_server.put("/a.csv", b"id,code\n1,x\n2,y\n")
    first, _ = await desk.add(url)
    frozen, _ = await desk.add(url, table_name="b", schema_policy=SchemaPolicy.FREEZE)
    file_server.put("/a.csv", b"id,code\n1.5,7\n2,8\n")

    wider, _ = await desk.force(first.id)
    assert [column.type for column in wider.contract] == [ColumnType.DOUBLE, ColumnType.TEXT]
    assert await desk.rows("SELECT id, code FROM a ORDER BY id") == [(1.5, "7"), (2.0, "8")]

    refused, _ = await desk.force(frozen.id)
    assert refused.error_code == 2012
    assert refused.error_message is not None
    assert '"id"' in refused.error_message
    assert "1.5" in refused.error_message
    assert await desk.rows("SELECT id, code FROM b ORDER BY id") == [(1, "x"), (2, "y")]


@pytest.mark.parametrize(
    ("page", "code", "pause_seconds"),
    [
        pytest.param({"status": 404}, 1100, 3600, id="gone"),
        pytest.param({"status": 401}, 1101, 3600, id="forbidden"),
        pytest.param({"status": 503}, 1001, 60, id="a moment of weakness"),
        pytest.param(
            {"status": 429, "headers": {"Retry-After": "1200"}}, 1001, 1200, id="asked to wait"
        ),
        pytest.param({"body": b"a,b\n1,2\n", "declared_bytes": 999}, 1103, 60, id="cut off"),
    ],
)
async def test_a_failing_source_backs_off(
    desk: Desk, file_server: FileServer, page: dict[str, object], code: int, pause_seconds: int
) -> None:
    url = file_server.put("/a.csv", **page)  # type: ignore[arg-type]
    sync, run = await desk.add(url)
    assert (sync.state, sync.error_code, sync.retried_times) == (SyncState.FAILURE, code, 1)
    assert run.state is RunState.FAILURE
    assert sync.attempted_at is not None
    assert sync.run_at - sync.attempted_at == timedelta(seconds=pause_seconds)
    assert sync.ran_at == sync.created_at
    assert await desk.rows("SELECT count(*) FROM tables") == [(0,)]


async def test_a_redirect_into_a_private_network_is_not_followed(
    desk: Desk, file_server: FileServer
) -> None:
    url = file_server.redirect("/a.csv", to="http://169.254.169.254/latest/meta-data")
    sync, _ = await desk.add(url)
    assert sync.error_code == 1102


async def test_a_due_sync_runs_by_itself(desk: Desk, file_server: FileServer) -> None:
    url = file_server.put("/cities.csv", CSV, etag='"v1"')
    sync, _ = await desk.add(url, interval_seconds=2)
    file_server.put("/cities.csv", CHANGED, etag='"v2"')

    async def has_refreshed() -> bool | None:
        return (await desk.sync(sync.id)).version.etag == '"v2"' or None

    await desk.until(has_refreshed)
    refreshed = await desk.sync(sync.id)
    assert (refreshed.run_at - sync.created_at).total_seconds() % 2 == 0
    assert await desk.rows("SELECT count(*) FROM cities WHERE name = 'Voss'") == [(1,)]


async def test_a_removed_sync_leaves_a_standard_table_and_calls_its_run_off(
    desk: Desk, file_server: FileServer
) -> None:
    url = file_server.put("/cities.csv", CSV, etag='"v1"')
    sync, _ = await desk.add(url)
    file_server.put("/cities.csv", CHANGED, etag='"v2"', hold_after_bytes=10)
    await desk.force_only(sync.id)
    await asyncio.to_thread(file_server.wait_until_held, "/cities.csv")
    async with desk.pool.connection() as connection:
        await delete_sync(connection, account_id=desk.account.id, sync_id=sync.id)
    file_server.release("/cities.csv")

    async def is_idle() -> bool | None:
        jobs = await desk.rows(
            "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'synctables.run'"
        )
        return jobs == [(0,)] or None

    await desk.until(is_idle)
    assert await desk.rows("SELECT name FROM cities ORDER BY name") == [
        ("Bergen",),
        ("Molde",),
        ("Oslo",),
    ]
    assert await desk.rows("SELECT outcome FROM runs ORDER BY created_at DESC LIMIT 1") == [
        ("killed",)
    ]


async def test_a_dropped_table_is_said_and_not_made_anew(
    desk: Desk, file_server: FileServer
) -> None:
    sync, _ = await desk.add(file_server.put("/cities.csv", CSV))
    await desk.execute("DROP TABLE alice.cities")
    failed, _ = await desk.force(sync.id)
    assert failed.error_code == 2104


async def test_two_syncs_of_one_file_get_two_tables(desk: Desk, file_server: FileServer) -> None:
    url = file_server.put("/cities.csv", CSV)
    (one, first), (two, second) = await asyncio.gather(desk.add_only(url), desk.add_only(url))
    for run_id in (first, second):
        await desk.wait_for(run_id)
    names = {(await desk.sync(one.id)).name, (await desk.sync(two.id)).name}
    assert names == {"cities", "cities_1"}
