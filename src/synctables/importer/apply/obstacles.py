"""What users put on a table that changes what our statements do to it."""

from __future__ import annotations

from collections.abc import Iterable

from synctables.catalog.tables import Table
from synctables.importer.apply.model import Connection
from synctables.importer.apply.triggers import TRIGGER_PREFIX
from synctables.importer.model import SYSTEM_COLUMNS, Column

_WATCHERS = """
SELECT 'trigger ' || tgname AS watcher FROM pg_trigger
WHERE tgrelid = %(oid)s::oid AND NOT tgisinternal AND NOT starts_with(tgname, %(ours)s)
UNION ALL
SELECT 'rule ' || rulename FROM pg_rewrite WHERE ev_class = %(oid)s::oid AND rulename <> '_RETURN'
UNION ALL
SELECT 'policy ' || polname FROM pg_policy WHERE polrelid = %(oid)s::oid
UNION ALL
SELECT 'foreign key ' || conname FROM pg_constraint
WHERE contype = 'f' AND confrelid = %(oid)s::oid
  AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))
"""

# A child of a foreign key would be lost with the row, and a user's own values too.
_IS_ALONE = """
SELECT NOT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid = %(oid)s::oid)
   AND NOT EXISTS (SELECT FROM pg_attribute
                   WHERE attrelid = %(oid)s::oid AND attnum > 0 AND NOT attisdropped
                     AND attname <> ALL(%(ours)s)) AS is_alone
"""


async def describe_watchers(connection: Connection, live: Table) -> str:
    """Triggers, rules and policies on the table, and foreign keys that act when its rows go, as a
    sentence; empty where there are none."""
    cursor = await connection.execute(_WATCHERS, {"oid": live.relation_oid, "ours": TRIGGER_PREFIX})
    watchers = ", ".join(row["watcher"] for row in await cursor.fetchall())
    return f"On the table: {watchers}." if watchers else ""


async def may_replace_rows(connection: Connection, live: Table, columns: Iterable[Column]) -> bool:
    """Whether a changed row may be deleted and inserted again under its id (refresh.md 4)."""
    ours = [*SYSTEM_COLUMNS, *(column.name for column in columns)]
    cursor = await connection.execute(_IS_ALONE, {"oid": live.relation_oid, "ours": ours})
    row = await cursor.fetchone()
    return row is not None and bool(row["is_alone"])
