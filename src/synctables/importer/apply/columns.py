"""The table's columns: the DDL that makes them, and what a new version changes in them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TypeAlias

from psycopg import errors, sql

from synctables.errors import LockedTableError
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
SELECT setval(sequence, max({id}))
FROM {table}, pg_get_serial_sequence({name}, {id_name}) AS sequence
WHERE sequence IS NOT NULL
GROUP BY sequence
HAVING max({id}) > coalesce(pg_sequence_last_value(sequence::regclass), 0)
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


@dataclass(frozen=True, kw_only=True)
class Alteration:
    """One change of a column: ALTER TABLE's action, and the same in words."""

    action: sql.Composed
    words: str


def alterations(columns: tuple[Column, ...], live: dict[str, str]) -> list[Alteration]:
    """What gives the live table these columns; nothing where it has them."""
    found = []
    for column in columns:
        name, type_ = sql.Identifier(column.name), sql.SQL(column.type.value)
        if column.name not in live:
            found.append(
                Alteration(
                    action=sql.SQL("ADD COLUMN {} {}").format(name, type_),
                    words=f'column "{column.name}" ({column.type}) was added',
                )
            )
        elif live[column.name] != column.type.value:
            found.append(
                Alteration(
                    action=sql.SQL("ALTER COLUMN {0} TYPE {1} USING {0}::{1}").format(name, type_),
                    words=f'column "{column.name}" became {column.type}, from {live[column.name]}',
                )
            )
    return found


async def alter_table(
    connection: Connection, table: sql.Composable, changes: list[Alteration]
) -> None:
    """Carry the changes out. Raises `LockedTableError` when the lock is not to be had.

    Each try waits 100 ms at most, so that readers who queue up behind it never wait longer
    (refresh.md 18); the savepoint encloses the lock alone, no write of ours.
    """
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
    await be_patient(connection)
    await connection.execute(
        sql.SQL("ALTER TABLE {} {}").format(
            table, sql.SQL(", ").join([change.action for change in changes])
        )
    )


async def raise_next_id(connection: Connection, table: sql.Composable) -> None:
    """New rows get ids above every id in use, also those that users inserted themselves."""
    await connection.execute(
        sql.SQL(_RAISE_NEXT_ID).format(
            id=sql.Identifier(ID_COLUMN),
            table=table,
            name=sql.Literal(table.as_string(connection)),
            id_name=sql.Literal(ID_COLUMN),
        )
    )
