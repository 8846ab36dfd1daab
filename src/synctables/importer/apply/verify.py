"""Whether a delta made the rows that it was to make, and nobody made others with it.

Users' triggers and foreign keys write in our transaction: a trigger may change what we write before
or after it is there, or other rows; deleting a row may delete rows that point at it. The statements
alone do not show it, since each hits as many rows as it should (refresh.md 15). PostgreSQL counts
what a transaction does to a table, whoever does it, so that is what is looked at first.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from psycopg import sql

from synctables.importer.apply.full_compare import load_in_full
from synctables.importer.apply.model import Connection
from synctables.importer.apply.row_sets import RowSets
from synctables.importer.apply.staging import all_names
from synctables.importer.apply.statements import EditedMeanwhileError, Written
from synctables.importer.apply.triggers import TRIGGER_PREFIX
from synctables.importer.apply.work import Judged, Work
from synctables.importer.model import ID_COLUMN

_COUNTS = """
SELECT pg_stat_get_xact_tuples_inserted(%(oid)s::oid) AS inserted,
       pg_stat_get_xact_tuples_updated(%(oid)s::oid) AS updated,
       pg_stat_get_xact_tuples_deleted(%(oid)s::oid) AS deleted
"""

_HAS_TRIGGERS = """
SELECT EXISTS (SELECT FROM pg_trigger
               WHERE tgrelid = %(oid)s::oid AND NOT tgisinternal AND tgenabled <> 'D'
                 AND NOT starts_with(tgname, %(ours)s)) AS has_triggers
"""

# Of the rows that were written, those that are not what was sent.
_ALTERED = """
SELECT count(*) AS altered
FROM (SELECT "#id", "#position" FROM pg_temp.changes WHERE position('1' IN "#mask") > 0
      UNION ALL SELECT "#id", "#position" FROM pg_temp.arriving) AS written
JOIN pg_temp.staged_rows AS new USING ("#position")
LEFT JOIN ONLY {table} AS stored ON stored.{id} = written."#id"
WHERE stored.{id} IS NULL OR record_image_ne(ROW({stored}), ROW({new}))
"""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Rows of the table that this transaction inserted, updated and deleted until now."""

    inserted: int
    updated: int
    deleted: int

    def after(self, written: Written, *, replaces_rows: bool) -> Counts:
        """The counts once the statements did this, and nobody else did anything."""
        inserted, updated, deleted = (
            len(written.arrived_ids), written.rows.updated, written.rows.deleted,
        )  # fmt: skip
        return Counts(
            inserted=self.inserted + inserted,
            updated=self.updated + (0 if replaces_rows else updated),
            deleted=self.deleted + deleted + (updated if replaces_rows else 0),
        )


async def read_counts(connection: Connection, relation_oid: int) -> Counts:
    """What was done to the table in this transaction, by whomever."""
    row = await (await connection.execute(_COUNTS, {"oid": relation_oid})).fetchone()
    assert row is not None  # noqa: S101 - the statement has exactly one row
    return Counts(**row)


async def verify(connection: Connection, work: Work, judged: Judged, *, due: Counts) -> None:
    """Raise `EditedMeanwhileError` unless the table is what it was to become.

    ``due``: the counts where nobody else wrote. Deferred triggers are fired first.
    """
    asked = {"oid": judged.seen.live.relation_oid, "ours": TRIGGER_PREFIX}
    await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    row = await (await connection.execute(_HAS_TRIGGERS, asked)).fetchone()
    if row is not None and row["has_triggers"]:
        await _verify_written(connection, work, judged)
    if await read_counts(connection, judged.seen.live.relation_oid) != due:
        await _verify_all(connection, work, judged)


async def _verify_written(connection: Connection, work: Work, judged: Judged) -> None:
    names = all_names(work.columns)
    cursor = await connection.execute(
        sql.SQL(_ALTERED).format(
            table=judged.seen.table,
            id=sql.Identifier(ID_COLUMN),
            stored=sql.SQL(", ").join([sql.Identifier("stored", name) for name in names]),
            new=sql.SQL(", ").join([sql.Identifier("new", name) for name in names]),
        )
    )
    row = await cursor.fetchone()
    if row is not None and row["altered"]:
        raise EditedMeanwhileError(f"{row['altered']:,} rows became others than were written.")


async def _verify_all(connection: Connection, work: Work, judged: Judged) -> None:
    """Somebody wrote more rows than we did, maybe only users' own columns of them."""
    with RowSets(work.scratch) as rows:
        await load_in_full(
            connection, rows, work.layer, judged.seen.table, work.layer.columns,
            as_text=frozenset(), on_rows=lambda _: None,
        )  # fmt: skip
        difference = await asyncio.to_thread(rows.compare)
    if len(difference.gone) or len(difference.coming):
        raise EditedMeanwhileError("Other rows were changed with those that were written.")
