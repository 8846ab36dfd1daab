"""Tables in the making: their schema, their names, and the sweep of what dead processes left.

A name carries a token. Whoever builds the table holds an advisory lock on that token from before
the table is made until it is finished or dropped. The lock belongs to the session, so it outlives
the several transactions of a build, keeps no transaction open meanwhile (which would hold back
VACUUM for the whole database), and ends with the process, however that dies.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import UUID, uuid4

import structlog
from psycopg import errors, sql

from synctables.importer.apply.columns import LOCK_TIMEOUT, be_patient, qualified
from synctables.importer.apply.model import Connection

WORK_SCHEMA = "synctables_work"

_LEFT_TABLES = """
SELECT relname AS name FROM pg_class
WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p') AND relname ~ '_[0-9a-f]{32}$'
ORDER BY oid
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class WorkName:
    """The name of a table in the making, and of what belongs to it."""

    token: UUID

    @property
    def name(self) -> str:
        return f"new_{self.token.hex}"

    @property
    def table(self) -> sql.Identifier:
        return qualified(WORK_SCHEMA, self.name)

    def part(self, kind: str, number: int) -> str:
        """The provisional name of an index, a sequence, … of the table."""
        return f"{kind}{number}_{self.token.hex}"


@asynccontextmanager
async def reserved_name(connection: Connection) -> AsyncIterator[WorkName]:
    """A name that no sweep touches inside the block. ``connection`` must be in autocommit mode.

    After the block the table is dropped if it still is in the work schema.
    """
    work = WorkName(token=uuid4())
    await connection.execute("SELECT pg_advisory_lock(%s)", [_key(work.token)])
    try:
        yield work
    finally:
        if not connection.broken and not connection.closed:
            async with connection.transaction():
                await be_patient(connection)
                await connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(work.table))
            await connection.execute("SELECT pg_advisory_unlock(%s)", [_key(work.token)])


async def sweep_work_schema(connection: Connection) -> list[str]:
    """Drop the tables in the work schema that no living session builds. Returns their names.

    A table whose lock is not to be had at once is left for the next sweep.
    """
    cursor = await connection.execute(_LEFT_TABLES, [WORK_SCHEMA])
    swept = []
    for row in await cursor.fetchall():
        with suppress(errors.LockNotAvailable):
            async with connection.transaction():
                if await _drop_if_left(connection, row["name"]):
                    swept.append(row["name"])
    if swept:
        log.info("work_tables_swept", count=len(swept))
    return swept


async def _drop_if_left(connection: Connection, name: str) -> bool:
    token = UUID(name.rpartition("_")[2])
    cursor = await connection.execute(
        "SELECT pg_try_advisory_xact_lock(%s) AS is_left", [_key(token)]
    )
    row = await cursor.fetchone()
    if row is None or not row["is_left"]:
        return False
    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
    # By then its builder may have finished it and moved it to its place, or dropped it.
    await connection.execute(
        sql.SQL("DROP TABLE IF EXISTS {}").format(qualified(WORK_SCHEMA, name))
    )
    return True


def _key(token: UUID) -> int:
    """An advisory lock's key: half of the token, which nobody can guess beforehand."""
    return int.from_bytes(token.bytes[:8], "big", signed=True)
