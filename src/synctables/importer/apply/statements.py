"""The statements of a delta: DELETE, UPDATE and INSERT of what differs, and nothing else.

Rows that stay are not touched. A changed row is an UPDATE of its changed columns and keeps its
``cartodb_id``. No savepoint stands round these statements: rows must carry the transaction's own
number (refresh.md 9).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from psycopg import sql

from synctables.catalog.tables import Table
from synctables.importer.apply.census import Census, own_xid
from synctables.importer.apply.columns import qualified, raise_next_id
from synctables.importer.apply.model import Connection
from synctables.importer.apply.row_layouts import Numbers
from synctables.importer.apply.staging import all_names
from synctables.importer.apply.transfer import fetch_packed, send_table
from synctables.importer.model import ID_COLUMN, Column, RowCounts

_MOST_MASKS = 16
"""Statements of their own for so many sets of changed columns; the rest shares one."""

_MAKE_LEAVING = """
CREATE TEMPORARY TABLE leaving ("#id" bigint PRIMARY KEY, "#xid" xid) ON COMMIT DROP
"""

_SEE_LEAVING = """
UPDATE pg_temp.leaving SET "#xid" = stored.xmin
FROM ONLY {table} AS stored WHERE stored.{id} = leaving."#id"
"""

_MAKE_ARRIVING = """
CREATE TEMPORARY TABLE arriving ("#position" bigint, "#id" bigint) ON COMMIT DROP
"""

# In file order, so that ids follow it. Without a sequence of its own the column is counted up.
_NUMBER_ARRIVING = """
UPDATE pg_temp.arriving SET "#id" = numbered.id
FROM (SELECT "#position",
             CASE WHEN sequence IS NULL THEN highest + row_number() OVER (ORDER BY "#position")
                  ELSE nextval(sequence::regclass) END AS id
      FROM (SELECT "#position" FROM pg_temp.arriving WHERE "#id" IS NULL ORDER BY 1) AS waiting,
           pg_get_serial_sequence({name}, {id_name}) AS sequence,
           (SELECT greatest(max({id}), {above}) AS highest FROM ONLY {table}) AS used) AS numbered
WHERE numbered."#position" = arriving."#position"
"""

_DELETE = """
DELETE FROM ONLY {table} AS stored USING pg_temp.leaving
WHERE stored.{id} = leaving."#id" AND stored.xmin = leaving."#xid"
"""

_MASKS = """
SELECT "#mask" AS mask, count(*) AS rows FROM pg_temp.changes
WHERE position('1' IN "#mask") > 0 GROUP BY 1 ORDER BY 2 DESC, 1
"""

_UPDATE = """
UPDATE ONLY {table} AS stored SET {assignments}
FROM pg_temp.changes JOIN pg_temp.staged_rows AS new USING ("#position")
WHERE changes."#mask" = ANY({masks}) AND stored.{id} = changes."#id"
  AND stored.xmin = changes."#xid"
"""

_INSERT = """
INSERT INTO {table} ({id}, {columns}) OVERRIDING SYSTEM VALUE
SELECT arriving."#id", {new_columns}
FROM pg_temp.arriving JOIN pg_temp.staged_rows AS new USING ("#position")
ORDER BY "#position"
"""

_REPLACE_CHANGED = """
INSERT INTO pg_temp.leaving ("#id", "#xid")
SELECT "#id", "#xid" FROM pg_temp.changes WHERE position('1' IN "#mask") > 0
"""

_REPLACED = """
INSERT INTO pg_temp.arriving ("#id", "#position")
SELECT "#id", "#position" FROM pg_temp.changes WHERE position('1' IN "#mask") > 0
"""

_OVERWRITTEN = """
SELECT "#xid"::text::bigint AS xid, count(*) AS rows
FROM (SELECT "#xid" FROM pg_temp.leaving
      UNION ALL
      SELECT "#xid" FROM pg_temp.changes WHERE position('1' IN "#mask") > 0) AS overwritten
