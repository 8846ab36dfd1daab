"""rewrite: a complete new table beside the live one, and a short swap (refresh.md 17-19).

It pays where a column's type changed or many rows did. Ids stay with the rows that the caller says
they belong to, values of users' own columns with them. Everything that hangs on the table is made
anew on the new one, or re-pointed; where that cannot be done exactly, nothing is done at all.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from synctables.catalog.tables import Table
from synctables.db.pool import autocommit, session_of_users
from synctables.importer.apply.census import Census, own_xid
from synctables.importer.apply.columns import oid_of
from synctables.importer.apply.copying import OnRows, copy_rows
from synctables.importer.apply.grants import read_rights, revocations
from synctables.importer.apply.hindered import HinderedError, hindered_by_database
from synctables.importer.apply.indexes import build_indexes
from synctables.importer.apply.model import Connection
from synctables.importer.apply.own_values import fetch_own_values
from synctables.importer.apply.rehearsal import rehearse
from synctables.importer.apply.rewrite_plan import RewritePlan, bare_names, read_plan
from synctables.importer.apply.swap import Finish, refuse_lost_parents, swap
from synctables.importer.apply.table_shape import columns_after, create_statements
from synctables.importer.apply.work_schema import WorkName, table_in_the_making
from synctables.importer.model import ID_COLUMN, Column, TypedLayer

__all__ = ["HinderedError", "hindrances", "rewrite"]

Pool = AsyncConnectionPool[AsyncConnection[DictRow]]


async def rewrite(
    pool: Pool,
    layer: TypedLayer,
    live: Table,
    *,
    columns: tuple[Column, ...],
    ids: NDArray[np.int64],
    census: Mapping[int, int],
    finish: Finish,
    on_rows: OnRows,
) -> Table:
    """Replace the live table by a new one that holds the layer. Returns it, with its new oid.

    ``columns`` are the layer's, then those that vanished from the file, NULL in every row. ``ids``
    has the ``cartodb_id`` of each row of the layer, in file order. ``census`` is the live table's
    at the time when the ids were decided. ``finish`` is called once, in the transaction of the
    swap, after everything that can fail for long and before readers are held off: the new table
    has its oid, columns and rows by then, but its name only at COMMIT, so ask for it by oid.

    Raises `HinderedError` when something cannot be carried exactly, somebody changed the table
    meanwhile, or a lock is not to be had; nothing is left then.
    """
    async with (
        session_of_users(pool) as connection,
        autocommit(connection),
        table_in_the_making(connection) as name,
    ):
        work = WorkName(name=name)
        with hindered_by_database():
            async with connection.transaction():
                plan = await read_plan(connection, live.relation_oid)
            new_census = await _fill(
                connection, layer, plan, work, columns=columns, ids=ids, on_rows=on_rows
            )
            await refuse_lost_parents(connection, plan, work)
        await _index(pool, connection, plan, work)
        return await swap(
            connection,
            live,
            plan,
            work,
            ids=ids,
            census=census,
            new_census=new_census,
            finish=finish,
        )


async def hindrances(
    connection: Connection, live: Table, changed_types: Mapping[str, str]
) -> list[str]:
    """Why a rewrite cannot be done, as sentences that name the objects; empty where it can.

    ``changed_types`` are new types by column name. Reads catalogs; where types change, it also
    makes an empty table of them, with all that hangs on it, and undoes it.
    """
    async with connection.transaction(force_rollback=True):
        try:
            with hindered_by_database():
                plan = await read_plan(connection, live.relation_oid)
                _refuse_own_columns_without_binary_form(plan, ())
                if changed_types:
                    return await rehearse(connection, plan, changed_types)
        except HinderedError as error:
            return list(error.reasons)
    return []


async def _fill(
    connection: Connection,
    layer: TypedLayer,
    plan: RewritePlan,
    work: WorkName,
    *,
    columns: tuple[Column, ...],
    ids: NDArray[np.int64],
    on_rows: OnRows,
) -> Census:
    """CREATE and COPY in one transaction, so that the rows are frozen: any snapshot sees them."""
    own = plan.shape.own_columns(columns)
    _refuse_own_columns_without_binary_form(plan, columns)
    beside = layer.path.with_name(f"{work.name}.parquet") if own else None
    try:
        if beside:
            async with connection.transaction():
                await connection.execute("SET LOCAL row_security = off")
                await fetch_own_values(connection, plan.shape, own, ids, beside)
        async with connection.transaction():
            await _create(connection, plan, work, columns)
            await copy_rows(
                connection,
                layer,
                into=work.table,
                number_column=ID_COLUMN,
                is_frozen=True,
                on_rows=on_rows,
                numbers=ids,
                beside=beside,
            )
            if plan.checks:
                await connection.execute(
                    sql.SQL("ALTER TABLE {} {}").format(
                        work.table, sql.SQL(", ").join([sql.SQL(check) for check in plan.checks])
                    )
                )
            return {await own_xid(connection): layer.row_count} if layer.row_count else {}
    finally:
        if beside:
            beside.unlink(missing_ok=True)


async def _create(
    connection: Connection, plan: RewritePlan, work: WorkName, columns: tuple[Column, ...]
) -> None:
    """The empty table, without the rights that default privileges gave it."""
    await connection.execute("SET LOCAL default_tablespace = ''")
    for statement in create_statements(plan.shape, columns_after(plan.shape, columns), work):
        await connection.execute(statement)
    oid = await oid_of(connection, work.table)
    async with bare_names(connection):
        rights = await read_rights(connection, oid)
    for revocation in revocations(rights):
        await connection.execute(sql.SQL(revocation))


async def _index(pool: Pool, connection: Connection, plan: RewritePlan, work: WorkName) -> None:
    """All indexes, then statistics: the first query after the swap is to be planned well."""
    async with session_of_users(pool) as second, autocommit(second):
        await build_indexes([connection, second], plan.indexes, work)
    await connection.execute(sql.SQL("ANALYZE {}").format(work.table))


def _refuse_own_columns_without_binary_form(plan: RewritePlan, columns: tuple[Column, ...]) -> None:
    reasons = [
        f'Column "{column.name}" has the type {column.type}, which has no binary form.'
        for column in plan.shape.own_columns(columns)
        if column.send is None
    ]
    if reasons:
        raise HinderedError(reasons)
