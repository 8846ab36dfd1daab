"""The swap: in one transaction the new table takes the live one's place, and all that hangs on it.

Whatever takes time comes before readers must wait: comparing the rows with what they were when the
new ones were sent, foreign keys, the caller's own writes. What is left for the moment in which
nobody can read are changes in the catalogs, sent as one statement.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import structlog
from numpy.typing import NDArray
from psycopg import Error, sql

from synctables.catalog.tables import Table
from synctables.importer.apply.census import Census, read_census
from synctables.importer.apply.columns import be_patient, oid_of, qualified
from synctables.importer.apply.dependents import ForeignKey
from synctables.importer.apply.hindered import HinderedError, hindered_by_database, in_words
from synctables.importer.apply.marks import read_marks
from synctables.importer.apply.model import Connection
from synctables.importer.apply.rewrite_plan import (
    RewritePlan,
    read_plan,
    swap_statements,
    validations,
)
from synctables.importer.apply.swap_locks import (
    keep_maintenance_out,
    keep_readers_out,
    keep_writers_out,
)
from synctables.importer.apply.work_schema import WorkName

Finish: TypeAlias = Callable[[Connection, Table, Census], Awaitable[None]]

# A row that points at one which the new version does not have: what ON DELETE or ON UPDATE asks
# for then, only a delta can do.
_LOST_PARENT = """
SELECT EXISTS (SELECT FROM ONLY {child} AS child
               WHERE {is_set}
                 AND EXISTS (SELECT FROM ONLY {live} AS parent WHERE {is_match})
                 AND NOT EXISTS (SELECT FROM ONLY {new} AS parent WHERE {is_match})) AS is_lost
"""

_ALTERED = "The table was altered while its rows were being written."

log = structlog.get_logger(__name__)


async def swap(
    connection: Connection,
    live: Table,
    plan: RewritePlan,
    work: WorkName,
    *,
    ids: NDArray[np.int64],
    census: Mapping[int, int],
    new_census: Census,
    finish: Finish,
) -> Table:
    """Put the new table in the live one's place. Returns it under the live one's name.

    Raises `HinderedError` when somebody changed the table meanwhile, or a lock is not to be had.
    """
    statements = sql.SQL(";\n").join(swap_statements(plan, work, ids=ids))
    relation = plan.shape.relation
    async with connection.transaction():
        with hindered_by_database():
            await connection.execute("SET LOCAL row_security = off")
            await keep_maintenance_out(connection, plan, live.relation_oid)
            await keep_writers_out(connection, plan)
            marks = await _marks(connection, live, plan)
            await _compare(connection, live, plan, census=census)
            await refuse_lost_parents(connection, plan, work)
            new_oid = await _move(connection, plan, work)
        new = replace(
            live,
            schema_name=relation.schema_name,
            name=relation.name,
            relation_oid=new_oid,
            row_count=len(ids),
        )
        await finish(connection, new, new_census)
        with hindered_by_database():
            await keep_readers_out(connection, plan)
            if await _marks(connection, live, plan) != marks:
                raise HinderedError([_ALTERED], is_passing=True)
            await _take_place(connection, statements)
    await _validate(connection, plan)
    return new


async def refuse_lost_parents(connection: Connection, plan: RewritePlan, work: WorkName) -> None:
    """Raise `HinderedError` where rows of others point at rows that the new table lacks."""
    for key in plan.dependents.foreign_keys:
        if key.is_to_here and await _is_parent_lost(connection, plan, key, work):
            raise HinderedError(
                [f"Foreign key {key.name} of {key.child} points at rows that are gone or changed."]
            )


async def _is_parent_lost(
    connection: Connection, plan: RewritePlan, key: ForeignKey, work: WorkName
) -> bool:
    live = sql.SQL(plan.shape.relation.relation)
    statement = sql.SQL(_LOST_PARENT).format(
        child=work.table if key.is_from_here else sql.SQL(key.child),
        live=live,
        new=work.table,
        is_set=sql.SQL(key.is_set),
        is_match=sql.SQL(key.is_match),
    )
    row = await (await connection.execute(statement)).fetchone()
    return row is not None and bool(row["is_lost"])


async def _compare(
    connection: Connection, live: Table, plan: RewritePlan, *, census: Mapping[int, int]
) -> None:
    """Table and rows must be what they were at the beginning."""
    if await read_plan(connection, live.relation_oid) != plan:
        raise HinderedError([_ALTERED], is_passing=True)
    found = await read_census(connection, sql.SQL(plan.shape.relation.relation))
    if found != dict(census):
        raise HinderedError(
            ["Rows were edited while the new ones were being written."], is_passing=True
        )


async def _marks(connection: Connection, live: Table, plan: RewritePlan) -> tuple[str, ...]:
    others = [view.oid for view in plan.dependents.views]
    others += [sequence.oid for sequence in plan.shape.sequences]
    return await read_marks(connection, live.relation_oid, others=others)


async def _move(connection: Connection, plan: RewritePlan, work: WorkName) -> int:
    """Into the live table's schema, to its owner, with its keys to other tables."""
    relation = plan.shape.relation
    await be_patient(connection)
    await connection.execute(
        sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(
            work.table, sql.Identifier(relation.schema_name)
        )
    )
    new = qualified(relation.schema_name, work.name)
    for key in plan.dependents.outgoing:
        await connection.execute(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                new, sql.Identifier(key.name), sql.SQL(key.definition)
            )
        )
    if relation.is_anothers:
        await connection.execute(
            sql.SQL("ALTER TABLE {} OWNER TO {}").format(new, sql.SQL(relation.owner))
        )
    return await oid_of(connection, new)


async def _take_place(connection: Connection, statements: sql.Composed) -> None:
    """All that happens while nobody can read; what is left then is COMMIT."""
    await connection.execute(statements)


async def _validate(connection: Connection, plan: RewritePlan) -> None:
    """Foreign keys hold since COMMIT; this only takes the mark NOT VALID from them."""
    for statement in validations(plan):
        try:
            async with connection.transaction():
                await be_patient(connection)
                await connection.execute(statement)
        except Error as error:
            if connection.broken:
                raise
            log.warning("foreign_key_not_validated", reason=in_words(error))
