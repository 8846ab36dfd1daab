"""The rows that differ between a table and its new version, and the statements that apply them.

Two temporary tables hold the versions: ``new_rows`` with the file's rows, ``live_rows`` with a
hash of each of the table's. Compared as multisets they give the rows that are ``gone`` and those
that ``come``; a row that goes and one that comes under the same key are one row that changed.
"""

from __future__ import annotations

from collections.abc import Iterable

from psycopg import sql

from synctables.catalog.tables import Table
from synctables.errors import CannotChangeTableError
from synctables.importer.apply.columns import qualified, raise_next_id
from synctables.importer.apply.model import Connection
from synctables.importer.model import (
    GEOMETRY_COLUMN,
    ID_COLUMN,
    WEBMERCATOR_COLUMN,
    Column,
    ColumnType,
    RowCounts,
)

NEW_ROWS = sql.Identifier("pg_temp", "new_rows")
POSITION = "#position"
"""Columns of ours beside the file's carry a "#", which no column name of a table has."""

# Each row's text form names every value exactly: NULL and '' differ, floats print their shortest
# round-trip form, geometries print as hex EWKB. A hash that a file cannot be made to collide with.
_SIGNATURE = "sha256(convert_to(ROW({columns})::text, 'UTF8'))"

_SIGN_NEW_ROWS = """
UPDATE pg_temp.new_rows SET "#signature" = {signature}
"""

_READ_LIVE_ROWS = """
CREATE TEMPORARY TABLE live_rows ON COMMIT DROP AS
SELECT {id} AS "#id", {signature} AS "#signature" FROM ONLY {table}
"""

_FIND_GONE = """
CREATE TEMPORARY TABLE gone ON COMMIT DROP AS
SELECT live."#id"
FROM (SELECT *, row_number() OVER (PARTITION BY "#signature" ORDER BY "#id") AS "#copy"
      FROM pg_temp.live_rows) AS live
LEFT JOIN (SELECT "#signature", count(*) AS copies FROM pg_temp.new_rows GROUP BY 1) AS new
  USING ("#signature")
WHERE live."#copy" > coalesce(new.copies, 0)
"""

_FIND_COMING = """
CREATE TEMPORARY TABLE coming ON COMMIT DROP AS
SELECT new."#position"
FROM (SELECT *, row_number() OVER (PARTITION BY "#signature" ORDER BY "#position") AS "#copy"
      FROM pg_temp.new_rows) AS new
LEFT JOIN (SELECT "#signature", count(*) AS copies FROM pg_temp.live_rows GROUP BY 1) AS live
  USING ("#signature")
WHERE new."#copy" > coalesce(live.copies, 0)
"""

_NO_PAIRS = """
CREATE TEMPORARY TABLE pairs ("#id" bigint, "#position" bigint) ON COMMIT DROP
"""

# A key that stands twice on one side, or is NULL, tells no rows apart and pairs none.
_FIND_PAIRS = """
CREATE TEMPORARY TABLE pairs ON COMMIT DROP AS
SELECT old."#id", new."#position"
FROM (SELECT {key}, min("#id") AS "#id"
      FROM pg_temp.gone JOIN {table} AS stored ON stored.{id} = gone."#id"
      GROUP BY {key} HAVING count(*) = 1) AS old
JOIN (SELECT {key}, min("#position") AS "#position"
      FROM pg_temp.coming JOIN pg_temp.new_rows USING ("#position")
      GROUP BY {key} HAVING count(*) = 1) AS new
  USING ({key})
"""

_DELETE = """
DELETE FROM ONLY {table} AS stored
USING pg_temp.gone
WHERE stored.{id} = gone."#id"
  AND NOT EXISTS (SELECT FROM pg_temp.pairs WHERE pairs."#id" = gone."#id")
"""

_UPDATE = """
UPDATE ONLY {table} AS stored SET {assignments}
FROM pg_temp.pairs JOIN pg_temp.new_rows AS new USING ("#position")
WHERE stored.{id} = pairs."#id"
"""

