"""rewrite, seen from the refresh: number the rows, have the new table made, remember it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import numpy as np

from synctables.catalog.tables import Table, update_table
from synctables.errors import CannotChangeTableError
from synctables.importer.apply.census import Census
from synctables.importer.apply.columns import next_free_id
from synctables.importer.apply.edits import clear_edits
from synctables.importer.apply.model import Applied, Connection, Pairing, Way
from synctables.importer.apply.remember import remember_all, remember_state
from synctables.importer.apply.rewrite import rewrite
from synctables.importer.apply.row_layouts import Numbers
from synctables.importer.apply.work import Judged, Work
from synctables.importer.model import RowCounts

_HIGHEST_ID = np.iinfo(np.int64).max


@dataclass(frozen=True, kw_only=True)
class NewTable:
    """What a rewrite is to make: the rows' ids in file order, and the table that it replaces."""

    live: Table
    ids: Numbers
    census: Census
    rows: RowCounts
    key_column: str | None
    unique_columns: tuple[str, ...]
    pairing: Pairing | None
    hand_edit_count: int | None


async def number_rows(connection: Connection, work: Work, judged: Judged) -> NewTable:
    """Rows that stay and rows that changed keep their ids; new ones get ids that nobody had."""
    pairs, row_count = judged.pairs, work.layer.row_count
    ids = await asyncio.to_thread(judged.rows.matched_ids, row_count)
    ids[pairs.positions - 1] = pairs.ids
    is_new = ids == 0
    new_count = int(is_new.sum())
    # Rows that somebody deleted come back under ids that nothing in the table has now.
    first = max(await next_free_id(connection, judged.seen.table), int(ids.max(initial=0)) + 1)
    if first + new_count > _HIGHEST_ID:
        raise CannotChangeTableError(f"No {new_count:,} ids are left above {first - 1}.")
    ids[is_new] = np.arange(first, first + new_count)
    state = judged.seen.state
    return NewTable(
        live=judged.seen.live,
        ids=ids,
        census=judged.found.census,
        rows=count_rows(work, judged),
        key_column=pairs.key or (state.key_column if state else None),
        unique_columns=judged.unique_columns,
        pairing=judged.pairing,
        hand_edit_count=judged.hand_edit_count,
    )


def count_rows(work: Work, judged: Judged) -> RowCounts:
    """What a rewrite does to the rows; it does not ask which of the paired rows differ."""
    found, paired = judged.found, len(judged.pairs.ids)
    inserted, updated = len(found.coming) - paired, paired + len(found.healed.ids)
    return RowCounts(
        inserted=inserted,
        updated=updated,
        deleted=len(found.gone) + len(found.strays) - paired,
        unchanged=work.layer.row_count - inserted - updated,
    )


async def put_in_place(work: Work, new: NewTable) -> Applied:
    """Make the new table and let it take the old one's place; what is remembered commits with it.

    Raises `HinderedError` where it cannot; the old table is as it was then.
    """
    applied: list[Applied] = []

    async def finish(connection: Connection, table: Table, census: Census) -> None:
        made = replace(table, row_count=work.layer.row_count)
        await clear_edits(connection, new.live.relation_oid)
        await update_table(connection, made)
        await remember_state(
            connection,
            made,
            work.layer,
            work.columns,
            census=census,
            key_column=new.key_column,
            unique_columns=new.unique_columns,
        )
        await remember_all(connection, made, work.layer, new.ids)
        applied.append(
            Applied(
                table=made,
                columns=work.columns,
                rows=new.rows,
                way=Way.REWRITE,
                pairing=new.pairing,
                hand_edit_count=new.hand_edit_count,
                schema_changes=work.schema_changes,
            )
        )
        await work.record(connection, tuple(applied))

    await rewrite(
        work.pool,
        work.layer,
        new.live,
        columns=work.columns,
        ids=new.ids,
        census=new.census,
        finish=finish,
        on_rows=work.on_rows,
    )
    return applied[-1]
