"""A few rows of each kind, for whoever wants to see what a refresh would do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from psycopg import sql

from synctables.importer.apply.find import Seen
from synctables.importer.apply.model import Connection
from synctables.importer.apply.row_layouts import Numbers
from synctables.importer.apply.samples import read_rows
from synctables.importer.apply.staging import STAGED_ROWS, all_names, stage
from synctables.importer.apply.statements import DeltaPlan
from synctables.importer.apply.typed_rows import POSITION
from synctables.importer.apply.work import Judged, Work
from synctables.importer.model import ID_COLUMN, Column, TypedLayer

FIRST_ROWS = 10
EXAMPLES = 3

_CHANGES = """
SELECT "#id" AS id, "#position" AS position, "#mask" AS mask FROM pg_temp.changes
WHERE position('1' IN "#mask") > 0 OR {any}
ORDER BY position('1' IN "#mask") = 0, "#position" LIMIT {limit}
"""

Values = dict[str, Any]
"""JSON values by column."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A row that would be updated: old and new value of each column that differs."""

    id: int
    columns: dict[str, tuple[Any, Any]]


@dataclass(frozen=True, kw_only=True)
class Examples:
    """A few rows of each kind: of the file by row number, of the table by ``cartodb_id``."""

    inserted: dict[int, Values] = field(default_factory=dict)
    updated: tuple[Change, ...] = ()
    deleted: dict[int, Values] = field(default_factory=dict)
    unchanged: dict[int, Values] = field(default_factory=dict)


async def choose(
    connection: Connection,
    work: Work,
    judged: Judged,
    plan: DeltaPlan,
    *,
    compared: tuple[Column, ...],
) -> tuple[dict[int, Values], Examples]:
    """The first rows of the file, and rows of each kind. ``changes`` are those of the plan; its
    ``staged_rows`` are replaced by the rows that are shown."""
    updated = await _updated(connection, work, judged, compared)
    deleted = await _rows_of_table(connection, work, judged.seen, plan.leaving[:EXAMPLES])
    first = np.arange(1, min(plan.row_count, FIRST_ROWS) + 1)
    inserted, unchanged = _inserted(plan), _unchanged(plan, judged)
    positions = np.unique(np.concatenate([first, inserted, unchanged]))
    shown = await rows_of_file(connection, work.layer, work.columns, positions)
    return {int(number): shown[int(number)] for number in first}, Examples(
        inserted={int(number): shown[number] for number in inserted},
        updated=updated,
        deleted=deleted,
        unchanged={int(number): shown[number] for number in unchanged},
    )


async def rows_of_file(
    connection: Connection, layer: TypedLayer, columns: tuple[Column, ...], positions: Numbers
) -> dict[int, Values]:
    """Values of these rows by their position; ``columns`` are those of the table."""
    await stage(connection, layer, positions, columns, on_rows=lambda _: None)
    return await read_rows(
        connection, STAGED_ROWS, _file_types(layer.columns), key=POSITION, numbers=positions
    )


async def _updated(
    connection: Connection, work: Work, judged: Judged, compared: tuple[Column, ...]
) -> tuple[Change, ...]:
    """A few rows that would be updated, and what differs in them."""
    is_retyped = len(compared) < len(work.columns)
    found = await (
        await connection.execute(
            sql.SQL(_CHANGES).format(any=sql.Literal(is_retyped), limit=sql.Literal(EXAMPLES))
        )
    ).fetchall()
    ids = np.array([row["id"] for row in found], np.int64)
    old = await _rows_of_table(connection, work, judged.seen, ids)
    new = await read_rows(
        connection, STAGED_ROWS, _file_types(work.columns),
        key=POSITION, numbers=np.array([row["position"] for row in found], np.int64),
    )  # fmt: skip
    names = all_names(compared)
    changes = []
    for row in found:
        before, after = old[row["id"]], new[row["position"]]
        differing = {name for name, mark in zip(names, row["mask"], strict=True) if mark == "1"}
        differing |= {name for name in after if name not in names and before[name] != after[name]}
        columns = {name: (before[name], after[name]) for name in after if name in differing}
        changes.append(Change(id=row["id"], columns=columns))
    return tuple(changes)


def _inserted(plan: DeltaPlan) -> Numbers:
    return np.sort(np.concatenate([plan.arriving, plan.returning_positions]))[:EXAMPLES]


def _unchanged(plan: DeltaPlan, judged: Judged) -> Numbers:
    """The first rows that nothing is done with."""
    touched = np.unique(
        np.concatenate(
            [
                plan.arriving,
                plan.returning_positions,
                judged.pairs.positions,
                judged.found.healed.positions,
            ]
        )
    )
    likely = np.arange(1, min(plan.row_count, len(touched) + EXAMPLES) + 1)
    return np.setdiff1d(likely, touched)[:EXAMPLES]


async def _rows_of_table(
    connection: Connection, work: Work, seen: Seen, ids: Numbers
) -> dict[int, Values]:
    """Rows as they are, without the columns of others."""
    types = {column.name: seen.types[column.name] for column in work.columns}
    relation = sql.SQL("ONLY {}").format(seen.table)
    return await read_rows(connection, relation, types, key=ID_COLUMN, numbers=ids)


def _file_types(columns: tuple[Column, ...]) -> dict[str, str]:
    return {column.name: column.type.value for column in columns}
