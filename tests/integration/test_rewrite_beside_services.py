"""A rewrite on servers set up otherwise than the tests' own: one that replicates, one that vacuums.

Each is a server of its own, since both are settings that only a start changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
import pytest

from synctables.importer.apply.hindered import HinderedError
from synctables.importer.apply.model import Way
from synctables.importer.model import ColumnType
from tests.support.applying import Applying
from tests.support.forcing import prefer_rewrite
from tests.support.layers import MakeLayer
from tests.support.restarting_server import RestartingServer
from tests.support.rewriting import Rewriting

ROWS = 2_000
NOTED = "replication slot follower follows the rows of this database one by one."
VACUUMED = """
SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE backend_type = 'autovacuum worker' AND relation = 'alice.cities'::regclass
  AND mode = 'ShareUpdateExclusiveLock' AND granted
"""


@pytest.fixture
def server(own_server: tuple[RestartingServer, str]) -> RestartingServer:
    server, _ = own_server
    server.crash()
    server.start(wal_level="logical", autovacuum="on", autovacuum_naptime="1s")
    return server


@pytest.fixture
def database_url(server: RestartingServer, own_server: tuple[RestartingServer, str]) -> str:
    return own_server[1]


@pytest.fixture
def superuser(server: RestartingServer) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server.superuser_url, autocommit=True) as connection:
        yield connection


async def test_a_logical_slot_hinders_for_as_long_as_it_is_there(
    cities: Rewriting, superuser: psycopg.Connection
) -> None:
    superuser.execute("SELECT pg_create_physical_replication_slot('standby')")
    await cities.rewrite()
    superuser.execute("SELECT pg_create_logical_replication_slot('follower', 'pgoutput')")
    with pytest.raises(HinderedError) as hindered:
        await cities.rewrite()
    assert [reason.lower() for reason in hindered.value.reasons] == [NOTED]
    superuser.execute("SELECT pg_drop_replication_slot('follower')")
    await cities.rewrite()
    assert await cities.left_behind() == []


@pytest.mark.full
async def test_an_autovacuum_is_displaced(
    applying: Applying,
    make_layer: MakeLayer,
    server: RestartingServer,
    superuser: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prefer_rewrite(monkeypatch)
    types = {"number": ColumnType.BIGINT}
    before = await applying.create(make_layer(types, [(n,) for n in range(ROWS)]))
    await applying.execute(
        # At this pace it would take minutes.
        "ALTER TABLE alice.cities SET (autovacuum_vacuum_threshold = 0,"
        " autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 100,"
        " autovacuum_vacuum_cost_limit = 1)",
        "UPDATE alice.cities SET number = number",
    )
    async with asyncio.timeout(60):
        while not (await asyncio.to_thread(superuser.execute, VACUUMED)).rowcount:
            pass  # another process: there is nothing to wait on
    applied = await applying.refresh(make_layer(types, [(-n,) for n in range(ROWS)]), before)
    assert applied.way is Way.REWRITE
    assert "canceling autovacuum task" in server.read_log()
