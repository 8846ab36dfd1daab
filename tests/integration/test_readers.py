"""Whoever reads during a refresh sees one whole version; whoever writes is overruled, not adopted.

Every row of a version carries its number, so that a mixture of two, a part of one, or nothing at
all would be seen. The longest time that a reader waited is measured and printed, not judged.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from psycopg import AsyncConnection, IsolationLevel, errors

from synctables.errors import CannotChangeTableError, LockedTableError
from synctables.importer.apply import Applied
from synctables.importer.apply.model import Way
from synctables.importer.model import ColumnType, TypedLayer
from synctables.localpg.binaries import find_binaries
from tests.support.applying import Applying
from tests.support.equality import assert_remembered, read_file, read_stored
from tests.support.forcing import prefer_rewrite, rewrite_preferred
from tests.support.layers import MakeLayer

ROWS = 2_000
FEWEST_VERSIONS, MOST_VERSIONS = 6, 24
TYPES = {"number": ColumnType.BIGINT, "version": ColumnType.BIGINT}
StillLives = Callable[[], Awaitable[None]]
LOOK = "SELECT count(*), min(version), max(version) FROM {}"


def a_version(make_layer: MakeLayer, version: int, **more: ColumnType) -> TypedLayer:
    """As many rows beyond 2,000 as its number says; every row is another in every version."""
    rows = [(n, version, *(str(n) for _ in more)) for n in range(ROWS + version)]
    return make_layer({**TYPES, **more}, rows)


@dataclass
class Reader:
    """Looks again and again, and keeps what it saw and how long it waited at most."""

    seen: list[int] = field(default_factory=list)
    longest_seconds: float = 0.0

    async def look(self, connection: AsyncConnection, relation: str, *, prepare: bool) -> None:
        began = time.monotonic()
        cursor = await connection.execute(LOOK.format(relation).encode(), prepare=prepare)
        row = await cursor.fetchone()
        self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)
        assert row is not None
        count, least, greatest = row
        assert least == greatest
        assert count == ROWS + least
        self.seen.append(least)


@asynccontextmanager
async def readers(database_url: str) -> AsyncIterator[dict[str, Reader]]:
    """Four kinds of readers for the length of the block, each having looked at least once more
    when it ends; a look that fails fails the test."""
    kinds = {name: Reader() for name in ("plain", "view", "prepared", "repeatable read")}
    is_over = asyncio.Event()

    async def look_on(name: str) -> None:
        relation = "alice.overview" if name == "view" else "alice.cities"
        async with await AsyncConnection.connect(database_url, autocommit=True) as connection:
            if name == "repeatable read":
                await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
            while True:
                is_last = is_over.is_set()
                if name == "repeatable read":
                    async with connection.transaction():
                        await kinds[name].look(connection, relation, prepare=False)
                        await kinds[name].look(connection, relation, prepare=False)
                        assert kinds[name].seen[-1] == kinds[name].seen[-2]
                else:
                    await kinds[name].look(connection, relation, prepare=name == "prepared")
                if is_last:
                    return

    async with asyncio.TaskGroup() as tasks:
        for name in kinds:
            tasks.create_task(look_on(name))
        try:
            yield kinds
        finally:
            is_over.set()


async def test_readers_see_whole_versions_through_every_kind_of_refresh(
    applying: Applying,
    make_layer: MakeLayer,
    database_url: str,
    record_property: Callable[[str, object], None],
) -> None:
    applied = await applying.create(a_version(make_layer, 1))
    await applying.execute("CREATE VIEW alice.overview AS SELECT version FROM alice.cities")
    ways, version = [], 1
    async with readers(database_url) as kinds:
        # Readers may keep the lock from a rewrite: then there are more versions.
        while version < FEWEST_VERSIONS or (Way.REWRITE not in ways and version < MOST_VERSIONS):
            version += 1
            more = {"mayor": ColumnType.TEXT} if version >= 4 else {}
            layer = a_version(make_layer, version, **more)
            if version % 2:
                with rewrite_preferred():
                    applied = await applying.refresh(layer, applied)
            else:
                applied = await applying.refresh(layer, applied)
                assert applied.way is Way.DELTA
            ways.append(applied.way)
    assert Way.REWRITE in ways
    for name, reader in kinds.items():
        assert reader.seen == sorted(reader.seen)
        assert reader.seen[-1] == version
        record_property(f"longest_stall_seconds_{name}", round(reader.longest_seconds, 3))


@pytest.mark.parametrize("way", [Way.DELTA, Way.REWRITE])
async def test_a_snapshot_from_before_sees_a_whole_version_afterwards(
    applying: Applying,
    make_layer: MakeLayer,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    way: Way,
) -> None:
    if way is Way.REWRITE:
        prefer_rewrite(monkeypatch)
    applied = await applying.create(a_version(make_layer, 1))
    async with await AsyncConnection.connect(database_url) as reader:
        await reader.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        await reader.execute(
            "SELECT 1 FROM pg_class LIMIT 1"
        )  # takes the snapshot, no lock of ours
        applied = await applying.refresh(a_version(make_layer, 2, mayor=ColumnType.TEXT), applied)
        assert applied.way is way
        seen = Reader()
        await seen.look(reader, "alice.cities", prepare=False)
        assert seen.seen == [1 if way is Way.DELTA else 2]


async def test_a_table_is_there_with_all_its_rows_or_not_at_all(
    applying: Applying, make_layer: MakeLayer, database_url: str
) -> None:
    reader = Reader()
    layer = a_version(make_layer, 1)

    async def look_until_it_is_there() -> None:
        async with await AsyncConnection.connect(database_url, autocommit=True) as connection:
            while not reader.seen:
                try:
                    await reader.look(connection, "alice.cities", prepare=False)
                except errors.UndefinedTable:
                    continue

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(look_until_it_is_there())
        await applying.create(layer)
    assert reader.seen == [1]


EDITS = (
    "UPDATE alice.cities SET version = -1 WHERE number % 97 = {n} % 97",
    "DELETE FROM alice.cities WHERE number % 89 = {n} % 89",
    "INSERT INTO alice.cities (number, version) VALUES ({n}, -2)",
    "UPDATE alice.cities SET number = number WHERE number = {n} % 2000",
)


@asynccontextmanager
async def writers(database_url: str) -> AsyncIterator[Counter[str]]:
    """Somebody edits rows all the time; gives how often each edit was made."""
    done: Counter[str] = Counter()
    is_over = asyncio.Event()

    async def edit(statement: str) -> None:
        async with await AsyncConnection.connect(database_url, autocommit=True) as connection:
            while not is_over.is_set():
                try:
                    await connection.execute(statement.format(n=sum(done.values())).encode())
                except (errors.DeadlockDetected, errors.SerializationFailure):
                    continue
                done[statement] += 1

    async with asyncio.TaskGroup() as tasks:
        for statement in EDITS:
            tasks.create_task(edit(statement))
        try:
            yield done
        finally:
            is_over.set()


@pytest.mark.parametrize("way", [Way.DELTA, Way.REWRITE])
async def test_edits_made_meanwhile_are_healed_or_found_by_the_next_refresh(
    applying: Applying,
    make_layer: MakeLayer,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    way: Way,
) -> None:
    if way is Way.REWRITE:
        prefer_rewrite(monkeypatch)
    monkeypatch.setattr("synctables.importer.apply.columns.PATIENCE", "2s")
    applied = await applying.create(a_version(make_layer, 1))
    layer = a_version(make_layer, 2)
    async with writers(database_url) as edits:
        for version in (2, 2, 3):
            layer = a_version(make_layer, version)
            try:
                applied = await applying.refresh(layer, applied)
            except (CannotChangeTableError, LockedTableError):
                continue  # nobody holds still; the table is as it was
    assert all(edits[statement] for statement in EDITS)

    applied = await applying.refresh(layer, applied)
    await assert_equal(applying, applied, layer)
    assert not (await applying.refresh(layer, applied)).rows.changed


async def assert_equal(applying: Applying, applied: Applied, layer: TypedLayer) -> None:
    table = await applying.find(applied)
    assert table is not None
    async with applying.pool.connection() as connection:
        stored = await read_stored(connection, table, layer.columns)
        file = await read_file(connection, layer)
        assert Counter(row.content for row in stored) == Counter(file)
        await assert_remembered(connection, table, layer, stored, file)


@asynccontextmanager
async def a_long_reader(database_url: str) -> AsyncIterator[StillLives]:
    async with await AsyncConnection.connect(database_url) as connection:
        await connection.execute("SELECT FROM alice.cities LIMIT 1")

        async def still_lives() -> None:
            await connection.execute("SELECT FROM alice.cities LIMIT 1")

        yield still_lives


@asynccontextmanager
async def a_vacuum(database_url: str) -> AsyncIterator[StillLives]:
    """The lock of one that somebody started, which nobody's wait ends."""
    async with await AsyncConnection.connect(database_url) as connection:
        await connection.execute("LOCK TABLE alice.cities IN SHARE UPDATE EXCLUSIVE MODE")

        async def still_lives() -> None:
            await connection.execute("SELECT FROM alice.cities LIMIT 1")

        yield still_lives


