"""delta, the normal way: rows that differ are updated, deleted and inserted in one transaction."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np

from synctables.catalog.tables import update_table
from synctables.importer.apply.edits import clear_edits
from synctables.importer.apply.model import Applied, Connection, Way
from synctables.importer.apply.pairing import Pairs
from synctables.importer.apply.remember import remember_all, remember_changes, remember_state
from synctables.importer.apply.row_layouts import Numbers
from synctables.importer.apply.signatures import is_journal_full
from synctables.importer.apply.staging import find_changes, stage
from synctables.importer.apply.statements import DeltaPlan, Written, write_delta, write_replacing
from synctables.importer.apply.verify import read_counts, verify
from synctables.importer.apply.work import Judged, Work
from synctables.importer.model import Column


async def delta(
    connection: Connection, work: Work, judged: Judged, *, replaces_rows: bool
) -> Applied:
    """Write what differs and what is remembered of it, in the caller's transaction.

    Raises `EditedMeanwhileError` when a statement hits another number of rows than planned, or the
    table is not as it was written.
    """
    plan = await stage_plan(connection, work, judged)
    before = await read_counts(connection, judged.seen.live.relation_oid)
    write = write_replacing if replaces_rows else write_delta
    written = await write(
        connection, judged.seen.live, work.columns, plan, census=judged.found.census
    )
    await verify(connection, work, judged, due=before.after(written, replaces_rows=replaces_rows))
    live = replace(judged.seen.live, row_count=work.layer.row_count)
    await update_table(connection, live)
    await clear_edits(connection, live.relation_oid)
    state = judged.seen.state
    await remember_state(
        connection,
        live,
        work.layer,
        work.columns,
        census=written.census,
        key_column=judged.pairs.key or (state.key_column if state else None),
        unique_columns=judged.unique_columns,
    )
    await _remember_rows(connection, work, judged, written)
    return Applied(
        table=live,
        columns=work.columns,
        rows=written.rows,
        way=Way.DELTA,
        pairing=judged.pairing,
        hand_edit_count=judged.hand_edit_count,
        schema_changes=work.schema_changes,
    )


async def stage_plan(
    connection: Connection,
    work: Work,
    judged: Judged,
    *,
    compared: tuple[Column, ...] | None = None,
) -> DeltaPlan:
    """Send the rows that are needed, and find what differs between those that are paired.

    ``compared``: the columns to compare them by, instead of all. Nothing but temporary tables is
    written.
    """
    found, pairs = judged.found, judged.pairs
    arriving = np.setdiff1d(found.coming, pairs.positions)
    ids = np.concatenate([pairs.ids, found.healed.ids])
    positions = np.concatenate([pairs.positions, found.healed.positions])
    needed = np.unique(np.concatenate([positions, arriving, found.returning.positions]))
    await stage(connection, work.layer, needed, work.columns, on_rows=work.on_rows)
    columns = work.columns if compared is None else compared
    await find_changes(connection, judged.seen.table, columns, ids, positions)
    return DeltaPlan(
        leaving=np.setdiff1d(np.concatenate([found.gone, found.strays]), pairs.ids),
        arriving=arriving,
        returning_ids=found.returning.ids,
        returning_positions=found.returning.positions,
        row_count=work.layer.row_count,
    )


async def _remember_rows(
    connection: Connection, work: Work, judged: Judged, written: Written
) -> None:
    """Add the rows that changed to the journal, or write all signatures anew."""
    found, layer, table = judged.found, work.layer, judged.seen.live
    ids = _ids_of_coming(found.coming, judged.pairs, written)
    gone = np.concatenate([np.setdiff1d(found.gone, judged.pairs.ids), found.forgotten])
    if found.is_by_signatures and not await is_journal_full(
        connection, table.id, more_rows=len(ids) + len(gone)
    ):
        places = await asyncio.to_thread(judged.rows.places, found.coming)
        await remember_changes(
            connection, table, layer, positions=found.coming, ids=ids, places=places, gone=gone
        )
        return
    every_id = await asyncio.to_thread(judged.rows.matched_ids, layer.row_count)
    every_id[found.coming - 1] = ids
    await remember_all(connection, table, layer, every_id)


def _ids_of_coming(coming: Numbers, pairs: Pairs, written: Written) -> Numbers:
    """The id that each row that came has now."""
    ids = np.zeros(len(coming), np.int64)
    for positions, known in (
        (pairs.positions, pairs.ids),
        (written.arrived_positions, written.arrived_ids),
    ):
        is_coming = np.isin(positions, coming)
        ids[np.searchsorted(coming, positions[is_coming])] = known[is_coming]
    return ids
