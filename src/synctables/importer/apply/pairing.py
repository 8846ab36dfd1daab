"""Which row that comes is a row that goes, changed: so that it keeps its ``cartodb_id``.

By the declared key; else by a key that was found: a column that tells all rows apart in both
versions; else by position in the same gap between unchanged neighbours (refresh.md 1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from psycopg import sql

from synctables.importer.apply.columns import column_definitions
from synctables.importer.apply.model import Connection
from synctables.importer.apply.row_layouts import Numbers
from synctables.importer.apply.row_sets import RowSets
from synctables.importer.apply.staging import find_changes, send_rows, stage
from synctables.importer.apply.transfer import fetch_packed, send_table
from synctables.importer.apply.typed_rows import POSITION
from synctables.importer.model import ID_COLUMN, Column, TypedLayer

_COMING_KEYS = sql.Identifier("pg_temp", "coming_keys")
_PAIR = np.dtype([("id", ">i8"), ("position", ">i8")])
_SAMPLE_ROWS = 500
"""Pairs by which keys are compared, where several tell all rows apart."""

_FORGET = "DROP TABLE IF EXISTS pg_temp.gone, pg_temp.coming_keys"
_MAKE_GONE = 'CREATE TEMPORARY TABLE gone ("#id" bigint PRIMARY KEY) ON COMMIT DROP'

# A key that stands twice on one side, or is NULL, tells no rows apart and pairs none.
_PAIR_BY_KEY = """
SELECT int8send(old."#id") || int8send(new."#position") AS packed
FROM (SELECT {key}, min(gone."#id") AS "#id"
      FROM pg_temp.gone JOIN ONLY {table} AS stored ON stored.{id} = gone."#id"
      GROUP BY {key} HAVING count(*) = 1) AS old
JOIN (SELECT {key}, min("#position") AS "#position"
      FROM pg_temp.coming_keys GROUP BY {key} HAVING count(*) = 1) AS new
  USING ({key})
"""

_COUNT_CHANGED_CELLS = """
SELECT coalesce(sum(length(replace("#mask", '0', ''))), 0) AS cells FROM pg_temp.changes
"""


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Rows that changed: the table's id and the file's position, in parallel."""

    ids: Numbers
    positions: Numbers
    key: str | None = None
    """The detected key by which they were paired."""

    @classmethod
    def of(cls, ids: Numbers, positions: Numbers) -> Pairs:
        """With positions in ascending order."""
        order = np.argsort(positions, kind="stable")
        return cls(ids=ids[order], positions=positions[order])


@dataclass(frozen=True, kw_only=True)
class Versions:
    """The table and the version that is to come, for those who pair rows of both."""

    connection: Connection
    table: sql.Composable
    layer: TypedLayer
    columns: tuple[Column, ...]
    retyped: frozenset[str]
    """Columns whose values cannot be compared: they are of another type in the table."""


async def pair(
    versions: Versions,
    rows: RowSets,
    *,
    gone: Numbers,
    coming: Numbers,
    declared: tuple[str, ...],
    found: tuple[str, ...],
) -> Pairs:
    """Pair rows of ``gone`` (ids) with rows of ``coming`` (positions), each once at most.

    ``declared``: the columns of the declared key, or none. ``found``: columns that tell all rows
    apart in both versions, the best first if one is.
    """
    if not len(gone) or not len(coming):
        return Pairs(ids=np.empty(0, np.int64), positions=np.empty(0, np.int64))
    if declared:
        await _stage_keys(versions, declared, gone, coming)
        return await _pair_by_key(versions, declared)
    if found:
        await _stage_keys(versions, found, gone, coming)
        by_key = [replace(await _pair_by_key(versions, (name,)), key=name) for name in found]
        best = await _best(versions, [pairs for pairs in by_key if len(pairs.ids)])
        if best is not None:
            return best
    return Pairs.of(*rows.pairs_in_gaps(gone, coming))


async def _stage_keys(
    versions: Versions, names: tuple[str, ...], gone: Numbers, coming: Numbers
) -> None:
    connection = versions.connection
    await connection.execute(_FORGET)
    await connection.execute(_MAKE_GONE)
    await send_table(
        connection,
        pa.table({"#id": np.ascontiguousarray(gone)}),
        into=sql.Identifier("pg_temp", "gone"),
    )
    await connection.execute("ANALYZE pg_temp.gone")
    key_columns = tuple(column for column in versions.columns if column.name in names)
    await connection.execute(
        sql.SQL("CREATE TEMPORARY TABLE coming_keys ({} bigint{}) ON COMMIT DROP").format(
            sql.Identifier(POSITION), column_definitions(key_columns)
        )
    )
    await send_rows(
        connection, versions.layer, coming, [column.name for column in key_columns],
        _COMING_KEYS, lambda _: None,
    )  # fmt: skip
    await connection.execute(sql.SQL("ANALYZE {}").format(_COMING_KEYS))


async def _pair_by_key(versions: Versions, key: tuple[str, ...]) -> Pairs:
    statement = sql.SQL(_PAIR_BY_KEY).format(
        key=sql.SQL(", ").join(map(sql.Identifier, key)),
        table=versions.table,
        id=sql.Identifier(ID_COLUMN),
    )
    found = await fetch_packed(versions.connection, statement, _PAIR)
    return Pairs.of(found["id"].astype(np.int64), found["position"].astype(np.int64))


async def _best(versions: Versions, choices: list[Pairs]) -> Pairs | None:
    """The pairs between which the fewest cells differ, by a sample of each."""
    if len(choices) < 2:
        return choices[0] if choices else None
    costs = [await _cells_changed_per_row(versions, pairs) for pairs in choices]
    return choices[int(np.argmin(costs))]


async def _cells_changed_per_row(versions: Versions, pairs: Pairs) -> float:
    # From both ends: rows that lie together are quick to read.
    chosen = np.arange(len(pairs.ids))
    if len(chosen) > _SAMPLE_ROWS:
        chosen = np.concatenate([chosen[: _SAMPLE_ROWS // 2], chosen[-_SAMPLE_ROWS // 2 :]])
    ids, positions = pairs.ids[chosen], pairs.positions[chosen]
    connection = versions.connection
    await stage(connection, versions.layer, positions, versions.columns, on_rows=lambda _: None)
    compared = tuple(c for c in versions.columns if c.name not in versions.retyped)
    await find_changes(connection, versions.table, compared, ids, positions)
    row = await (await connection.execute(_COUNT_CHANGED_CELLS)).fetchone()
    assert row is not None  # noqa: S101 - an aggregate has exactly one row
    return float(row["cells"]) / len(ids)
