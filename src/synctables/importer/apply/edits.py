"""Hand edits, as the trigger on each table notes them: when a table was last edited by others.

The notes are kept until a refresh or the hourly sweep folds the newest one into the sync's
``modified_at``. Whoever folds locks the sync's row first, so that two of them never wait for each
other in a ring; only notes that are committed by then are read and removed, later ones stay.
"""

from __future__ import annotations

from synctables.importer.apply.model import Connection

_LOCK_SYNCS = """
SELECT FROM syncs JOIN tables ON tables.id = syncs.table_id
WHERE tables.relation_oid = %(oid)s::oid
ORDER BY syncs.id FOR UPDATE OF syncs
"""

_LOCK_SYNCS_THAT_ARE_FREE = """
SELECT tables.relation_oid::bigint AS oid
FROM syncs JOIN tables ON tables.id = syncs.table_id
WHERE EXISTS (SELECT FROM edits WHERE edits.relation_oid = tables.relation_oid)
ORDER BY syncs.id FOR UPDATE OF syncs SKIP LOCKED
"""

# Notes of this very transaction are the refresh's own writes.
_FOLD = """
WITH removed AS (DELETE FROM edits WHERE relation_oid = %(oid)s::oid RETURNING xid, at),
     newest AS (SELECT max(at) AS at FROM removed WHERE xid <> pg_current_xact_id())
UPDATE syncs SET modified_at = greatest(modified_at, newest.at)
FROM newest, tables
WHERE newest.at IS NOT NULL AND tables.relation_oid = %(oid)s::oid AND syncs.table_id = tables.id
"""

_FORGET = """
DELETE FROM edits
WHERE NOT EXISTS (SELECT FROM syncs JOIN tables ON tables.id = syncs.table_id
                  WHERE tables.relation_oid = edits.relation_oid)
"""


async def clear_edits(connection: Connection, relation_oid: int) -> None:
    """Keep in the sync when its table was last edited, and remove the notes of it.

    To be called in the transaction of a refresh, after its last write to the table: its own writes
    leave no note. A rewrite calls it with the oid that the table had, before recording the new one.
    """
    await connection.execute(_LOCK_SYNCS, {"oid": relation_oid})
    await connection.execute(_FOLD, {"oid": relation_oid})


async def fold_edits(connection: Connection) -> None:
    """The same for every table that no refresh holds now, so that notes do not pile up.

    Notes of tables that no sync keeps any more are removed.
    """
    cursor = await connection.execute(_LOCK_SYNCS_THAT_ARE_FREE)
    for row in await cursor.fetchall():
        await connection.execute(_FOLD, {"oid": row["oid"]})
    await connection.execute(_FORGET)
