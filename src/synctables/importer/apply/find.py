"""What differs between the table and its new version: by kept signatures, or by a full compare."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np
from psycopg import sql

from synctables.catalog.tables import Table
from synctables.importer.apply.census import Census, read_census
from synctables.importer.apply.columns import qualified
from synctables.importer.apply.copying import OnRows
from synctables.importer.apply.full_compare import load_in_full
from synctables.importer.apply.hand_edits import explains, find_hand_edits
from synctables.importer.apply.model import Connection
from synctables.importer.apply.pairing import Pairs
from synctables.importer.apply.row_layouts import Numbers
from synctables.importer.apply.row_sets import Difference, RowSets
from synctables.importer.apply.signatures import read_base, read_journal
from synctables.importer.apply.state import StoredShape, TableState, read_state, read_stored_shape
from synctables.importer.apply.statements import EditedMeanwhileError
from synctables.importer.apply.system_columns import check_system_columns
from synctables.importer.apply.typed_rows import hashed_rows
from synctables.importer.model import Column, TypedLayer

LARGE_SHARE = 0.15
"""Above this share of changed rows a delta costs more than a new table (refresh.md)."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The table as this transaction found it."""

    live: Table
    shape: StoredShape
    state: TableState | None
    types: dict[str, str]
    """The type of each column, as PostgreSQL prints it."""
    view: sql.Identifier | None = None
    """What to read the table through, where it does not have all the columns yet."""

    @property
    def table(self) -> sql.Identifier:
        return self.view or qualified(self.live.schema_name, self.live.name)

    def columns_before(self, contract: tuple[Column, ...]) -> frozenset[str]:
        """Columns of the last version of the file that the table still has."""
        known = self.state.file_columns if self.state else [column.name for column in contract]
        return frozenset(known) & frozenset(self.types)

    def retyped(self, columns: tuple[Column, ...]) -> frozenset[str]:
        """Of these columns, those that are of another type in the table."""
        return frozenset(
            column.name
            for column in columns
            if column.name in self.types and self.types[column.name] != column.type.value
        )


@dataclass(frozen=True, kw_only=True)
class Found:
    """The rows that differ, before changed ones are paired.

    ``healed`` are rows that the file still has and that may differ in the table all the same:
    somebody edited them, or their columns changed. ``returning`` were deleted by somebody.
    """

    gone: Numbers
    """Ids in the table whose row is not in the file, in the order of the old file."""
    strays: Numbers
    """Ids that somebody added."""
    forgotten: Numbers
    """Ids of rows that are neither in the table any more nor in the file."""
    coming: Numbers
    """Positions of rows that the table does not have, ascending."""
    healed: Pairs
    returning: Pairs
    census: Census
    """The table's, before anything else was read of its rows: what is edited later than it is not
    known to the next run, which therefore finds it."""
    is_by_signatures: bool
    hand_edit_count: int = 0


async def look(
    connection: Connection, live: Table, *, types: dict[str, str], for_update: bool = True
) -> Seen:
    """See what the table is like.

    Raises `CannotChangeTableError` where rows cannot be told apart.
    """
    table = qualified(live.schema_name, live.name)
    await check_system_columns(connection, table, live.relation_oid, types)
    state = await read_state(connection, live.id, for_update=for_update)
    shape = await read_stored_shape(connection, live.relation_oid)
    return Seen(live=live, shape=shape, state=state, types=types)


