"""What others did to the rows since the last run, however they did it: read off the xmin census."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from psycopg import sql

from synctables.catalog.tables import Table
from synctables.importer.apply.census import Census, read_census
from synctables.importer.apply.columns import be_patient, qualified
from synctables.importer.apply.model import Connection
from synctables.importer.apply.row_layouts import Numbers
from synctables.importer.apply.row_sets import RowSets
from synctables.importer.apply.state import read_state, read_stored_shape
from synctables.importer.apply.transfer import fetch_packed
from synctables.importer.model import ID_COLUMN

_ID = np.dtype([("id", ">i8")])

_EDITED = """
SELECT int8send({id}) AS packed FROM ONLY {table} WHERE xmin::text::bigint = ANY({xids})
"""
_ALL = "SELECT int8send({id}) AS packed FROM ONLY {table}"


@dataclass(frozen=True, kw_only=True)
class HandEdits:
    """Ids of rows that are not as the last run left them."""

    edited: Numbers
    """Rows whose content somebody wrote anew; they may or may not differ from the file."""
    strays: Numbers
    """Rows that somebody added."""
    missing: Numbers
    """Rows that somebody deleted."""

    @classmethod
    def none(cls) -> HandEdits:
        nothing = np.empty(0, np.int64)
        return cls(edited=nothing, strays=nothing, missing=nothing)

    @property
    def count(self) -> int:
        return len(self.edited) + len(self.strays) + len(self.missing)


def explains(now: Census, kept: Census) -> bool:
    """Whether the census can say which rows were edited.

    No transaction that is known can come to have more rows: if one has, its number was used again,
    or a trigger wrote rows in a run of ours.
    """
    return all(now.get(xid, 0) <= rows for xid, rows in kept.items())


async def is_edited(connection: Connection, live: Table) -> bool:
    """Whether rows or columns of ours may not be as the last run left them; in a transaction."""
    await connection.execute("SET LOCAL row_security = off")
    await be_patient(connection)
    state = await read_state(connection, live.id, for_update=False)
    if state is None:
        return True
    census = await read_census(connection, qualified(live.schema_name, live.name))
    shape = await read_stored_shape(connection, live.relation_oid)
    return census != state.census or not state.still_describes(live.relation_oid, shape)


async def find_hand_edits(
    connection: Connection, table: sql.Composable, rows: RowSets, *, now: Census, kept: Census
) -> HandEdits | None:
    """The edits; None where the table changed since the census ``now`` was taken."""
    foreign = {xid: count for xid, count in now.items() if xid not in kept}
    fallen = sum(kept.values()) - (sum(now.values()) - sum(foreign.values()))
    if not foreign and not fallen:
        return HandEdits.none()
    written = await _ids(connection, _EDITED, table, xids=list(foreign))
    if len(written) != sum(foreign.values()):
        return None
    edited = rows.kept_ids(written)
    missing = np.empty(0, np.int64)
    if fallen != len(edited):
        missing = rows.missing_ids(await _ids(connection, _ALL, table))
    return HandEdits(edited=edited, strays=np.setdiff1d(written, edited), missing=missing)


async def _ids(
    connection: Connection, query: str, table: sql.Composable, *, xids: list[int] | None = None
) -> Numbers:
    asked = sql.SQL(query).format(
        id=sql.Identifier(ID_COLUMN), table=table, xids=sql.Literal(xids or [])
    )
    return (await fetch_packed(connection, asked, _ID))["id"].astype(np.int64)
