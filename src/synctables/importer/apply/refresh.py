"""A refresh: make an existing table equal to the layer, by the way that fits.

delta is the normal way and always correct. A new table with a short swap is for versions that
change most rows or a type, where everything that hangs off the table can be carried over. What
others do to the table meanwhile makes an attempt begin again; nothing of it is left then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import structlog
from psycopg import errors as pg

from synctables.db.pool import session_of_users
from synctables.errors import CannotChangeTableError, LockedTableError, RunError
from synctables.importer.apply.columns import (
    add_columns,
    additions,
    be_patient,
    describe_changes,
    hold,
    live_types,
    prepare_session,
)
from synctables.importer.apply.delta import delta
from synctables.importer.apply.find import LARGE_SHARE, Found, Seen, find, look
from synctables.importer.apply.hindered import HinderedError
from synctables.importer.apply.keys import still_unique_columns, unique_columns
from synctables.importer.apply.live_columns import read_live_columns
from synctables.importer.apply.model import Applied, Connection
from synctables.importer.apply.new_table import number_rows, put_in_place
from synctables.importer.apply.obstacles import describe_watchers, may_replace_rows
from synctables.importer.apply.pairing import Versions, pair
from synctables.importer.apply.rewrite import hindrances
from synctables.importer.apply.row_sets import RowSets
from synctables.importer.apply.state import remember_columns
from synctables.importer.apply.statements import EditedMeanwhileError
from synctables.importer.apply.work import Judged, Means, Work
from synctables.importer.model import Column, LiveColumns

FEWEST_ROWS_TO_REWRITE = 20_000
"""Changed rows below which a delta is quick, whatever their share."""
_MOST_ATTEMPTS_WHILE_EDITED = 3
_MOST_REASONS_TOLD = 5

log = structlog.get_logger(__name__)


class InFullError(Exception):
    """Columns came or went, and with them most hashes: compare on the columns that stayed."""


async def refresh(work: Work) -> Applied:
    """Make the table equal to the layer, in a transaction that ends with ``work.record``.

    Raises `CannotChangeTableError` naming what is in the way, `LockedTableError` when a lock is
    not to be had, `TableVanishedError` when the table was dropped since the run began.
    """
    work = replace(work, schema_changes=await _add_columns(work))
    means, edited = Means(), 0
    while True:
        try:
            return await _attempt(work, means)
        except InFullError:
            means = replace(means, in_full=True)
        except HinderedError as error:
            log.info("rewrite_hindered", reasons=error.reasons)
            means = means.after(error)
        except EditedMeanwhileError as error:
            edited += 1
            log.info("table_edited_meanwhile", attempt=edited, reason=str(error))
            if edited == _MOST_ATTEMPTS_WHILE_EDITED:
                raise await _refusal(work, error) from error
            means = replace(means, in_full=edited > 1)
        except pg.UniqueViolation:
            if means.replaces_rows or not await _may_replace_rows(work):
                raise
            means = replace(means, replaces_rows=True, may_rewrite=False)


async def _attempt(work: Work, means: Means) -> Applied:
    async with (
        session_of_users(work.pool) as connection,
        connection.transaction(),
        judge(connection, work, in_full=means.in_full) as judged,
    ):
        if not await is_to_rewrite(connection, work, judged, means):
            applied = await delta(connection, work, judged, replaces_rows=means.replaces_rows)
            await work.record(connection, (applied,))
            return applied
        new_table = await number_rows(connection, work, judged)
    return await put_in_place(work, new_table)


@asynccontextmanager
async def judge(connection: Connection, work: Work, *, in_full: bool) -> AsyncIterator[Judged]:
    """Find what differs and pair what changed; nothing but temporary tables is written."""
    await prepare_session(connection)
    live = await hold(connection, work.live)
    seen = await look(connection, live, types=await live_types(connection, live.relation_oid))
    async with compare(connection, work, seen, in_full=in_full) as judged:
        yield judged


@asynccontextmanager
async def compare(
    connection: Connection, work: Work, seen: Seen, *, in_full: bool
) -> AsyncIterator[Judged]:
    """Compare the layer with the table as it was seen. Raises `InFullError`."""
    declared, retyped = _declared_key(work, seen), seen.retyped(work.columns)
    with RowSets(work.scratch) as rows:
        found = await find(
            connection, seen, work.layer, rows,
            contract=work.target.contract, in_full=in_full, on_rows=work.on_rows,
        )  # fmt: skip
        if found is None:
            raise InFullError
        unique = await _unique_columns(work, seen, found)
        pairs = await pair(
            Versions(connection=connection, table=seen.table, layer=work.layer,
                     columns=work.columns, retyped=retyped),
            rows,
            gone=np.concatenate([found.gone, found.strays]),
            coming=found.coming,
            declared=declared,
            found=_found_keys(work, seen, unique),
        )  # fmt: skip
        yield Judged(seen=seen, found=found, pairs=pairs, rows=rows, unique_columns=unique,
                     declared_key=declared)  # fmt: skip


async def is_to_rewrite(connection: Connection, work: Work, judged: Judged, means: Means) -> bool:
    """Whether a new table is the way. A changed type needs one; else it must pay.

    Raises `CannotChangeTableError` where a type cannot change, `LockedTableError` where it could
    if others left the table alone.
    """
    live, found = judged.seen.live, judged.found
    retyped = judged.seen.retyped(work.columns)
    changed = len(found.coming) + len(found.gone) - len(judged.pairs.ids)
    if not found.is_by_signatures:  # which cells of these differ is not known yet
        changed += len(found.healed.ids)
    pays = changed >= max(FEWEST_ROWS_TO_REWRITE, LARGE_SHARE * max(1, live.row_count))
    if not retyped and not (pays and means.may_rewrite):
        return False
    new_types = {c.name: c.type.value for c in work.columns if c.name in retyped}
    reasons = await hindrances(connection, live, new_types)
    refused: type[RunError] = CannotChangeTableError
    if not reasons and means.hindered and not means.may_try_again:
        reasons = list(means.hindered.reasons)
        refused = LockedTableError if means.hindered.is_passing else refused
    if retyped and reasons:
        types = describe_changes(work.columns, judged.seen.types)
        raise refused(
            f"{'; '.join(types)}, which is not possible: {' '.join(reasons[:_MOST_REASONS_TOLD])}"
        )
    if reasons:
        log.info("delta_instead_of_rewrite", reasons=reasons)
    return not reasons


def _declared_key(work: Work, seen: Seen) -> tuple[str, ...]:
    """The columns of the declared key, named by column or by field; none unless all are there."""
    names = {column.field: column.name for column in work.layer.columns}
    names |= {column.name: column.name for column in work.layer.columns}
    usable = seen.columns_before(work.target.contract) - seen.retyped(work.layer.columns)
    key = tuple(names[name] for name in work.target.key_columns if names.get(name) in usable)
    return key if len(key) == len(work.target.key_columns) else ()


def _found_keys(work: Work, seen: Seen, unique: tuple[str, ...]) -> tuple[str, ...]:
    """Columns that tell all rows apart in both versions; the one that served before, alone."""
    if seen.state is None:
        return ()
    usable = set(seen.state.unique_columns) - seen.retyped(work.layer.columns)
    both = tuple(name for name in unique if name in usable)
    return (seen.state.key_column,) if seen.state.key_column in both else both


async def _unique_columns(work: Work, seen: Seen, found: Found) -> tuple[str, ...]:
    """Columns that tell all rows of the new version apart. What once did not is not asked again."""
    known = seen.state.unique_columns if seen.state else None
    if known is not None and not len(found.coming):
        return known
    if known is not None and found.is_by_signatures:
        return await asyncio.to_thread(
            still_unique_columns,
            work.layer, among=known, coming=found.coming, scratch=work.scratch,
        )  # fmt: skip
    return await asyncio.to_thread(unique_columns, work.layer, among=known, scratch=work.scratch)


async def _add_columns(work: Work) -> tuple[str, ...]:
    """Give the table the columns that are new, in a short transaction of its own.

    An added column is NULL everywhere, which changes no hash; readers must not wait for the rows
    that follow (docs/decisions/0021). Raises `FencedError` instead where the run belongs to another
    worker by now, who may know a newer version of the file. Returns in words what the run changes
    in columns.
    """
    async with work.pool.connection() as connection, connection.transaction():
        await be_patient(connection)
        live = await hold(connection, work.live)
        columns = await read_live_columns(connection, live, work.target.contract)
        _check_names(work.columns, columns)
        types = columns.types
        new = additions(work.columns, types)
        if new:
            await add_columns(connection, live, new)
            await remember_columns(connection, live, [column.name for column in new])
            await work.hold_fence(connection)
        return describe_changes(work.columns, types)


def _check_names(columns: tuple[Column, ...], live: LiveColumns) -> None:
    """What somebody added since the run began is theirs; the next run names ours otherwise."""
    for column in columns:
        if column.name in live.others:
            raise LockedTableError(
                f'Somebody added a column "{column.name}" to the table during this run.'
            )


async def _may_replace_rows(work: Work) -> bool:
    async with work.pool.connection() as connection:
        return await may_replace_rows(connection, work.live, work.columns)


async def _refusal(work: Work, error: EditedMeanwhileError) -> RunError:
    """What stands on the table will be there next time too; somebody who edits it will not."""
    async with work.pool.connection() as connection:
        watchers = await describe_watchers(connection, work.live)
    if watchers:
        return CannotChangeTableError(f"{error} {watchers}")
    return LockedTableError(f"{error} Another session keeps editing the table.")
