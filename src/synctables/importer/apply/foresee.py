"""What applying a layer would do, found out without doing it.

The same comparison as a refresh makes, in a transaction that is rolled back and that writes nothing
but temporary tables. It sees one state of the database to its end (REPEATABLE READ) and takes no
lock that a run waits for, so that a run of the same sync may be under way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from psycopg import errors as pg
from psycopg import sql
from psycopg_pool import AsyncConnectionPool

from synctables.catalog.tables import Table, find_table
from synctables.errors import CannotChangeTableError, LockedTableError, TableVanishedError
from synctables.importer.apply.columns import (
    additions,
    describe_changes,
    live_types,
    prepare_session,
    qualified,
)
from synctables.importer.apply.copying import OnRows
from synctables.importer.apply.delta import stage_plan
from synctables.importer.apply.examples import (
    EXAMPLES,
    FIRST_ROWS,
    Examples,
    Values,
    choose,
    rows_of_file,
)
from synctables.importer.apply.find import Seen, look
from synctables.importer.apply.model import Connection, Pairing, Target, Way
from synctables.importer.apply.new_table import count_rows
from synctables.importer.apply.refresh import InFullError, compare, is_to_rewrite
from synctables.importer.apply.statements import DeltaPlan
from synctables.importer.apply.work import Judged, Means, Work
from synctables.importer.model import RowCounts, TypedLayer

_MOST_ATTEMPTS = 5
_VIEW = sql.Identifier("pg_temp", "live_table")

_COUNT_CHANGED = """
SELECT count(*) AS rows FROM pg_temp.changes WHERE position('1' IN "#mask") > 0
"""


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """What applying the layer would do."""

    way: Way | None
    """None: it cannot be applied, `refusal` says why."""
    rows: RowCounts
    first_rows: dict[int, Values]
    examples: Examples
    schema_changes: tuple[str, ...] = ()
    pairing: Pairing | None = None
    hand_edit_count: int | None = 0
    refusal: CannotChangeTableError | None = None


async def foresee(
    pool: AsyncConnectionPool[Connection],
    layer: TypedLayer,
    target: Target,
    *,
    scratch: Path,
    on_rows: OnRows,
) -> Foreseen:
    """What `apply` would do with this layer. Raises `TableVanishedError`, `LockedTableError`."""
    if target.live is None:
        return await _foresee_create(pool, layer)
    work = Work(
        pool=pool, layer=layer, target=target, live=target.live, scratch=scratch, on_rows=on_rows,
        record=_never, hold_fence=_never,
    )  # fmt: skip
    for _ in range(_MOST_ATTEMPTS):
        live = await _find(pool, target.live)
        try:
            async with _still(pool) as connection:
                if await _hold(connection, live):
                    return await _foresee_refresh(connection, work, live)
        except (pg.UndefinedTable, pg.InvalidSchemaName, pg.WrongObjectType):
            continue  # renamed or replaced between the two transactions
    raise LockedTableError(f'The table "{target.live.name}" changes its name all the time.')


async def _never(*_: object) -> None:
    raise AssertionError("nothing is applied, so nothing is recorded")


@asynccontextmanager
async def _still(pool: AsyncConnectionPool[Connection]) -> AsyncIterator[Connection]:
    """A transaction of which nothing remains, and in which the database stands still."""
    async with pool.connection() as connection, connection.transaction(force_rollback=True):
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await prepare_session(connection)
        yield connection


async def _find(pool: AsyncConnectionPool[Connection], live: Table) -> Table:
    async with pool.connection() as connection:
        found = await find_table(connection, live.id)
    if found is None:
        raise TableVanishedError(f'The table "{live.name}" no longer exists.')
    return found


async def _hold(connection: Connection, live: Table) -> bool:
    """Lock the table as a reader does; whether it still is the one of that name.

    LOCK takes no snapshot: what this transaction sees begins after it.
    """
    table = qualified(live.schema_name, live.name)
    await connection.execute(sql.SQL("LOCK TABLE ONLY {} IN ACCESS SHARE MODE").format(table))
    found = await find_table(connection, live.id)
    return found is not None and (found.relation_oid, found.schema_name, found.name) == (
        live.relation_oid,
        live.schema_name,
        live.name,
    )


async def _foresee_create(pool: AsyncConnectionPool[Connection], layer: TypedLayer) -> Foreseen:
    async with _still(pool) as connection:
        first = np.arange(1, min(layer.row_count, FIRST_ROWS) + 1)
        rows = await rows_of_file(connection, layer, layer.columns, first)
    inserted = {number: rows[number] for number in list(rows)[:EXAMPLES]}
    return Foreseen(
        way=Way.CREATE,
        rows=RowCounts(inserted=layer.row_count),
        first_rows=rows,
        examples=Examples(inserted=inserted),
    )


async def _foresee_refresh(connection: Connection, work: Work, live: Table) -> Foreseen:
    types = await live_types(connection, live.relation_oid)
    seen = await _see(connection, work, live, types)
    try:
        async with compare(connection, work, seen, in_full=False) as judged:
            return await _describe(connection, work, judged, types)
    except InFullError:
        async with compare(connection, work, seen, in_full=True) as judged:
            return await _describe(connection, work, judged, types)


async def _see(connection: Connection, work: Work, live: Table, types: dict[str, str]) -> Seen:
    """The table as it would be once the new columns are there, which a run adds beforehand."""
    seen = await look(connection, live, types=types, for_update=False)
    new = additions(work.columns, types)
    if not new:
        return seen
    await connection.execute(
        sql.SQL(
            "CREATE TEMPORARY VIEW live_table AS SELECT stored.*, stored.xmin, {} FROM ONLY {} AS"
            " stored"
        ).format(
            sql.SQL(", ").join(
                [
                    sql.SQL("NULL::{} AS {}").format(
                        sql.SQL(column.type.value), sql.Identifier(column.name)
                    )
                    for column in new
                ]
            ),
            qualified(live.schema_name, live.name),
        )
    )
    return replace(seen, view=_VIEW, types=types | {c.name: c.type.value for c in new})


async def _describe(
    connection: Connection, work: Work, judged: Judged, types: dict[str, str]
) -> Foreseen:
    retyped = judged.seen.retyped(work.columns)
    compared = tuple(column for column in work.columns if column.name not in retyped)
    plan = await stage_plan(connection, work, judged, compared=compared)
    by_delta = await _count_delta(connection, plan)
    first_rows, examples = await choose(connection, work, judged, plan, compared=compared)
    way, refusal = await _way(connection, work, judged)
    return Foreseen(
        way=way,
        rows=by_delta if way is Way.DELTA else count_rows(work, judged),
        first_rows=first_rows,
        examples=examples,
        schema_changes=(
            *describe_changes(work.columns, types),
            *_vanished(work, judged.seen),
        ),
        pairing=judged.pairing,
        hand_edit_count=judged.hand_edit_count,
        refusal=refusal,
    )


async def _way(
    connection: Connection, work: Work, judged: Judged
) -> tuple[Way | None, CannotChangeTableError | None]:
    # A view of ours on the table would be in the way of a rewrite.
    await connection.execute("DROP VIEW IF EXISTS pg_temp.live_table")
    try:
        is_rewrite = await is_to_rewrite(connection, work, judged, Means())
    except CannotChangeTableError as error:
        return None, error
    return Way.REWRITE if is_rewrite else Way.DELTA, None


async def _count_delta(connection: Connection, plan: DeltaPlan) -> RowCounts:
    """The counts that `write_delta` would give."""
    row = await (await connection.execute(_COUNT_CHANGED)).fetchone()
    assert row is not None  # noqa: S101 - an aggregate has exactly one row
    inserted = len(plan.arriving) + len(plan.returning_ids)
    return RowCounts(
        inserted=inserted,
        updated=row["rows"],
        deleted=len(plan.leaving),
        unchanged=plan.row_count - inserted - row["rows"],
    )


def _vanished(work: Work, seen: Seen) -> list[str]:
    names = {column.name for column in work.layer.columns}
    return [
        f'column "{column.name}" vanished, its values become NULL'
        for column in work.target.contract
        if column.name in seen.columns_before(work.target.contract) - names
    ]