GROUP BY 1
"""

_ARRIVED = 'SELECT int8send("#id") || int8send("#position") AS packed FROM pg_temp.arriving'
_PAIR = np.dtype([("id", ">i8"), ("position", ">i8")])


class EditedMeanwhileError(Exception):
    """The table is not as it was when we looked: somebody edited it, or changes what we write."""


@dataclass(frozen=True, kw_only=True)
class DeltaPlan:
    """What is to become of the rows that differ. ``changes`` and ``staged_rows`` are filled."""

    leaving: Numbers
    """Ids to delete."""
    arriving: Numbers
    """Positions to insert under new ids."""
    returning_ids: Numbers
    returning_positions: Numbers
    """Rows that somebody deleted, to insert under the ids that they had."""
    row_count: int
    """Rows of the new version."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """What the statements did."""

    rows: RowCounts
    census: Census
    arrived_ids: Numbers
    arrived_positions: Numbers


async def write_delta(
    connection: Connection,
    live: Table,
    columns: tuple[Column, ...],
    plan: DeltaPlan,
    *,
    census: Census,
) -> Written:
    """Carry the plan out: DELETE, UPDATE, INSERT, in this order, so that unique values may change
    places between rows that go and rows that come. ``census`` is the table's before it.

    Raises `EditedMeanwhileError` when a statement hits another number of rows than planned.
    """
    table = qualified(live.schema_name, live.name)
    await _prepare(connection, table, plan)
    overwritten = await _overwritten(connection)
    masks = await (await connection.execute(_MASKS)).fetchall()
    await _delete(connection, table, expected=len(plan.leaving))
    for group in _groups([row["mask"] for row in masks]):
        expected = sum(row["rows"] for row in masks if row["mask"] in group)
        await _update(connection, table, columns, group, expected=expected)
    arrived = await _insert(connection, table, columns, plan)
    updated = sum(row["rows"] for row in masks)
    return Written(
        rows=RowCounts(
            inserted=len(arrived),
            updated=updated,
            deleted=len(plan.leaving),
            unchanged=plan.row_count - len(arrived) - updated,
        ),
        census=await _census_after(connection, census, overwritten, written=updated + len(arrived)),
        arrived_ids=arrived["id"].astype(np.int64),
        arrived_positions=arrived["position"].astype(np.int64),
    )


async def write_replacing(
    connection: Connection,
    live: Table,
    columns: tuple[Column, ...],
    plan: DeltaPlan,
    *,
    census: Census,
) -> Written:
    """As `write_delta`, but changed rows are deleted and inserted again under the same ids.

    Unique values can then change places between changed rows too (refresh.md 4). Own columns of
    the user's are lost on these rows, so it is for tables without any, and without children.
    """
    table = qualified(live.schema_name, live.name)
    await _prepare(connection, table, plan)
    changed = await connection.execute(_REPLACE_CHANGED)
    await connection.execute(_REPLACED)
    updated = changed.rowcount
    await connection.execute("TRUNCATE pg_temp.changes")
    overwritten = await _overwritten(connection)
    await _delete(connection, table, expected=len(plan.leaving) + updated)
    arrived = await _insert(connection, table, columns, plan, more=updated)
    inserted = len(arrived) - updated
    return Written(
        rows=RowCounts(
            inserted=inserted,
            updated=updated,
            deleted=len(plan.leaving),
            unchanged=plan.row_count - len(arrived),
        ),
        census=await _census_after(connection, census, overwritten, written=len(arrived)),
        arrived_ids=arrived["id"].astype(np.int64),
        arrived_positions=arrived["position"].astype(np.int64),
    )


async def _prepare(connection: Connection, table: sql.Identifier, plan: DeltaPlan) -> None:
    """The temporary tables ``leaving`` and ``arriving``, every row of them with its number."""
    await connection.execute(_MAKE_LEAVING)
    await connection.execute(_MAKE_ARRIVING)
    await send_table(
        connection,
        pa.table({"#id": np.ascontiguousarray(plan.leaving)}),
        into=sql.Identifier("pg_temp", "leaving"),
    )
    ids = np.concatenate([np.zeros(len(plan.arriving), np.int64), plan.returning_ids])
    positions = np.concatenate([plan.arriving, plan.returning_positions])
    await send_table(
        connection,
        pa.table({"#position": positions, "#id": pa.array(ids, mask=ids == 0)}),
        into=sql.Identifier("pg_temp", "arriving"),
    )
    for name in ("leaving", "arriving"):
        await connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier("pg_temp", name)))
    names = {"table": table, "id": sql.Identifier(ID_COLUMN)}
    await connection.execute(sql.SQL(_SEE_LEAVING).format(**names))
    if len(plan.arriving):
        above = int(plan.returning_ids.max(initial=0))
        await raise_next_id(connection, table, above=above)
        await connection.execute(
            sql.SQL(_NUMBER_ARRIVING).format(
                **names,
                above=sql.Literal(above),
                name=sql.Literal(table.as_string(connection)),
                id_name=sql.Literal(ID_COLUMN),
            )
        )


async def _overwritten(connection: Connection) -> Census:
    """How many rows of each transaction are about to be overwritten or deleted."""
    cursor = await connection.execute(_OVERWRITTEN)
    return {row["xid"]: row["rows"] for row in await cursor.fetchall()}


async def _delete(connection: Connection, table: sql.Identifier, *, expected: int) -> None:
    if expected:
        done = await connection.execute(
            sql.SQL(_DELETE).format(table=table, id=sql.Identifier(ID_COLUMN))
        )
        _expect(done.rowcount, expected)


async def _update(
    connection: Connection,
    table: sql.Identifier,
    columns: tuple[Column, ...],
    masks: Sequence[str],
    *,
    expected: int,
) -> None:
    done = await connection.execute(
        sql.SQL(_UPDATE).format(
            table=table,
            id=sql.Identifier(ID_COLUMN),
            assignments=_assignments(all_names(columns), masks),
            masks=sql.Literal(list(masks)),
        )
    )
    _expect(done.rowcount, expected)


async def _insert(
    connection: Connection,
    table: sql.Identifier,
    columns: tuple[Column, ...],
    plan: DeltaPlan,
    *,
    more: int = 0,
) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """Insert what arrives and return its ids and positions."""
    expected = len(plan.arriving) + len(plan.returning_ids) + more
    if not expected:
        return np.empty(0, _PAIR)
    names = all_names(columns)
    done = await connection.execute(
        sql.SQL(_INSERT).format(
            table=table,
            id=sql.Identifier(ID_COLUMN),
            columns=sql.SQL(", ").join(map(sql.Identifier, names)),
            new_columns=sql.SQL(", ").join([sql.Identifier("new", name) for name in names]),
        )
    )
    _expect(done.rowcount, expected)
    return await fetch_packed(connection, sql.SQL(_ARRIVED), _PAIR)


def _groups(masks: Sequence[str]) -> list[list[str]]:
    """Masks that share a statement: the frequent ones have one each."""
    own = [[mask] for mask in masks[:_MOST_MASKS]]
    return [*own, list(masks[_MOST_MASKS:])] if len(masks) > _MOST_MASKS else own


def _assignments(names: Sequence[str], masks: Sequence[str]) -> sql.Composed:
    """SET of the columns that change; where masks differ, the others keep what they have.

    A value that is kept passes through as it is stored: it is not written to TOAST again.
    """
    changed = [
        (index, name)
        for index, name in enumerate(names)
        if any(mask[index] == "1" for mask in masks)
    ]
    if len(masks) == 1:
        template = "{name} = new.{name}"
    else:
        template = (
            "{name} = CASE WHEN substr(changes.\"#mask\", {place}, 1) = '1'"
            " THEN new.{name} ELSE stored.{name} END"
        )
    return sql.SQL(", ").join(
        [
            sql.SQL(template).format(name=sql.Identifier(name), place=sql.Literal(index + 1))
            for index, name in changed
        ]
    )


async def _census_after(
    connection: Connection, before: Census, overwritten: Census, *, written: int
) -> Census:
    after = Counter(before)
    after.subtract(overwritten)
    if written:
        after[await own_xid(connection)] += written
    if any(rows < 0 for rows in after.values()):
        raise EditedMeanwhileError
    return {xid: rows for xid, rows in after.items() if rows}


def _expect(hit: int, expected: int) -> None:
    """A statement that hits another number of rows than planned must not be committed."""
    if hit != expected:
        raise EditedMeanwhileError(f"A statement changed {hit:,} rows where {expected:,} were due.")