async def find(
    connection: Connection,
    seen: Seen,
    layer: TypedLayer,
    rows: RowSets,
    *,
    contract: tuple[Column, ...],
    in_full: bool,
    on_rows: OnRows,
) -> Found | None:
    """Fill ``rows`` and find what differs.

    ``contract``: the columns that earlier versions gave the table. ``in_full``: do not use the kept
    signatures. Returns None where they were used and a full compare is to be preferred: columns
    came or went, and with them most hashes changed, or the census cannot say what was edited.
    """
    state = seen.state
    if in_full or state is None or not _can_use_signatures(seen, state, layer):
        return await _find_in_full(
            connection, seen, layer, rows, contract=contract, on_rows=on_rows
        )
    await _load_signatures(connection, rows, seen, layer)
    census, difference = await _compare_beside_census(connection, seen, rows)
    file_columns = {column.name for column in layer.columns}
    most = LARGE_SHARE * max(state.row_count, layer.row_count)
    if file_columns != set(state.file_columns) and len(difference.coming) > most:
        return None
    if not explains(census, state.census):
        return None
    edits = await find_hand_edits(connection, seen.table, rows, now=census, kept=state.census)
    if edits is None:
        raise EditedMeanwhileError("The table was edited while it was compared.")
    is_missing = np.isin(difference.gone, edits.missing)
    return Found(
        gone=difference.gone[~is_missing],
        strays=edits.strays,
        forgotten=difference.gone[is_missing],
        coming=difference.coming,
        healed=Pairs.of(*await asyncio.to_thread(rows.twins, edits.edited)),
        returning=Pairs.of(*await asyncio.to_thread(rows.twins, edits.missing)),
        census=census,
        is_by_signatures=True,
        hand_edit_count=edits.count,
    )


def _can_use_signatures(seen: Seen, state: TableState, layer: TypedLayer) -> bool:
    return (
        state.signature_tag == layer.signature_tag
        and state.still_describes(seen.live.relation_oid, seen.shape)
        and not seen.retyped(layer.columns)
    )


async def _load_signatures(
    connection: Connection, rows: RowSets, seen: Seen, layer: TypedLayer
) -> None:
    async for block in read_base(connection, seen.live.id):
        await asyncio.to_thread(rows.add_kept, block)
    latest, gone = await read_journal(connection, seen.live.id)
    if len(latest) or len(gone):
        await asyncio.to_thread(rows.override_kept, latest, gone=gone)
    await asyncio.to_thread(_add_new, rows, layer)


async def _compare_beside_census(
    connection: Connection, seen: Seen, rows: RowSets
) -> tuple[Census, Difference]:
    """The server counts while we compare; neither needs the other."""
    comparing = asyncio.create_task(asyncio.to_thread(rows.compare))
    try:
        census = await _read_census(connection, seen)
    finally:
        await asyncio.wait([comparing])  # a thread cannot be called off
    return census, comparing.result()


async def _read_census(connection: Connection, seen: Seen) -> Census:
    """Of the table itself, even where it is read through a view."""
    return await read_census(connection, qualified(seen.live.schema_name, seen.live.name))


def _add_new(rows: RowSets, layer: TypedLayer) -> None:
    for block in hashed_rows(layer):
        rows.add_new(block)


async def _find_in_full(
    connection: Connection,
    seen: Seen,
    layer: TypedLayer,
    rows: RowSets,
    *,
    contract: tuple[Column, ...],
    on_rows: OnRows,
) -> Found:
    """Compare both versions on the columns that both have.

    Where they do not have the same columns, a row that is equal in the others may differ all the
    same, and which rows do is found out cell by cell.
    """
    census = await _read_census(connection, seen)
    before = seen.columns_before(contract)
    common = tuple(column for column in layer.columns if column.name in before)
    await load_in_full(
        connection,
        rows,
        layer,
        seen.table,
        common,
        as_text=seen.retyped(common),
        on_rows=on_rows,
    )
    difference = await asyncio.to_thread(rows.compare)
    nothing = np.empty(0, np.int64)
    healed = Pairs(ids=nothing, positions=nothing)
    if len(common) < len(layer.columns) or len(common) < len(before):
        ids = await asyncio.to_thread(rows.matched_ids, layer.row_count)
        positions = np.flatnonzero(ids) + 1
        healed = Pairs(ids=ids[positions - 1], positions=positions)
    return Found(
        gone=difference.gone,
        strays=nothing,
        forgotten=nothing,
        coming=difference.coming,
        healed=healed,
        returning=Pairs(ids=nothing, positions=nothing),
        census=census,
        is_by_signatures=False,
    )
