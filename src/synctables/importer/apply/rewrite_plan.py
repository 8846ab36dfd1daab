"""The plan of a rewrite: all that is carried to the new table, read before anything is built.

It is text and nothing else. Read again under the locks it must be the same text: that is how the
swap knows that nobody changed anything on the table meanwhile (refresh.md 18).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from synctables.importer.apply.carry import read_carried, read_checks, read_watchers
from synctables.importer.apply.columns import Statement, qualified
from synctables.importer.apply.dependents import Dependents, ForeignKey, View, read_dependents
from synctables.importer.apply.grants import Right, grant_statements, read_rights
from synctables.importer.apply.hindered import HinderedError
from synctables.importer.apply.hindrances import find_hindrances
from synctables.importer.apply.indexes import Index, read_indexes, renamings
from synctables.importer.apply.model import Connection
from synctables.importer.apply.table_shape import Shape, read_shape, sequence_names
from synctables.importer.apply.work_schema import WorkName
from synctables.importer.model import ID_COLUMN

_COUNT_ON = """
SELECT setval({sequence}::regclass, last_value, is_called) FROM {source}
"""

_COUNT_ON_ABOVE = """
SELECT setval({sequence}::regclass, greatest(last_value, {highest}),
              is_called OR last_value <= {highest})
FROM {source}
"""


@dataclass(frozen=True, kw_only=True)
class RewritePlan:
    """What the live table is and has; all statements are by the table's own name."""

    shape: Shape
    indexes: tuple[Index, ...]
    checks: tuple[str, ...]
    dependents: Dependents
    watchers: tuple[str, ...]
    carried: tuple[str, ...]
    rights: tuple[Right, ...]


@asynccontextmanager
async def bare_names(connection: Connection) -> AsyncIterator[None]:
    """An empty ``search_path``, so that PostgreSQL qualifies every name that it prints."""
    cursor = await connection.execute("SELECT current_setting('search_path') AS path")
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - the statement has exactly one row
    await connection.execute("SET LOCAL search_path = ''")
    yield
    await connection.execute("SELECT set_config('search_path', %s, true)", [row["path"]])


async def read_plan(connection: Connection, relation_oid: int) -> RewritePlan:
    """The plan of the table as it is now, inside a transaction.

    Raises `HinderedError` when something on the table cannot be carried.
    """
    async with bare_names(connection):
        shape = await read_shape(connection, relation_oid)
        if shape is None:
            raise HinderedError(["The table is gone."], is_passing=True)
        dependents = await read_dependents(connection, relation_oid)
        reasons = await find_hindrances(connection, relation_oid, dependents)
        indexes = await read_indexes(connection, relation_oid)
        reasons += [
            f"Index {index.name} has a definition that cannot be read."
            for index in indexes
            if index.definition is None
        ]
        if reasons:
            raise HinderedError(reasons)
        return RewritePlan(
            shape=shape,
            indexes=indexes,
            checks=await read_checks(connection, relation_oid),
            dependents=dependents,
            watchers=await read_watchers(connection, relation_oid),
            carried=await read_carried(connection, relation_oid),
            rights=await read_rights(connection, relation_oid),
        )


def swap_statements(
    plan: RewritePlan, work: WorkName, *, ids: NDArray[np.int64]
) -> list[Statement]:
    """Everything between the last lock and COMMIT, in its order.

    The new table is in the live one's schema by then, under its provisional name. The old one is
    dropped as soon as nothing depends on it, which also says that nothing was forgotten: DROP
    without CASCADE refuses otherwise.
    """
    relation = plan.shape.relation
    live = sql.SQL(relation.relation)
    old = qualified(relation.schema_name, f"old_{work.token}")
    new = qualified(relation.schema_name, work.name)
    rename = sql.SQL("ALTER TABLE {} RENAME TO {}")
    return [
        *(_unhook(key) for key in plan.dependents.incoming),
        *_hand_over_sequences(plan, new),
        *_set_sequences(plan, work, highest=int(ids.max()) if len(ids) else 0),
        rename.format(live, sql.Identifier(f"old_{work.token}")),
        rename.format(new, sql.Identifier(relation.name)),
        *(_repoint(view) for view in plan.dependents.views),
        sql.SQL("DROP TABLE {}").format(old),
        *renamings(plan.indexes, work),
        *_rename_sequences(plan, work),
        *_hook(plan),
        *(sql.SQL(statement) for statement in plan.watchers + plan.carried),
        *(sql.SQL(statement) for statement in grant_statements(plan.rights)),
    ]


