"""The xmin census: which transactions wrote the rows that the table has now (refresh.md 9).

Each row names the transaction that wrote it. A refresh keeps how many rows each transaction has, so
the next one sees every edit, however it was made: an xmin that is not known is on the rows that
somebody inserted or updated, and a count that fell says that rows were deleted. No trigger has to
be trusted. The numbers survive VACUUM FREEZE, VACUUM FULL and CLUSTER, but no dump and restore.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from psycopg import sql

from synctables.importer.apply.model import Connection

Census: TypeAlias = Mapping[int, int]
"""Rows by the transaction that wrote them (its 32-bit id, as ``xmin`` shows it)."""

_CENSUS = "SELECT xmin::text::bigint AS xid, count(*) AS rows FROM ONLY {table} GROUP BY xmin"


async def read_census(connection: Connection, table: sql.Composable) -> dict[int, int]:
    """The census of the table as this statement's snapshot sees it; reads the whole table."""
    cursor = await connection.execute(sql.SQL(_CENSUS).format(table=table))
    return {row["xid"]: row["rows"] for row in await cursor.fetchall()}


async def own_xid(connection: Connection) -> int:
    """The ``xmin`` of rows that this transaction writes outside savepoints."""
    cursor = await connection.execute("SELECT pg_current_xact_id()::xid::text::bigint AS xid")
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - the statement has exactly one row
    return int(row["xid"])
