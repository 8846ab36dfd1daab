"""The indexes of a live table, and the constraints they stand for, built on a new table.

Indexes get provisional names, since names of indexes are the schema's; two connections build them
at once (refresh.md 17).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from synctables.importer.apply.columns import Statement
from synctables.importer.apply.hindered import hindered_by_database
from synctables.importer.apply.model import Connection
from synctables.importer.apply.work_tables import WorkName

# The definition without its beginning, which names index and table. The slow ones come first.
_INDEXES = """
SELECT index.relname AS name, index.relnamespace::regnamespace::text AS schema_name,
       indisunique AS is_unique,
       CASE WHEN starts_with(pg_get_indexdef(index.oid), beginning)
            THEN substr(pg_get_indexdef(index.oid), length(beginning)) END AS definition,
       space.spcname AS tablespace,
       "constraint".contype::text AS constraint_type,
       CASE WHEN indisexclusion THEN pg_get_constraintdef("constraint".oid) END AS exclusion,
       coalesce("constraint".condeferrable, false) AS is_deferrable,
       coalesce("constraint".condeferred, false) AS is_deferred
FROM pg_index
JOIN pg_class AS index ON index.oid = indexrelid
JOIN pg_am AS access ON access.oid = index.relam
LEFT JOIN pg_tablespace AS space ON space.oid = index.reltablespace
LEFT JOIN pg_constraint AS "constraint"
  ON "constraint".conindid = index.oid AND "constraint".conrelid = indrelid
 AND "constraint".contype IN ('p', 'u', 'x'),
     format('CREATE %%sINDEX %%I ON %%s USING ', CASE WHEN indisunique THEN 'UNIQUE ' END,
            index.relname, indrelid::regclass) AS beginning
WHERE indrelid = %(oid)s::oid
ORDER BY access.amname = 'btree', index.oid
"""


@dataclass(frozen=True, kw_only=True)
class Index:
    """``definition`` begins after ``ON table USING``; None where it cannot be told apart."""

    name: str
    schema_name: str
    is_unique: bool
    definition: str | None
    tablespace: str | None
    constraint_type: str | None
    exclusion: str | None
    is_deferrable: bool
    is_deferred: bool


async def read_indexes(connection: Connection, relation_oid: int) -> tuple[Index, ...]:
    """The table's indexes. Needs an empty ``search_path``."""
    cursor = await connection.execute(_INDEXES, {"oid": relation_oid})
    return tuple(Index(**row) for row in await cursor.fetchall())


def index_statement(index: Index, table: sql.Composable, name: str) -> Statement:
    return sql.SQL("CREATE {}INDEX {} ON {} USING{}").format(
        sql.SQL("UNIQUE " if index.is_unique else ""),
        sql.Identifier(name),
        table,
        sql.SQL(index.definition or ""),
    )


def constraint_action(index: Index, name: str) -> Statement | None:
    """ALTER TABLE's action that makes the constraint of a built index; None where it has none."""
    if index.exclusion:
        return sql.SQL("ADD CONSTRAINT {} {}").format(
            sql.Identifier(name), sql.SQL(index.exclusion)
        )
    if index.constraint_type is None:
        return None
    return sql.SQL("ADD CONSTRAINT {0} {1} USING INDEX {0}{2}{3}").format(
        sql.Identifier(name),
        sql.SQL("PRIMARY KEY" if index.constraint_type == "p" else "UNIQUE"),
        sql.SQL(" DEFERRABLE" if index.is_deferrable else ""),
        sql.SQL(" INITIALLY DEFERRED" if index.is_deferred else ""),
    )


async def build_indexes(
    connections: Sequence[Connection], indexes: tuple[Index, ...], work: WorkName
) -> None:
    """Build all, as many at once as there are connections; then make their constraints."""
    names = provisional_names(indexes, work)
    waiting = deque(index for index in indexes if not index.exclusion)
    results = await asyncio.gather(
        *(_build(connection, waiting, names, work) for connection in connections),
        return_exceptions=True,
    )
    for result in results:
        if isinstance(result, BaseException):
            raise result
    for index in indexes:
        if action := constraint_action(index, names[index.name]):
            await _execute(
                connections[0],
                sql.SQL("ALTER TABLE {} {}").format(work.table, action),
                tablespace=index.tablespace,
            )


def provisional_names(indexes: tuple[Index, ...], work: WorkName) -> dict[str, str]:
    """The name under which each index is built, by the name that it will have."""
    return {index.name: work.part("index", number) for number, index in enumerate(indexes)}


def renamings(indexes: tuple[Index, ...], work: WorkName) -> list[Statement]:
    """Statements that give the indexes their names; constraints are renamed with theirs."""
    return [
        sql.SQL("ALTER INDEX {}.{} RENAME TO {}").format(
            sql.SQL(index.schema_name), sql.Identifier(provisional), sql.Identifier(index.name)
        )
        for index in indexes
        for provisional in [provisional_names(indexes, work)[index.name]]
    ]


async def _build(
    connection: Connection, waiting: deque[Index], names: dict[str, str], work: WorkName
) -> None:
    while waiting:
        index = waiting.popleft()
        statement = index_statement(index, work.table, names[index.name])
        try:
            await _execute(connection, statement, tablespace=index.tablespace)
        except BaseException:
            waiting.clear()  # the table will not be used: the other connection need not go on
            raise


async def _execute(connection: Connection, statement: Statement, *, tablespace: str | None) -> None:
    """One statement in a transaction of its own; the tablespace is that of the index it makes."""
    with hindered_by_database():
        async with connection.transaction():
            await connection.execute(
                "SELECT set_config('default_tablespace', %s, true)", [tablespace or ""]
            )
            await connection.execute(statement)
