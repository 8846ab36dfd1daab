"""Tables in the making: their names, and the sweep of what a dead process left.

A big table is built in several transactions, so it stands in the schema ``synctables_work`` before
it is a user's. Whoever builds it holds a session lock whose key is in the table's name, from before
the table exists until it has been moved away. The lock ends with the session, wherever the process
ran and however it died; a table whose lock no session holds is therefore nobody's, for ever.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import structlog
from psycopg import errors, sql

from synctables.importer.apply.model import Connection

WORK_SCHEMA = "synctables_work"

_PREFIX = "new_"
_KEY_DIGITS = 16
_LOCK_TIMEOUT = "100ms"

# Anybody who can connect may take an advisory lock, so only those of the table's owner count. The
# statement's snapshot of tables is older than its view of the locks, and a name is used only once:
# what has no holder here never gets one.
_ABANDONED = """
SELECT class.relname AS name
FROM pg_class AS class
WHERE class.relnamespace = %(schema)s::regnamespace AND class.relkind IN ('r', 'p')
  AND pg_has_role(class.relowner, 'USAGE')
  AND NOT EXISTS (
    SELECT FROM pg_locks AS lock JOIN pg_stat_activity AS session USING (pid)
    WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 1
      AND session.datname = current_database() AND session.usesysid = class.relowner
      AND lock.database = session.datid
      AND lpad(to_hex(lock.classid::bigint), 8, '0') || lpad(to_hex(lock.objid::bigint), 8, '0')
          = substr(class.relname, %(key_at)s, %(key_digits)s))
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class WorkName:
    """The name of a table in the making, and of what belongs to it."""

    name: str

    @property
    def token(self) -> str:
        """What no other name has."""
        return self.name.removeprefix(_PREFIX)

    @property
    def table(self) -> sql.Identifier:
        return in_work_schema(self.name)

    def part(self, kind: str, number: int) -> str:
        """The provisional name of an index, a sequence, … of the table."""
        return f"{kind}{number}_{self.token}"


def in_work_schema(name: str) -> sql.Identifier:
    return sql.Identifier(WORK_SCHEMA, name)


def name_new_table() -> str:
    """A name that no table ever had; its first sixteen digits are the key of its lock."""
    return _PREFIX + uuid4().hex


@asynccontextmanager
async def table_in_the_making(connection: Connection) -> AsyncIterator[str]:
    """The name of a new table, which the sweep leaves alone while the block runs.

    The block may commit any number of transactions on this connection and on others, as long as
    this connection lives; it must be in none at the beginning and at the end. A table that still
    stands in the work schema when the block fails is dropped.
    """
    name = name_new_table()
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_lock(%s)", [_key(name)])
    try:
        yield name
    except BaseException:
        await _let_go(connection, name, drops=True)
        raise
    await _let_go(connection, name, drops=False)


async def sweep_work_schema(connection: Connection) -> int:
    """Drop the new tables that nobody builds any more. Returns how many.

    To be called outside a transaction. One that is still locked, by a statement that outlives its
    client, waits for the next sweep.
    """
    async with connection.transaction():
        names = await list_abandoned_tables(connection)
    dropped = [name for name in names if await _drop(connection, name)]
    if dropped:
        log.warning("work_schema_swept", tables=dropped)
    return len(dropped)


async def list_abandoned_tables(connection: Connection) -> list[str]:
    """The new tables that nobody builds any more, by name."""
    await connection.execute("SELECT pg_stat_clear_snapshot()")
    cursor = await connection.execute(
        _ABANDONED,
        {"schema": WORK_SCHEMA, "key_at": len(_PREFIX) + 1, "key_digits": _KEY_DIGITS},
    )
    return [row["name"] for row in await cursor.fetchall()]


async def _let_go(connection: Connection, name: str, *, drops: bool) -> None:
    """End the claim on the name; a connection that cannot any more ends it by closing."""
    try:
        if drops and not connection.closed:
            await _drop(connection, name)
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_unlock(%s)", [_key(name)])
    except (errors.Error, OSError) as error:
        log.warning("table_in_the_making_left", table=name, reason=str(error).strip())
        await connection.close()


async def _drop(connection: Connection, name: str) -> bool:
    """Whether the table is gone; one that is locked, or that something depends on, stays."""
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
            await connection.execute(
                sql.SQL("DROP TABLE IF EXISTS {}").format(in_work_schema(name))
            )
    except (errors.LockNotAvailable, errors.DependentObjectsStillExist) as error:
        log.warning("new_table_not_dropped", table=name, reason=str(error).strip())
        return False
    return True


def _key(name: str) -> int:
    """The lock's key: 64 bits of the name, as PostgreSQL's signed bigint."""
    digits = name[len(_PREFIX) : len(_PREFIX) + _KEY_DIGITS]
    return int.from_bytes(bytes.fromhex(digits), signed=True)