_INSERT = """
INSERT INTO {table} ({columns})
SELECT {columns}
FROM pg_temp.coming JOIN pg_temp.new_rows USING ("#position")
WHERE NOT EXISTS (SELECT FROM pg_temp.pairs WHERE pairs."#position" = coming."#position")
ORDER BY "#position"
"""

_COUNT = """
SELECT (SELECT count(*) FROM pg_temp.gone) AS gone,
       (SELECT count(*) FROM pg_temp.coming) AS coming,
       (SELECT count(*) FROM pg_temp.pairs) AS pairs
"""

_WATCHERS = """
SELECT 'trigger ' || tgname AS watcher FROM pg_trigger
WHERE tgrelid = %(oid)s::oid AND NOT tgisinternal AND NOT starts_with(tgname, 'synctables_')
UNION ALL
SELECT 'rule ' || rulename FROM pg_rewrite WHERE ev_class = %(oid)s::oid AND rulename <> '_RETURN'
UNION ALL
SELECT 'policy ' || polname FROM pg_policy WHERE polrelid = %(oid)s::oid
"""


async def apply_difference(
    connection: Connection,
    live: Table,
    columns: tuple[Column, ...],
    *,
    key: tuple[str, ...],
    row_count: int,
) -> RowCounts:
    """Make ``live`` equal to ``new_rows``, which hold ``row_count`` rows of these columns.

    DELETE, UPDATE, INSERT in this order, so that unique values may change places between rows
    that go and rows that come. Raises `CannotChangeTableError` when a statement hits another
    number of rows than planned.
    """
    names = {
        "table": qualified(live.schema_name, live.name),
        "id": sql.Identifier(ID_COLUMN),
        "columns": _listed(_all_names(columns)),
        "key": _listed(key),
        "assignments": _assignments(columns),
        "signature": _signature(columns),
    }
    await _find_difference(connection, names, has_key=bool(key))
    row = await (await connection.execute(_COUNT)).fetchone()
    assert row is not None  # noqa: S101 - the statement has exactly one row
    counts = RowCounts(
        deleted=row["gone"] - row["pairs"],
        updated=row["pairs"],
        inserted=row["coming"] - row["pairs"],
        unchanged=row_count - row["coming"],
    )
    await raise_next_id(connection, qualified(live.schema_name, live.name))
    for statement, expected in (
        (_DELETE, counts.deleted),
        (_UPDATE, counts.updated),
        (_INSERT, counts.inserted),
    ):
        done = await connection.execute(sql.SQL(statement).format(**names))
        await _expect(connection, live, hit=done.rowcount, expected=expected)
    return counts


async def _find_difference(
    connection: Connection, names: dict[str, sql.Composable], *, has_key: bool
) -> None:
    steps = (
        (_SIGN_NEW_ROWS, "new_rows"),
        (_READ_LIVE_ROWS, "live_rows"),
        (_FIND_GONE, "gone"),
        (_FIND_COMING, "coming"),
        (_FIND_PAIRS if has_key else _NO_PAIRS, "pairs"),
    )
    for statement, relation in steps:
        await connection.execute(sql.SQL(statement).format(**names))
        await connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier("pg_temp", relation)))


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


def _all_names(columns: Iterable[Column]) -> list[str]:
    return [GEOMETRY_COLUMN, WEBMERCATOR_COLUMN, *(column.name for column in columns)]


def _listed(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _assignments(columns: Iterable[Column]) -> sql.Composed:
    return sql.SQL(", ").join(
        [sql.SQL("{0} = new.{0}").format(sql.Identifier(name)) for name in _all_names(columns)]
    )


def _signature(columns: Iterable[Column]) -> sql.Composed:
    """The hash of a row. Numerics count by value: 1.5 and 1.50 are one row (refresh.md 5)."""
    values = [sql.Identifier(GEOMETRY_COLUMN), sql.Identifier(WEBMERCATOR_COLUMN)]
    form = {ColumnType.NUMERIC: sql.SQL("trim_scale({})")}
    terms = [
        form.get(column.type, sql.SQL("{}")).format(sql.Identifier(column.name))
        for column in columns
    ]
    return sql.SQL(_SIGNATURE).format(columns=sql.SQL(", ").join([*values, *terms]))
