"""What users' own edits do: webmercator follows the shape, and the sync tells when it was."""

from __future__ import annotations

import datetime as dt

import pytest
from psycopg import sql

from synctables.datasources.source import Source
from synctables.importer.apply.edits import clear_edits, fold_edits
from synctables.syncs.model import Sync, SyncOptions
from synctables.syncs.service import create_import, delete_sync
from tests.support.file_server import FileServer
from tests.support.workers import Desk

pytestmark = pytest.mark.usefixtures("worker")

CSV = b"name,lat,lon\nOslo,59.91,10.75\nBergen,60.39,5.32\nNowhere,,\n"
CHANGED = CSV.replace(b"59.91", b"59.92") + b"Voss,60.63,6.42\n"

MERCATOR = "the_geom_webmercator"
FOLLOWS = f"abs(st_x({MERCATOR}) - radians(st_x(the_geom)) * 6378137) < 1e-6"


@pytest.fixture
async def sync(desk: Desk, file_server: FileServer) -> Sync:
    sync, _ = await desk.add(file_server.put("/cities.csv", CSV, etag='"v1"'))
    return sync


@pytest.fixture
async def editor(desk: Desk, sync: Sync) -> str:
    """A role that may edit the table and sees nothing of the service's own schema."""
    role = f"editor_{sync.id.hex}"
    for statement in (
        "CREATE ROLE {}",
        "GRANT {} TO synctables",
        "GRANT USAGE ON SCHEMA alice TO {}",
        "GRANT ALL ON alice.cities TO {}",
        "GRANT USAGE ON SEQUENCE alice.cities_cartodb_id_seq TO {}",
    ):
        async with desk.pool.connection() as connection:
            await connection.execute(sql.SQL(statement).format(sql.Identifier(role)))
    return role


async def edit(desk: Desk, role: str, statement: str) -> None:
    async with desk.pool.connection() as connection:
        await connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        await connection.execute(statement)


async def notes(desk: Desk) -> int:
    ((count,),) = await desk.rows("SELECT count(*) FROM edits")
    return int(count)


async def oid(desk: Desk) -> int:
    ((found,),) = await desk.rows("SELECT 'alice.cities'::regclass::oid::bigint")
    return int(found)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        pytest.param(
            "INSERT INTO alice.cities (name, the_geom) VALUES ('Oslo 2', 'SRID=4326;POINT(8 91)')",
            f"SELECT {FOLLOWS} FROM cities WHERE name = 'Oslo 2'",
            id="a new shape, even one beyond the pole",
        ),
        pytest.param(
            "UPDATE alice.cities SET the_geom = 'SRID=4326;POINT(190 1)' WHERE name = 'Oslo'",
            f"SELECT {FOLLOWS} FROM cities WHERE name = 'Oslo'",
            id="a shape that moved",
        ),
        pytest.param(
            "UPDATE alice.cities SET the_geom = 'SRID=4326;POINT(7 1)' WHERE name = 'Nowhere'",
            f"SELECT {FOLLOWS} FROM cities WHERE name = 'Nowhere'",
            id="a shape where there was none",
        ),
        pytest.param(
            "UPDATE alice.cities SET the_geom = NULL WHERE name = 'Oslo'",
            f"SELECT {MERCATOR} IS NULL FROM cities WHERE name = 'Oslo'",
            id="a shape that was taken away",
        ),
        pytest.param(
            f"UPDATE alice.cities SET the_geom = 'SRID=4326;POINT(7 1)', {MERCATOR} = NULL"
            " WHERE name = 'Oslo'",
            f"SELECT {FOLLOWS} FROM cities WHERE name = 'Oslo'",
            id="a shape with the other left to us",
        ),
        pytest.param(
            f"UPDATE alice.cities SET the_geom = 'SRID=4326;POINT(7 1)',"
            f" {MERCATOR} = 'SRID=3857;POINT(1 2)' WHERE name = 'Oslo'",
            f"SELECT st_astext({MERCATOR}) = 'POINT(1 2)' FROM cities WHERE name = 'Oslo'",
            id="both, which is the user's own choice",
        ),
        pytest.param(
            f"INSERT INTO alice.cities (the_geom, {MERCATOR})"
            " VALUES ('SRID=4326;POINT(7 1)', 'SRID=3857;POINT(1 2)')",
            f"SELECT st_astext({MERCATOR}) = 'POINT(1 2)' FROM cities WHERE name IS NULL",
            id="both in a new row",
        ),
    ],
)
async def test_the_webmercator_shape_follows(
    desk: Desk, editor: str, statement: str, expected: str
) -> None:
    await edit(desk, editor, statement)
    assert await desk.rows(expected) == [(True,)]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO alice.cities (name) VALUES ('Molde')",
        "UPDATE alice.cities SET name = 'Christiania' WHERE name = 'Oslo'",
        "DELETE FROM alice.cities WHERE name = 'Oslo'",
        "TRUNCATE alice.cities",
    ],
)
async def test_an_edit_shows_in_modified_at_at_once_and_stays_after_the_next_refresh(
    desk: Desk, sync: Sync, editor: str, file_server: FileServer, statement: str
) -> None:
    assert sync.modified_at is None
    before = dt.datetime.now(dt.UTC)
    await edit(desk, editor, statement)
    edited_at = (await desk.sync(sync.id)).modified_at
    assert edited_at is not None
    assert before <= edited_at <= dt.datetime.now(dt.UTC)

    file_server.put("/cities.csv", CHANGED, etag='"v2"')
    after, _ = await desk.force(sync.id)
    assert after.modified_at == edited_at
    assert await notes(desk) == 0