@asynccontextmanager
async def a_dump(database_url: str) -> AsyncIterator[StillLives]:
    """A real pg_dump that has locked our table and waits for the lock on the next."""
    async with await AsyncConnection.connect(database_url) as connection:
        await connection.execute("CREATE TABLE alice.later ()")
        await connection.commit()
        await connection.execute("LOCK TABLE alice.later")
        process = await asyncio.create_subprocess_exec(
            str(find_binaries().bin_dir / "pg_dump"), "--schema=alice", database_url,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output = asyncio.create_task(process.communicate())
        waits = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'alice.later'::regclass"
        async with asyncio.timeout(30):
            while not (await connection.execute(waits)).rowcount:
                pass  # another process: there is nothing to wait on

        async def still_lives() -> None:
            await connection.rollback()
            dumped, _ = await output
            assert process.returncode == 0
            assert dumped.count(b"\n") > ROWS

        yield still_lives


@pytest.mark.parametrize("somebody", [a_long_reader, a_vacuum, a_dump])
async def test_a_delta_takes_over_where_a_lock_is_not_to_be_had_and_nobody_is_ended(
    applying: Applying,
    make_layer: MakeLayer,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    somebody: Callable[[str], AbstractAsyncContextManager[StillLives]],
) -> None:
    prefer_rewrite(monkeypatch)
    monkeypatch.setattr("synctables.importer.apply.swap_locks.ATTEMPTS", 3)
    monkeypatch.setattr("synctables.importer.apply.swap_locks.MAINTENANCE_TIMEOUT", "300ms")
    applied = await applying.create(a_version(make_layer, 1))
    layer = a_version(make_layer, 2)
    async with somebody(database_url) as still_lives:
        applied = await applying.refresh(layer, applied)
        assert applied.way is Way.DELTA
        await still_lives()
    await assert_equal(applying, applied, layer)
    assert await applying.rows(
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'synctables_work'::regnamespace"
    ) == [(0,)]
