"""Whether the table is as our statements say that they left it, whatever users put on it.

How many rows a statement hit does not tell: a rule can send them elsewhere, a trigger can write
other values, or touch rows of its own choice. PostgreSQL counts what this transaction did to the
table, by whomever (refresh.md 15).
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from synctables.catalog.tables import Table
from synctables.importer.apply.columns import qualified
from synctables.importer.apply.model import Connection
from synctables.importer.apply.obstacles import describe_watchers
from synctables.importer.apply.statements import EditedMeanwhileError
from synctables.importer.model import GEOMETRY_COLUMN, ID_COLUMN, Column

_COUNT = """
SELECT pg_stat_get_xact_tuples_inserted(%(oid)s) AS inserted,
       pg_stat_get_xact_tuples_updated(%(oid)s) AS updated,
       pg_stat_get_xact_tuples_deleted(%(oid)s) AS deleted,
       current_setting('track_counts')::boolean AS is_counted
"""

# The webmercator shape follows the other one, by a trigger of ours where a user's comes between.
_COUNT_OTHERWISE = """
SELECT count(*) AS rows
FROM (SELECT "#id", "#position" FROM pg_temp.changes
      UNION
      SELECT "#id", "#position" FROM pg_temp.arriving) AS written
JOIN pg_temp.staged_rows AS new USING ("#position")
LEFT JOIN ONLY {table} AS stored ON stored.{id} = written."#id"
WHERE stored.{id} IS NULL OR record_image_ne(ROW({stored}), ROW({new}))
"""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Rows of the table that this session inserted, updated and deleted; see `written_since`."""

    inserted: int
    updated: int
    deleted: int
    is_counted: bool
    """Whether the server counts at all."""


async def tally(connection: Connection, live: Table) -> Tally:
    """The counts now. Only their differences within a transaction mean anything."""
    row = await (await connection.execute(_COUNT, {"oid": live.relation_oid})).fetchone()
    assert row is not None  # noqa: S101 - the statement has exactly one row
    return Tally(**row)


async def verify_written(
    connection: Connection,
    live: Table,
    columns: tuple[Column, ...],
    before: Tally,
    *,
    inserted: int,
    updated: int,
    deleted: int,
) -> None:
    """Raise `EditedMeanwhileError` unless these rows were written since, as they were sent.

    ``changes``, ``arriving`` and ``staged_rows`` are still there. The rows are read again only
    where triggers or rules of users stand on the table.
    """
    is_watched = bool(await describe_watchers(connection, live))
    if is_watched:
        await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    now = await tally(connection, live)
    done = (
        now.inserted - before.inserted,
        now.updated - before.updated,
        now.deleted - before.deleted,
    )
    if now.is_counted and done != (inserted, updated, deleted):
        raise EditedMeanwhileError(
            "Something on the table changed more, or fewer, of its rows than the refresh did."
        )
    if is_watched and await _count_otherwise(connection, live, columns):
        raise EditedMeanwhileError("Something on the table changes the values that are written.")


async def _count_otherwise(connection: Connection, live: Table, columns: tuple[Column, ...]) -> int:
    names = [GEOMETRY_COLUMN, *(column.name for column in columns)]
    statement = sql.SQL(_COUNT_OTHERWISE).format(
        table=qualified(live.schema_name, live.name),
        id=sql.Identifier(ID_COLUMN),
        stored=sql.SQL(", ").join([sql.Identifier("stored", name) for name in names]),
        new=sql.SQL(", ").join([sql.Identifier("new", name) for name in names]),
    )
    row = await (await connection.execute(statement)).fetchone()
    assert row is not None  # noqa: S101 - an aggregate has exactly one row
    return int(row["rows"])
