"""Indexes that many refreshes have swollen are built anew, without a lock that readers notice.

Vacuumed after each refresh, an index still grows by half in a dozen of them (refresh.md 16). What
it took for a row when it was built is kept; past twice that it is built again.
"""

from __future__ import annotations

import psycopg
import structlog
from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow

from synctables.catalog.tables import Table

GROWTH = 2.0
SMALLEST_BYTES = 1 << 20
"""An index of a few pages doubles with its first rows, and costs nothing as it is."""

LOCK_TIMEOUT = "10s"
"""A build that runs beside others waits for them, whatever they do; not for longer than this."""

# An index that was dropped since the statement began is in the catalog still, and has no size.
_SIZES = """
SELECT index.indexrelid::bigint AS oid, namespace.nspname AS schema_name, class.relname AS name,
       bytes
FROM pg_index AS index
JOIN pg_class AS class ON class.oid = index.indexrelid
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
CROSS JOIN LATERAL pg_relation_size(index.indexrelid) AS bytes
WHERE bytes IS NOT NULL
  AND index.indrelid = %(relation_oid)s::oid AND index.indisvalid AND NOT index.indisexclusion
"""

_REMEMBER = """
INSERT INTO synctables.index_sizes (index_oid, table_id, bytes_per_row)
VALUES (%(index_oid)s::bigint::oid, %(table_id)s, %(bytes_per_row)s)
ON CONFLICT (index_oid) DO UPDATE SET table_id = excluded.table_id
RETURNING bytes_per_row
"""

_FORGET = """
DELETE FROM synctables.index_sizes
WHERE table_id = %(table_id)s AND NOT index_oid = ANY (%(present)s::bigint[]::oid[])
"""

# What a build that failed leaves: an index that answers no query. Whatever it waited for in vain, a
# writer's transaction above all, would be in the way of dropping it at once too.
_LEFT_OVER = """
SELECT namespace.nspname AS schema_name, class.relname AS name
FROM pg_index AS index
JOIN pg_class AS class ON class.oid = index.indexrelid
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE index.indrelid = %(relation_oid)s::oid AND NOT index.indisvalid
  AND class.relname ~ '_cc(new|old)[0-9]*$'
"""

log = structlog.get_logger(__name__)

Connection = AsyncConnection[DictRow]


async def tend_indexes(connection: Connection, table: Table) -> list[str]:
    """Remember the sizes of new indexes, build swollen ones anew. Returns the names of these.

    ``connection`` must be in autocommit.
    """
    await connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
    try:
        await _drop_left_over(connection, table)
        return await _tend(connection, table)
    finally:
        if not connection.closed:
            await connection.execute("RESET lock_timeout")


async def _tend(connection: Connection, table: Table) -> list[str]:
    cursor = await connection.execute(_SIZES, {"relation_oid": table.relation_oid})
    indexes = await cursor.fetchall()
    swollen = [index for index in indexes if await _is_swollen(connection, table, index)]
    rebuilt = [index["name"] for index in swollen if await _rebuild(connection, index)]
    if rebuilt:
        cursor = await connection.execute(_SIZES, {"relation_oid": table.relation_oid})
        indexes = await cursor.fetchall()
        for index in indexes:  # one that was built anew has another oid
            await _built_bytes_per_row(connection, table, index)
    present = [index["oid"] for index in indexes]
    await connection.execute(_FORGET, {"table_id": table.id, "present": present})
    return rebuilt


async def _is_swollen(connection: Connection, table: Table, index: DictRow) -> bool:
    built = await _built_bytes_per_row(connection, table, index)
    return bool(index["bytes"] > max(SMALLEST_BYTES, GROWTH * built * table.row_count))


async def _built_bytes_per_row(connection: Connection, table: Table, index: DictRow) -> float:
    """What is kept of the index; of one that is seen for the first time, what it has now."""
    cursor = await connection.execute(
        _REMEMBER,
        {
            "index_oid": index["oid"],
            "table_id": table.id,
            "bytes_per_row": index["bytes"] / max(table.row_count, 1),
        },
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - INSERT … RETURNING gives its row or raises
    return float(row["bytes_per_row"])


async def _rebuild(connection: Connection, index: DictRow) -> bool:
    name = sql.Identifier(index["schema_name"], index["name"])
    try:
        await connection.execute(sql.SQL("REINDEX INDEX CONCURRENTLY {}").format(name))
    except psycopg.Error as error:
        log.info("index_not_rebuilt", index=index["name"], reason=str(error).strip())
        return False
    log.info("index_rebuilt", index=index["name"], bytes_before=index["bytes"])
    return True


async def _drop_left_over(connection: Connection, table: Table) -> None:
    """Remove what an earlier build left; somebody else's that goes on now is locked, and stays."""
    cursor = await connection.execute(_LEFT_OVER, {"relation_oid": table.relation_oid})
    for row in await cursor.fetchall():
        name = sql.Identifier(row["schema_name"], row["name"])
        await connection.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(name))