def validations(plan: RewritePlan) -> list[Statement]:
    """What is left to say of the foreign keys after COMMIT, each in its own transaction."""
    return [
        sql.SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}").format(
            sql.SQL(key.child), sql.Identifier(key.name)
        )
        for key in plan.dependents.foreign_keys
        if key.is_to_here and key.is_validated
    ]


def _unhook(key: ForeignKey) -> Statement:
    return sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(
        sql.SQL(key.child), sql.Identifier(key.name)
    )


def _hook(plan: RewritePlan) -> list[Statement]:
    """Foreign keys to the table, from others and itself; their rows were compared before."""
    statements: list[Statement] = []
    for key in plan.dependents.foreign_keys:
        if not key.is_to_here:
            continue
        statements.append(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}{}").format(
                sql.SQL(key.child),
                sql.Identifier(key.name),
                sql.SQL(key.definition),
                sql.SQL(" NOT VALID" if key.is_validated else ""),
            )
        )
        if key.comment is not None:
            statements.append(
                sql.SQL("COMMENT ON CONSTRAINT {} ON {} IS {}").format(
                    sql.Identifier(key.name), sql.SQL(key.child), sql.Literal(key.comment)
                )
            )
    return statements


def _repoint(view: View) -> Statement:
    """The same definition read anew finds the new table; oid, rights and comments stay."""
    options = ", ".join(view.options)
    return sql.SQL("CREATE OR REPLACE VIEW {}{} AS {}").format(
        sql.SQL(view.relation),
        sql.SQL(f" WITH ({options})" if options else ""),
        sql.SQL(view.definition),
    )


def _hand_over_sequences(plan: RewritePlan, new: sql.Identifier) -> list[Statement]:
    """A serial column's sequence outlives the old table: defaults elsewhere may count on it."""
    return [
        sql.SQL("ALTER SEQUENCE {} OWNED BY {}.{}").format(
            sql.SQL(sequence.relation), new, sql.Identifier(sequence.column_name)
        )
        for sequence in plan.shape.sequences
        if not sequence.is_identity
    ]


def _set_sequences(plan: RewritePlan, work: WorkName, *, highest: int) -> list[Statement]:
    """Identity columns count on from where they were; new ids come above all that are in use."""
    names = sequence_names(plan.shape, work)
    statements: list[Statement] = []
    for sequence in plan.shape.sequences:
        target = sql.SQL(sequence.relation)
        if sequence.is_identity:
            name = names[sequence.column_name]
            target = sql.SQL(f"{_schema(plan)}.{name}")
        elif sequence.column_name != ID_COLUMN:
            continue
        is_of_ids = sequence.column_name == ID_COLUMN
        statements.append(
            sql.SQL(_COUNT_ON_ABOVE if is_of_ids else _COUNT_ON).format(
                sequence=sql.Literal(target.as_string()),
                source=sql.SQL(sequence.relation),
                highest=sql.Literal(highest),
            )
        )
    return statements


def _schema(plan: RewritePlan) -> str:
    return sql.Identifier(plan.shape.relation.schema_name).as_string()


def _rename_sequences(plan: RewritePlan, work: WorkName) -> list[Statement]:
    names = sequence_names(plan.shape, work)
    return [
        sql.SQL("ALTER SEQUENCE {} RENAME TO {}").format(
            qualified(plan.shape.relation.schema_name, names[sequence.column_name]),
            sql.Identifier(sequence.name),
        )
        for sequence in plan.shape.sequences
        if sequence.is_identity
    ]