async def test_a_refresh_is_no_edit(desk: Desk, sync: Sync, file_server: FileServer) -> None:
    file_server.put("/cities.csv", CHANGED, etag='"v2"')
    after, run = await desk.force(sync.id)
    assert run.report["rows"] == {
        "read": 4,
        "inserted": 1,
        "updated": 1,
        "deleted": 0,
        "unchanged": 2,
    }
    assert after.modified_at is None
    assert await notes(desk) == 0


async def test_an_edit_that_is_committed_after_the_refresh_looked_keeps_its_note(
    desk: Desk, sync: Sync
) -> None:
    async with desk.pool.connection() as user, desk.pool.connection() as refresh:
        await user.execute("UPDATE alice.cities SET name = name")
        await refresh.execute("UPDATE synctables.tables SET row_count = row_count")
        await clear_edits(refresh, await oid(desk))
        await refresh.commit()
        await user.commit()
    assert await notes(desk) == 1
    assert (await desk.sync(sync.id)).modified_at is not None


async def test_the_sweep_keeps_the_newest_of_many_notes_with_the_sync(
    desk: Desk, sync: Sync
) -> None:
    for _ in range(3):
        await desk.execute("UPDATE alice.cities SET name = name")
    newest = (await desk.sync(sync.id)).modified_at
    async with desk.pool.connection() as connection:
        await fold_edits(connection)
    assert await notes(desk) == 0
    assert (await desk.sync(sync.id)).modified_at == newest


async def test_the_sweep_passes_a_sync_by_that_a_refresh_holds(desk: Desk, sync: Sync) -> None:
    await desk.execute("UPDATE alice.cities SET name = name")
    async with desk.pool.connection() as refresh, desk.pool.connection() as sweep:
        await refresh.execute("SELECT FROM syncs WHERE id = %s FOR UPDATE", [sync.id])
        await fold_edits(sweep)
    assert await notes(desk) == 1


async def test_a_table_that_no_sync_keeps_leaves_no_notes(desk: Desk, sync: Sync) -> None:
    await desk.execute("UPDATE alice.cities SET name = name")
    async with desk.pool.connection() as connection:
        await delete_sync(connection, account_id=desk.account.id, sync_id=sync.id)
    await desk.execute("UPDATE alice.cities SET name = name")
    async with desk.pool.connection() as connection:
        await fold_edits(connection)
    assert await notes(desk) == 0


@pytest.mark.parametrize(
    "removal",
    [
        "DROP TRIGGER synctables_edits ON alice.cities;"
        "DROP TRIGGER synctables_webmercator_insert ON alice.cities;"
        "DROP TRIGGER synctables_webmercator_update ON alice.cities",
        "ALTER TABLE alice.cities DISABLE TRIGGER USER",
    ],
)
async def test_edits_and_refreshes_go_on_without_the_triggers(
    desk: Desk, sync: Sync, file_server: FileServer, removal: str
) -> None:
    await desk.execute(removal)
    await desk.execute("UPDATE alice.cities SET name = 'Christiania' WHERE name = 'Oslo'")
    file_server.put("/cities.csv", CHANGED, etag='"v2"')
    after, run = await desk.force(sync.id)
    assert (run.error_code, after.modified_at) == (None, None)
    assert await desk.rows("SELECT name FROM cities ORDER BY 1") == [
        ("Bergen",),
        ("Nowhere",),
        ("Oslo",),
        ("Voss",),
    ]


async def test_a_column_that_is_dropped_takes_its_trigger_along(desk: Desk, editor: str) -> None:
    await desk.execute(f"ALTER TABLE alice.cities DROP COLUMN {MERCATOR} CASCADE")
    await edit(desk, editor, "UPDATE alice.cities SET the_geom = 'SRID=4326;POINT(1 1)'")
    assert await desk.rows("SELECT count(*) FROM cities WHERE st_x(the_geom) = 1") == [(3,)]


async def test_the_table_of_a_plain_import_follows_too_and_is_not_noted(
    desk: Desk, file_server: FileServer
) -> None:
    async with desk.pool.connection() as connection:
        run_id = await create_import(
            connection,
            desk.jobs_app,
            account=desk.account,
            source=Source(url=file_server.put("/towns.csv", CSV)),
            file_name=None,
            content=None,
            options=SyncOptions(interval_seconds=3600),
            limits=desk.limits,
        )
    await desk.wait_for(run_id)
    await desk.execute("UPDATE alice.towns SET the_geom = 'SRID=4326;POINT(1 1)'")
    assert await desk.rows(f"SELECT bool_and({FOLLOWS}) FROM towns") == [(True,)]
    assert await notes(desk) == 0
