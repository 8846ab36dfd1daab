"""The publish stage: statistics and events, after COMMIT.

Grants need nothing here: the account's schema carries default privileges, so that its reader role
may read a new table from the moment it exists.
"""

from __future__ import annotations

import json
from typing import Any

from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow

from synctables.catalog.tables import Table

EVENT_CHANNEL = "synctables_events"


async def publish(connection: AsyncConnection[DictRow], tables: tuple[Table, ...]) -> None:
    """Give the planner fresh statistics of tables whose rows changed."""
    for table in tables:
        await connection.execute(
            sql.SQL("ANALYZE {}").format(sql.Identifier(table.schema_name, table.name))
        )


async def notify(connection: AsyncConnection[DictRow], event: dict[str, Any]) -> None:
    """Tell whoever listens on ``synctables_events``; sent when the transaction commits."""
    await connection.execute(
        "SELECT pg_notify(%s, %s)", [EVENT_CHANNEL, json.dumps(event, default=str)]
    )
