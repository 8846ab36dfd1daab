"""The table's columns: the DDL that makes them, and what a new version changes in them."""

from __future__ import annotations

import asyncio
from typing import TypeAlias

from psycopg import errors, sql

from synctables.catalog.tables import Table, find_table
from synctables.errors import LockedTableError, TableVanishedError
from synctables.importer.apply.model import Connection
from synctables.importer.model import ID_COLUMN, Column

Statement: TypeAlias = sql.SQL | sql.Composed

LOCK_TIMEOUT = "100ms"
LOCK_ATTEMPTS = 50
LOCK_PAUSE_SECONDS = 0.2
PATIENCE = "10s"
"""How long one lock on a table or row of the user's is waited for: a run that waits keeps a place
of the worker's that other people's syncs need."""


_RAISE_NEXT_ID = """
SELECT setval(sequence, highest)
FROM pg_get_serial_sequence({name}, {id_name}) AS sequence,
     (SELECT greatest(max({id}), {above}) AS highest FROM {table}) AS used
WHERE sequence IS NOT NULL
  AND highest > coalesce(pg_sequence_last_value(sequence::regclass), 0)
"""

_HIGHEST_ID = """
SELECT greatest((SELECT coalesce(max({id}), 0) FROM ONLY {table}),
                coalesce(pg_sequence_last_value(
                    pg_get_serial_sequence({name}, {id_name})::regclass), 0)) AS highest
"""


def qualified(schema_name: str, name: str) -> sql.Identifier:
    return sql.Identifier(schema_name, name)


def column_definitions(columns: tuple[Column, ...]) -> sql.Composed:
    """``name type`` of each column, each preceded by a comma."""
    return sql.Composed(
        [
            sql.SQL(", {} {}").format(sql.Identifier(column.name), sql.SQL(column.type.value))
            for column in columns
        ]
    )


async def be_patient(connection: Connection) -> None:
    """From now on in this transaction a lock is waited for, but not for ever."""
    await connection.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")


async def prepare_session(connection: Connection) -> None:
    """Settings of a transaction that compares a table of the user's with its new version."""
    # Another owner's policies must not hide rows from the compare (refresh.md 15).
    await connection.execute("SET LOCAL row_security = off")
    # The census has just read the table, so its pages are at hand. At the default of 4, which is
    # for disks that turn, the planner reads all of it again to find 1 % of the rows: 1.6 s instead
    # of 0.3 s at 2 M rows.
    await connection.execute("SET LOCAL random_page_cost = 1.1")
    await be_patient(connection)


async def oid_of(connection: Connection, table: sql.Identifier) -> int:
    """The oid of the relation that goes by this name now."""
    cursor = await connection.execute(
        "SELECT %s::regclass::oid::bigint AS oid", [table.as_string(connection)]
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - the statement has exactly one row
    return int(row["oid"])


async def live_types(connection: Connection, relation_oid: int) -> dict[str, str]:
    """The type of each column that the live table has now, as PostgreSQL prints it."""
    cursor = await connection.execute(
        """
        SELECT attname AS name, format_type(atttypid, atttypmod) AS type
        FROM pg_attribute
        WHERE attrelid = %s::oid AND attnum > 0 AND NOT attisdropped
        """,
        [relation_oid],
    )
    return {row["name"]: row["type"] for row in await cursor.fetchall()}


def contract_after(columns: tuple[Column, ...], contract: tuple[Column, ...]) -> tuple[Column, ...]:
    """The layer's columns, then those of the contract that vanished from the file."""
    names = {column.name for column in columns}
    return columns + tuple(column for column in contract if column.name not in names)


async def hold(connection: Connection, live: Table) -> Table:
    """The table under the name that it has now and keeps until this transaction ends.

    Between the beginning of a run and here lie minutes, in which users rename and replace tables:
    what goes by the name that was known then may be somebody's work by now.
    """
    while True:
        held = await find_table(connection, live.id)
        if held is None:
            raise TableVanishedError(f'The table "{live.name}" was dropped during this run.')
        table = qualified(held.schema_name, held.name)
        try:
            async with connection.transaction():  # encloses the lock alone, no write of ours
                await connection.execute(
                    sql.SQL("LOCK TABLE ONLY {} IN ROW EXCLUSIVE MODE").format(table)
                )
        except (errors.UndefinedTable, errors.InvalidSchemaName, errors.WrongObjectType):
            continue  # renamed or replaced between the two statements
        if await oid_of(connection, table) == held.relation_oid:
            return held


def additions(columns: tuple[Column, ...], live: dict[str, str]) -> tuple[Column, ...]:
    """The columns that the table does not have yet."""
    return tuple(column for column in columns if column.name not in live)


async def add_columns(connection: Connection, live: Table, columns: tuple[Column, ...]) -> None:
    """Add these columns, NULL in every row. Raises `LockedTableError` when no lock is to be had.

    Each try waits 100 ms at most, so that readers who queue up behind it never wait longer
    (refresh.md 18); the savepoint encloses the lock alone, no write of ours.
    """
    table = qualified(live.schema_name, live.name)
    for _ in range(LOCK_ATTEMPTS):
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                await connection.execute(
                    sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table)
                )
        except errors.LockNotAvailable:
            await asyncio.sleep(LOCK_PAUSE_SECONDS)
        else:
            break
    else:
        raise LockedTableError("The columns changed, and other sessions keep the table locked.")
    await connection.execute(
        sql.SQL("ALTER TABLE {} {}").format(
            table,
            sql.SQL(", ").join(
                [
                    sql.SQL("ADD COLUMN {} {}").format(
                        sql.Identifier(column.name), sql.SQL(column.type.value)
                    )
                    for column in columns
                ]
            ),
        )
    )


def describe_changes(columns: tuple[Column, ...], live: dict[str, str]) -> tuple[str, ...]:
    """In words, what these columns change in a table with columns of those types."""
    return tuple(
        f'column "{column.name}" ({column.type}) was added'
        if column.name not in live
        else f'column "{column.name}" became {column.type}, from {live[column.name]}'
        for column in columns
        if live.get(column.name) != column.type.value
    )


async def next_free_id(connection: Connection, table: sql.Composable) -> int:
    """The first id above every one in use and every one that was given out."""
    row = await (
        await connection.execute(
            sql.SQL(_HIGHEST_ID).format(
                id=sql.Identifier(ID_COLUMN),
                table=table,
                name=sql.Literal(table.as_string(connection)),
                id_name=sql.Literal(ID_COLUMN),
            )
        )
    ).fetchone()
    assert row is not None  # noqa: S101 - the statement has exactly one row
    return int(row["highest"]) + 1


async def raise_next_id(connection: Connection, table: sql.Composable, *, above: int) -> None:
    """New rows get ids above every id in use, also those that users inserted themselves, and
    ``above`` this one, which a row is about to get back."""
    await connection.execute(
        sql.SQL(_RAISE_NEXT_ID).format(
            id=sql.Identifier(ID_COLUMN),
            above=sql.Literal(above),
            table=table,
            name=sql.Literal(table.as_string(connection)),
            id_name=sql.Literal(ID_COLUMN),
        )
    )
