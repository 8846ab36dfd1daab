"""The publish stage: what a table needs after COMMIT, and events.

The run has succeeded by now, and nothing here can change that: a table that somebody locks or drops
meanwhile is left to autovacuum, or to the next refresh.

Grants need nothing here: the account's schema carries default privileges, so that its reader role
may read a new table from the moment it exists.
"""

from __future__ import annotations

import json
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow

from synctables.catalog.tables import Table
from synctables.db.pool import autocommit
from synctables.importer.index_sizes import tend_indexes

EVENT_CHANNEL = "synctables_events"

# A created table's rows are frozen and its pages known to be visible to all: statistics are all it
# lacks. A refresh leaves dead rows; without VACUUM a dozen of them double the table. TRUNCATE would
# lock readers out to give the last pages back.
_CREATED = "ANALYZE (SKIP_LOCKED) {}"
_REFRESHED = "VACUUM (SKIP_LOCKED, TRUNCATE false, ANALYZE) {}"

_FIND = """
SELECT namespace.nspname AS schema_name, class.relname AS name
FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE class.oid = %s::oid
"""

log = structlog.get_logger(__name__)

Connection = AsyncConnection[DictRow]


async def publish(
    connection: Connection,
    *,
    created: tuple[Table, ...] = (),
    refreshed: tuple[Table, ...] = (),
) -> None:
    """Give the planner statistics, and space to the next refresh.

    ``created``: tables that were filled at once, by create or rewrite; ``refreshed``: tables some
    rows of which changed.
    """
    async with autocommit(connection):  # VACUUM and REINDEX CONCURRENTLY want it
        for table in created:
            await _tend(connection, table, _CREATED)
        for table in refreshed:
            await _tend(connection, table, _REFRESHED)


async def notify(connection: Connection, event: dict[str, Any]) -> None:
    """Tell whoever listens on ``synctables_events``; sent when the transaction commits."""
    await connection.execute(
        "SELECT pg_notify(%s, %s)", [EVENT_CHANNEL, json.dumps(event, default=str)]
    )


async def _tend(connection: Connection, table: Table, statement: str) -> None:
    """The table is found by its oid: it may have been renamed since, and its name taken."""
    try:
        cursor = await connection.execute(_FIND, [table.relation_oid])
        found = await cursor.fetchone()
        if found is None:
            return
        name = sql.Identifier(found["schema_name"], found["name"])
        await connection.execute(sql.SQL(statement).format(name))
        await tend_indexes(connection, table)
    except psycopg.Error as error:
        log.warning("table_not_tended", table=table.name, reason=str(error).strip())
