"""Readers while a table is swapped: no error, no empty or half table; and those who hold it long.

How long a reader's slowest query took, by the server's clock and waits for locks included, is
printed (``pytest -rP``), and asserted nowhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from psycopg import AsyncConnection, errors
from psycopg.rows import DictRow

from synctables.catalog.tables import Table
from synctables.db.pool import connect
from synctables.importer.apply import swap_locks
from synctables.importer.apply.census import Census
from synctables.importer.apply.hindered import HinderedError
from tests.support.rewriting import Rewriting

Connection = AsyncConnection[DictRow]

ROWS = 3_000
EDITIONS = 6


def edition(number: int) -> list[tuple[str, int, str]]:
    """Rows that all say which edition they are of."""
    return [(f"city {row}", number, str(row)) for row in range(ROWS)]


IDS = tuple(range(1, ROWS + 1))

TOOK = "extract(epoch FROM clock_timestamp() - statement_timestamp())::float8 AS took"
PLAIN = (
    f"SELECT count(*) AS rows, min(size) AS oldest, max(size) AS newest, {TOOK} FROM alice.cities"
)
READERS = {
    "plain": (PLAIN, False),
    "with a snapshot from before": (PLAIN, True),
    "through a view": (PLAIN.replace("cities", "seen"), False),
    "through a view of a view": (PLAIN.replace("cities", "seen_again"), False),
    "by the index": (PLAIN + " WHERE cartodb_id > 0", False),
    "prepared": ("EXECUTE prepared", False),
    "prepared, all columns": ("EXECUTE prepared_rows", False),
    "of the child": (
        f"SELECT 3000 AS rows, count(*) AS oldest, count(*) AS newest, {TOOK}"
        " FROM alice.people JOIN alice.cities ON city = cartodb_id",
        False,
    ),
}


class Reader:
    """Asks the same again and again, in transactions of its own."""

    def __init__(self, connection: Connection, statement: str, *, has_old_snapshot: bool) -> None:
        self.connection = connection
        self.statement = statement
        self.has_old_snapshot = has_old_snapshot
        self.answers: list[tuple[int, int, int]] = []
        self.slowest = 0.0

    async def read(self, is_over: Callable[[], bool]) -> None:
        while not is_over():
            await self._read_once()

    async def _read_once(self) -> None:
        async with self.connection.transaction():
            if self.has_old_snapshot:
                await self.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                await self.connection.execute("SELECT pg_sleep(0.05), txid_current_snapshot()")
            cursor = await self.connection.execute(self.statement.encode())
            rows = await cursor.fetchall()
        self.slowest = max(self.slowest, rows[-1]["took"])
        if len(rows) == 1:
            self.answers.append((rows[0]["rows"], rows[0]["oldest"], rows[0]["newest"]))
        else:
            sizes = [row["size"] for row in rows]
            self.answers.append((len(rows), min(sizes), max(sizes)))


@asynccontextmanager
async def session(database_url: str) -> AsyncIterator[Connection]:
    connection = await connect(database_url, application_name="tests")
    async with connection:
        await connection.set_autocommit(True)
        yield connection


@pytest.mark.parametrize(("statement", "has_old_snapshot"), READERS.values(), ids=READERS)
async def test_a_reader_sees_one_whole_edition_after_the_other(
    cities: Rewriting, database_url: str, statement: str, has_old_snapshot: bool
) -> None:
    await cities.rewrite(edition(0), ids=IDS)
    await cities.run(
        "CREATE VIEW alice.seen AS SELECT * FROM alice.cities",
        "CREATE VIEW alice.seen_again AS SELECT * FROM alice.seen",
        "CREATE TABLE alice.people (city bigint REFERENCES alice.cities)",
        "INSERT INTO alice.people VALUES (1)",
    )
    is_over = False
    async with session(database_url) as connection:
        await connection.execute(f"PREPARE prepared AS {PLAIN}".encode())
        await connection.execute(
            f"PREPARE prepared_rows AS SELECT *, {TOOK} FROM alice.cities".encode()
        )
        reader = Reader(connection, statement, has_old_snapshot=has_old_snapshot)
        reading = asyncio.create_task(reader.read(lambda: is_over))
        for number in range(1, EDITIONS + 1):
            await cities.rewrite(edition(number), ids=IDS)
        is_over = True
        await reading

    assert {rows for rows, _, _ in reader.answers} == {ROWS}
    assert all(oldest == newest for _, oldest, newest in reader.answers)
    seen = [newest for _, _, newest in reader.answers]
    assert seen == sorted(seen)
    print(f"slowest of {len(reader.answers)} queries: {reader.slowest * 1000:.0f} ms")


HOLDERS = {
    "a reader in a transaction": ("SELECT FROM alice.cities", "reading"),
    "a reader of a view": ("SELECT FROM alice.seen", "reading"),
    "a dump": ("LOCK TABLE alice.cities IN ACCESS SHARE MODE", "reading"),
    "a writer in a transaction": (
        "UPDATE alice.cities SET size = size WHERE cartodb_id = 1",
        "writing",
    ),
    "somebody who has counted": ("SELECT nextval('alice.cities_cartodb_id_seq')", "reading"),
    "somebody who writes to a child": ("INSERT INTO alice.people VALUES (1)", "writing"),
}


@pytest.mark.parametrize(("statement", "words"), HOLDERS.values(), ids=HOLDERS)
async def test_who_holds_the_table_long_is_left_alone(
    cities: Rewriting,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    statement: str,
    words: str,
) -> None:
    monkeypatch.setattr(swap_locks, "ATTEMPTS", 3)
    await cities.run(
        "CREATE VIEW alice.seen AS SELECT * FROM alice.cities",
        "CREATE TABLE alice.people (city bigint REFERENCES alice.cities)",
    )
    before = await cities.describe()
    async with session(database_url) as holder, holder.transaction():
        await holder.execute(statement.encode())
        with pytest.raises(HinderedError, match=words):
            await cities.rewrite()
        assert await cities.left_behind() == []

    assert await cities.describe() == before


async def test_a_lock_as_vacuum_takes_it_is_waited_for(
    cities: Rewriting, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swap_locks, "MAINTENANCE_TIMEOUT", "50ms")
    async with session(database_url) as holder, holder.transaction():
        await holder.execute("LOCK TABLE alice.cities IN SHARE UPDATE EXCLUSIVE MODE")
        with pytest.raises(HinderedError):
            await cities.rewrite()
    await cities.rewrite()

    assert await cities.left_behind() == []


async def test_somebody_who_read_and_then_writes_is_no_deadlocks_victim(
    cities: Rewriting, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads, so that we wait for him; then writes to a child, so that he waits for us: a circle.

    (Where he writes to the same table, PostgreSQL sees the circle at once and ends our wait.) He
    looks for deadlocks after a second, and nine tenths of our time is made to be waiting.
    """
    monkeypatch.setattr(swap_locks, "WAIT_SECONDS", 0.24)
    monkeypatch.setattr(swap_locks, "PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(swap_locks, "ATTEMPTS", 8)
    await cities.run("CREATE TABLE alice.people (city bigint REFERENCES alice.cities)")
    async with session(database_url) as holder, holder.transaction():
        await holder.execute("SELECT FROM alice.cities")
        writing: list[asyncio.Task[Any]] = []

        async def write(connection: Connection, table: Table, census: Census) -> None:
            statement = "INSERT INTO alice.people VALUES (NULL)"
            writing.append(asyncio.create_task(holder.execute(statement)))

        with pytest.raises(HinderedError, match="reading"):
            await cities.rewrite(finish=write)
        await writing[0]

    assert await cities.value("SELECT count(*) FROM alice.people") == 1


async def test_a_session_that_waits_for_the_table_goes_on_with_the_new_one(
    cities: Rewriting, database_url: str
) -> None:
    async with session(database_url) as other:
        waiting: asyncio.Task[Any] | None = None

        async def wait(connection: Connection, table: Table, census: Census) -> None:
            nonlocal waiting
            waiting = asyncio.create_task(
                other.execute("UPDATE alice.cities SET size = 5 WHERE cartodb_id = 2")
            )

        await cities.rewrite([("Bergen", 1, "b"), ("Oslo", 2, "a")], ids=(2, 1), finish=wait)
        assert waiting is not None
        await waiting

    assert await cities.rows("SELECT name, size FROM alice.cities WHERE cartodb_id = 2") == [
        ("Bergen", 5)
    ]


async def test_prepared_statements_of_all_columns_end_where_a_type_changes(
    cities: Rewriting, database_url: str
) -> None:
    """Nothing of ours can help that; the manual says so."""
    async with session(database_url) as other:
        await other.execute("PREPARE all_columns AS SELECT * FROM alice.cities")
        await cities.run("ALTER TABLE alice.cities ADD more int")
        with pytest.raises(errors.FeatureNotSupported, match="cached plan"):
            await other.execute("EXECUTE all_columns")
