"""Full compare: make an existing table equal to the layer by comparing whole rows in SQL.

Until the delta over kept signatures comes, this is how every refresh is applied; after that it is
its fallback and the tests' oracle (refresh.md 12). Rows are compared as a multiset: a row that the
file still has is not touched at all (same ``ctid``, same ``cartodb_id``); the others are deleted,
and rows that are new in the file are inserted, all under row locks that no reader waits for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from psycopg import errors, sql

from synctables.catalog.tables import Table, find_table, update_table
from synctables.errors import CannotChangeTableError, TableVanishedError
from synctables.importer.apply.columns import (
    alter_table,
    alterations,
    be_patient,
    column_definitions,
    live_types,
    qualified,
)
from synctables.importer.apply.copying import OnRows, copy_rows
from synctables.importer.apply.model import Applied, Connection, Target
from synctables.importer.model import (
    GEOMETRY_COLUMN,
    ID_COLUMN,
    WEBMERCATOR_COLUMN,
    Column,
    ColumnType,
    RowCounts,
    TypedLayer,
)

_NEW_ROWS = sql.Identifier("pg_temp", "new_rows")
_LIVE_ROWS = sql.Identifier("pg_temp", "live_rows")

# Columns of ours beside the file's carry a "#", which no column name of a table has.
# Each row's text form names every value exactly: NULL and '' differ, floats print their shortest
# round-trip form, geometries print as hex EWKB. A hash that a file cannot be made to collide with.
_SIGNATURE = "sha256(convert_to(ROW({columns})::text, 'UTF8'))"

_READ_LIVE_ROWS = """
CREATE TEMPORARY TABLE live_rows ON COMMIT DROP AS
SELECT {id} AS id, "#signature",
       row_number() OVER (PARTITION BY "#signature" ORDER BY {id}) AS "#copy"
FROM (SELECT {id}, {signature} AS "#signature" FROM ONLY {table}) AS live
"""

_COUNT_SURPLUS = """
SELECT count(*) AS count
FROM {live_rows} AS live
LEFT JOIN (SELECT "#signature", count(*) AS copies FROM {new_rows} GROUP BY "#signature") AS new
  USING ("#signature")
WHERE live."#copy" > coalesce(new.copies, 0)
"""

_DELETE_SURPLUS = """
DELETE FROM ONLY {table} AS stored
USING {live_rows} AS live
LEFT JOIN (SELECT "#signature", count(*) AS copies FROM {new_rows} GROUP BY "#signature") AS new
  USING ("#signature")
WHERE stored.{id} = live.id AND live."#copy" > coalesce(new.copies, 0)
"""

_COUNT_MISSING = """
SELECT count(*) AS count
FROM (SELECT "#signature",
             row_number() OVER (PARTITION BY "#signature" ORDER BY "#position") AS "#copy"
      FROM {new_rows}) AS new
LEFT JOIN (SELECT "#signature", count(*) AS copies FROM {live_rows} GROUP BY "#signature") AS live
  USING ("#signature")
WHERE new."#copy" > coalesce(live.copies, 0)
"""

_INSERT_MISSING = """
INSERT INTO {table} ({columns})
SELECT {columns}
FROM (SELECT *, row_number() OVER (PARTITION BY "#signature" ORDER BY "#position") AS "#copy"
      FROM {new_rows}) AS new
LEFT JOIN (SELECT "#signature", count(*) AS copies FROM {live_rows} GROUP BY "#signature") AS live
  USING ("#signature")
