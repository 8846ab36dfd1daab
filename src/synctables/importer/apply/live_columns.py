"""Which columns a table has, and whose they are: asked before the file is read."""

from __future__ import annotations

from synctables.catalog.tables import Table
from synctables.importer.apply.columns import live_types
from synctables.importer.apply.model import Connection
from synctables.importer.model import SYSTEM_COLUMNS, Column, LiveColumns

_REMEMBERED = """
SELECT ARRAY(SELECT jsonb_object_keys(columns)) AS ours, file_columns
FROM table_states WHERE table_id = %s
"""


async def read_live_columns(
    connection: Connection, live: Table, contract: tuple[Column, ...]
) -> LiveColumns:
    """The table's columns now. Ours are those of the contract, and those that a run gave the table
    that failed later on; all others are of users, and are never written to."""
    types = await live_types(connection, live.relation_oid)
    state = await (await connection.execute(_REMEMBERED, [live.id])).fetchone()
    ours = {
        *SYSTEM_COLUMNS,
        *(column.name for column in contract),
        *(state["ours"] if state else ()),
    }
    return LiveColumns(
        types=types,
        others=frozenset(types) - ours,
        in_file=frozenset(state["file_columns"]) if state else None,
    )
