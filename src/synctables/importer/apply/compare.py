"""Full compare: make an existing table equal to the layer by comparing whole rows in SQL.

Until the delta over kept signatures comes, this is how every refresh is applied; after that it is
its fallback and the tests' oracle (refresh.md 12). Rows are compared as a multiset: a row that the
file still has is not touched at all (same ``ctid``, same ``cartodb_id``). Of the others, those that
a declared key pairs are updated and keep their ``cartodb_id``; the rest is deleted and inserted,
all under row locks that no reader waits for.
"""

from __future__ import annotations

from dataclasses import replace

from psycopg import errors, sql

from synctables.catalog.tables import Table, find_table, update_table
from synctables.errors import TableVanishedError
from synctables.importer.apply.columns import (
    alter_table,
    alterations,
    be_patient,
    column_definitions,
    live_types,
    oid_of,
    qualified,
)
from synctables.importer.apply.copying import OnRows, copy_rows
from synctables.importer.apply.difference import NEW_ROWS, POSITION, apply_difference
from synctables.importer.apply.model import Applied, Connection, Target
from synctables.importer.model import (
    GEOMETRY_COLUMN,
    WEBMERCATOR_COLUMN,
    Column,
    TypedLayer,
)


async def compare(
    connection: Connection, layer: TypedLayer, target: Target, live: Table, *, on_rows: OnRows
) -> Applied:
    """Make ``live`` equal to the layer. Columns that vanished from the file stay and become NULL.

    Raises `CannotChangeTableError` when a trigger, rule or policy of the user's changes how many
    rows a statement hits, `LockedTableError` when columns change and the table stays locked,
    `TableVanishedError` when it was dropped since the run began.
    """
    columns = contract_after(layer.columns, target.contract)
    # Another owner's policies must not hide rows from the compare (refresh.md 15).
    await connection.execute("SET LOCAL row_security = off")
    await be_patient(connection)
    await _send_new_rows(connection, layer, columns, on_rows=on_rows)
    live = await _hold(connection, live)
    table = qualified(live.schema_name, live.name)
    changes = alterations(columns, await live_types(connection, live.relation_oid))
    if changes:
        await alter_table(connection, table, changes)
    rows = await apply_difference(
        connection, live, columns, key=_key_of(target, layer), row_count=layer.row_count
    )
    refreshed = replace(live, row_count=layer.row_count)
    await update_table(connection, refreshed)
    return Applied(
        table=refreshed,
        columns=columns,
        rows=rows,
        schema_changes=tuple(change.words for change in changes),
    )


def contract_after(columns: tuple[Column, ...], contract: tuple[Column, ...]) -> tuple[Column, ...]:
    """The layer's columns, then those of the contract that vanished from the file."""
    names = {column.name for column in columns}
    return columns + tuple(column for column in contract if column.name not in names)


async def _hold(connection: Connection, live: Table) -> Table:
    """The table under the name that it has now and keeps until this transaction ends.

    Between the beginning of a run and here lie minutes, in which users rename and replace tables:
    what goes by the name that was known then may be somebody's work by now.
    """
    while True:
        held = await find_table(connection, live.id)
        if held is None:
            raise TableVanishedError(f'The table "{live.name}" was dropped during this run.')
        table = qualified(held.schema_name, held.name)
        try:
            async with connection.transaction():  # encloses the lock alone, no write of ours
                await connection.execute(
                    sql.SQL("LOCK TABLE ONLY {} IN ROW EXCLUSIVE MODE").format(table)
                )
        except (errors.UndefinedTable, errors.InvalidSchemaName, errors.WrongObjectType):
            continue  # renamed or replaced between the two statements
        if await oid_of(connection, table) == held.relation_oid:
            return held


async def _send_new_rows(
    connection: Connection, layer: TypedLayer, columns: tuple[Column, ...], *, on_rows: OnRows
) -> None:
    await connection.execute(
        sql.SQL(
            'CREATE TEMPORARY TABLE new_rows ("#position" bigint, "#signature" bytea,'
            " {} geometry(Geometry, 4326), {} geometry(Geometry, 3857){}) ON COMMIT DROP"
        ).format(
            sql.Identifier(GEOMETRY_COLUMN),
            sql.Identifier(WEBMERCATOR_COLUMN),
            column_definitions(columns),
        )
    )
    await copy_rows(
        connection,
        layer,
        into=NEW_ROWS,
        number_column=POSITION,
        is_frozen=True,
        on_rows=on_rows,
    )


def _key_of(target: Target, layer: TypedLayer) -> tuple[str, ...]:
    """The columns of the declared key, named by column or by field; none unless all are there."""
    names = {column.field: column.name for column in layer.columns}
    names |= {column.name: column.name for column in layer.columns}
    key = tuple(names[name] for name in target.key_columns if name in names)
    return key if len(key) == len(target.key_columns) else ()
