"""The publish stage: statistics and events, after COMMIT.

Grants need nothing here: the account's schema carries default privileges, so that its reader role
may read a new table from the moment it exists.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from psycopg import AsyncConnection, errors, sql
from psycopg.rows import DictRow

from synctables.catalog.tables import Table

EVENT_CHANNEL = "synctables_events"


async def publish(connection: AsyncConnection[DictRow], tables: tuple[Table, ...]) -> None:
    """Give the planner fresh statistics of tables whose rows changed.

    The run has succeeded by now: a table that somebody locks meanwhile is left to autovacuum, and
    one that was dropped needs no statistics.
    """
    for table in tables:
        statement = sql.SQL("ANALYZE (SKIP_LOCKED) {}").format(
            sql.Identifier(table.schema_name, table.name)
        )
        with suppress(errors.UndefinedTable, errors.InvalidSchemaName):
            async with connection.transaction():
                await connection.execute(statement)


async def notify(connection: AsyncConnection[DictRow], event: dict[str, Any]) -> None:
    """Tell whoever listens on ``synctables_events``; sent when the transaction commits."""
    await connection.execute(
        "SELECT pg_notify(%s, %s)", [EVENT_CHANNEL, json.dumps(event, default=str)]
    )