WHERE new."#copy" > coalesce(live.copies, 0)
ORDER BY "#position"
"""

_RAISE_NEXT_ID = """
SELECT setval(sequence, max({id}))
FROM {table}, pg_get_serial_sequence({name}, {id_name}) AS sequence
WHERE sequence IS NOT NULL
GROUP BY sequence
HAVING max({id}) > coalesce(pg_sequence_last_value(sequence::regclass), 0)
"""

_WATCHERS = """
SELECT 'trigger ' || tgname AS watcher FROM pg_trigger
WHERE tgrelid = %(oid)s::oid AND NOT tgisinternal
UNION ALL
SELECT 'rule ' || rulename FROM pg_rewrite WHERE ev_class = %(oid)s::oid AND rulename <> '_RETURN'
UNION ALL
SELECT 'policy ' || polname FROM pg_policy WHERE polrelid = %(oid)s::oid
"""


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
    rows = await _apply_difference(connection, live, columns, layer.row_count)
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
        cursor = await connection.execute(
            "SELECT %s::regclass::oid::bigint AS oid", [table.as_string(connection)]
        )
        row = await cursor.fetchone()
        if row is not None and row["oid"] == held.relation_oid:
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
        into=_NEW_ROWS,
        number_column="#position",
        is_frozen=True,
        on_rows=on_rows,
    )
    await connection.execute(
        sql.SQL('UPDATE {} SET "#signature" = {}').format(_NEW_ROWS, _signature(columns))
    )


async def _apply_difference(
    connection: Connection, live: Table, columns: tuple[Column, ...], row_count: int
) -> RowCounts:
    names = {
        "table": qualified(live.schema_name, live.name),
        "id": sql.Identifier(ID_COLUMN),
        "columns": _names(columns),
        "signature": _signature(columns),
        "live_rows": _LIVE_ROWS,
        "new_rows": _NEW_ROWS,
    }
    await connection.execute(sql.SQL(_READ_LIVE_ROWS).format(**names))
    for relation in (_LIVE_ROWS, _NEW_ROWS):
        await connection.execute(sql.SQL("ANALYZE {}").format(relation))
    surplus = await _count(connection, sql.SQL(_COUNT_SURPLUS).format(**names))
    missing = await _count(connection, sql.SQL(_COUNT_MISSING).format(**names))
    await _raise_next_id(connection, live)
    deleted = await connection.execute(sql.SQL(_DELETE_SURPLUS).format(**names))
    await _expect(connection, live, hit=deleted.rowcount, expected=surplus)
    inserted = await connection.execute(sql.SQL(_INSERT_MISSING).format(**names))
    await _expect(connection, live, hit=inserted.rowcount, expected=missing)
    return RowCounts(inserted=missing, deleted=surplus, unchanged=row_count - missing)


async def _raise_next_id(connection: Connection, live: Table) -> None:
    """New rows get ids above every id in use, also those that users inserted themselves."""
    relation = qualified(live.schema_name, live.name)
    await connection.execute(
        sql.SQL(_RAISE_NEXT_ID).format(
            id=sql.Identifier(ID_COLUMN),
            table=relation,
            name=sql.Literal(relation.as_string(connection)),
            id_name=sql.Literal(ID_COLUMN),
        )
    )


async def _count(connection: Connection, statement: sql.Composed) -> int:
    row = await (await connection.execute(statement)).fetchone()
    return int(row["count"]) if row else 0


async def _expect(connection: Connection, live: Table, *, hit: int, expected: int) -> None:
    """A statement that hits another number of rows than planned must not be committed."""
    if hit == expected:
        return
    cursor = await connection.execute(_WATCHERS, {"oid": live.relation_oid})
    watchers = ", ".join(row["watcher"] for row in await cursor.fetchall())
    raise CannotChangeTableError(
        f"A statement changed {hit:,} rows of {live.name} where {expected:,} were due. "
        + (f"On the table: {watchers}." if watchers else "Another session edited it meanwhile.")
    )


def _names(columns: Iterable[Column]) -> sql.Composed:
    names = [GEOMETRY_COLUMN, WEBMERCATOR_COLUMN, *(column.name for column in columns)]
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _signature(columns: Iterable[Column]) -> sql.Composed:
    """The hash of a row. Numerics count by value: 1.5 and 1.50 are one row (refresh.md 5)."""
    values = [sql.Identifier(GEOMETRY_COLUMN), sql.Identifier(WEBMERCATOR_COLUMN)]
    form = {ColumnType.NUMERIC: sql.SQL("trim_scale({})")}
    terms = [
        form.get(column.type, sql.SQL("{}")).format(sql.Identifier(column.name))
        for column in columns
    ]
    return sql.SQL(_SIGNATURE).format(columns=sql.SQL(", ").join([*values, *terms]))
