"""What users put on a table that changes what our statements do to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from psycopg import errors as pg
from psycopg_pool import AsyncConnectionPool

from synctables.catalog.tables import Table
from synctables.errors import CannotChangeTableError
from synctables.importer.apply.hindered import in_words
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

# With row_security off PostgreSQL refuses to read a table whose policies hold for the reader, and
# says neither which those are nor that it is a setting of the table.
_POLICIES = """
SELECT format('Row-level security holds for the service too: %%s. Exempt it with %%s.',
              coalesce((SELECT string_agg('policy ' || quote_ident(polname), ', ' ORDER BY polname)
                        FROM pg_policy WHERE polrelid = pg_class.oid), 'there is no policy'),
              CASE WHEN pg_has_role(relowner, 'USAGE')
                   THEN format('ALTER TABLE %%s NO FORCE ROW LEVEL SECURITY', oid::regclass)
                   ELSE format('ALTER ROLE %%I BYPASSRLS', current_user) END) AS obstacle
FROM pg_class
WHERE oid = %(oid)s::oid AND row_security_active(oid)
"""

# A row that is published as changed must be told from others by what is published of it.
# PostgreSQL 14 has neither row filters nor lists of columns.
_PUBLICATIONS = """
WITH identity AS (
    SELECT jsonb_agg(attname::text) AS columns
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    LEFT JOIN pg_index ON indrelid = pg_class.oid
     AND CASE relreplident WHEN 'd' THEN indisprimary AND indimmediate
                           WHEN 'i' THEN indisreplident ELSE false END
    WHERE pg_class.oid = %(oid)s::oid AND attnum > 0 AND NOT attisdropped
      AND (relreplident = 'f' OR attnum = ANY ((indkey::int2[])[0:indnkeyatts - 1]))
)
SELECT format('In the way: %%s. Let it publish the columns of the table''s REPLICA IDENTITY and'
              ' choose rows by no others, or give the table another.',
              string_agg('publication ' || quote_ident(pubname), ', ' ORDER BY pubname))
       AS obstacle
FROM identity, pg_publication_tables AS shown JOIN pg_publication USING (pubname)
JOIN pg_namespace ON nspname = schemaname
JOIN pg_class ON relnamespace = pg_namespace.oid AND relname = tablename
WHERE pg_class.oid = %(oid)s::oid AND (pubupdate OR pubdelete)
  AND (columns IS NULL OR NOT to_jsonb(shown) -> 'attnames' @> columns
       OR relreplident <> 'f' AND to_jsonb(shown) ->> 'rowfilter' IS NOT NULL)
HAVING count(*) > 0
"""

_UNNAMED = {
    pg.InsufficientPrivilege: _POLICIES,
    pg.ObjectNotInPrerequisiteState: _PUBLICATIONS,
    pg.InvalidColumnReference: _PUBLICATIONS,
}

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


@asynccontextmanager
async def named_obstacles(
    pool: AsyncConnectionPool[Connection], live: Table | None
) -> AsyncIterator[None]:
    """Name what stands in the way where PostgreSQL refuses without the name (refresh.md 15).

    Raises `CannotChangeTableError` with the policies or publications, and what to do about them.
    """
    try:
        yield
    except tuple(_UNNAMED) as error:
        obstacle = None
        # An error with a context comes from a statement of a trigger's, about any table.
        if live is not None and error.diag.context is None:
            async with pool.connection() as connection:
                cursor = await connection.execute(_UNNAMED[type(error)], {"oid": live.relation_oid})
                obstacle = await cursor.fetchone()
        if obstacle is None:
            raise
        raise CannotChangeTableError(f"{in_words(error)} {obstacle['obstacle']}") from error


async def may_replace_rows(connection: Connection, live: Table, columns: Iterable[Column]) -> bool:
    """Whether a changed row may be deleted and inserted again under its id (refresh.md 4)."""
    ours = [*SYSTEM_COLUMNS, *(column.name for column in columns)]
    cursor = await connection.execute(_IS_ALONE, {"oid": live.relation_oid, "ours": ours})
    row = await cursor.fetchone()
    return row is not None and bool(row["is_alone"])
