"""The locks of a swap: short waits, tried again, that never make anybody a deadlock's victim.

PostgreSQL looks for deadlocks once in each wait, after ``deadlock_timeout``, and ends the session
that looked. So each wait of ours is far shorter than that, and none is begun while another
session's look is due: then no session can find itself in a circle with us (refresh.md 18).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from psycopg import errors, sql

from synctables.importer.apply.columns import Statement, oid_of
from synctables.importer.apply.dependents import Dependents
from synctables.importer.apply.hindered import HinderedError
from synctables.importer.apply.model import Connection
from synctables.importer.apply.rewrite_plan import RewritePlan

WAIT_SECONDS = 0.08
"""How long readers may queue up behind one attempt, all its locks together."""
ATTEMPTS = 25
PAUSE_SECONDS = 0.15
MAINTENANCE_TIMEOUT = "5s"
"""Long enough that PostgreSQL ends an autovacuum that is in the way."""

_DEADLOCK_SECONDS = """
SELECT setting::double precision / 1000 AS seconds FROM pg_settings WHERE name = 'deadlock_timeout'
"""

# Waits whose look for deadlocks falls into our next one, with as much again to be safe.
_LOOKS_DUE = """
SELECT count(*) AS count FROM pg_locks
WHERE NOT granted
  AND clock_timestamp() BETWEEN waitstart + make_interval(secs => %(deadlock)s - 2 * %(wait)s)
                            AND waitstart + make_interval(secs => %(deadlock)s + %(wait)s)
"""


async def keep_maintenance_out(
    connection: Connection, plan: RewritePlan, relation_oid: int
) -> None:
    """Hold off VACUUM, DDL and other swaps; make sure that the name still is the table's."""
    table = sql.SQL(plan.shape.relation.relation)
    await connection.execute(f"SET LOCAL lock_timeout = '{MAINTENANCE_TIMEOUT}'")
    await connection.execute(
        sql.SQL("LOCK TABLE ONLY {} IN SHARE UPDATE EXCLUSIVE MODE").format(table)
    )
    if await oid_of(connection, sql.Identifier(*_names(plan))) != relation_oid:
        raise HinderedError(["Another table has the table's name now."], is_passing=True)


async def keep_writers_out(connection: Connection, plan: RewritePlan) -> None:
    """Hold off whoever writes to the table or to tables whose foreign keys point at it."""
    tables = [plan.shape.relation.relation, *_children(plan.dependents)]
    await _lock(
        connection,
        [
            sql.SQL("LOCK TABLE ONLY {} IN SHARE ROW EXCLUSIVE MODE").format(sql.SQL(table))
            for table in tables
        ],
        "Other sessions are writing to the table or to one that points at it.",
    )


async def keep_readers_out(connection: Connection, plan: RewritePlan) -> None:
    """Hold off everybody until COMMIT: on views outermost first, on children, on the table.

    A view is locked by an ALTER that changes nothing, since LOCK on a view would lock every table
    that it reads. So is a sequence, which LOCK does not know.
    """
    relation = plan.shape.relation.relation
    await _lock(
        connection,
        [
            *(
                sql.SQL(f"ALTER VIEW {view.relation} OWNER TO {view.owner}")
                for view in plan.dependents.views
            ),
            *(
                sql.SQL(f"LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE")
                for table in [*_children(plan.dependents), relation]
            ),
            *(
                sql.SQL(f"ALTER SEQUENCE {sequence.relation} OWNER TO {plan.shape.relation.owner}")
                for sequence in plan.shape.sequences
            ),
        ],
        "Other sessions keep reading the table or a view of it.",
    )


async def _lock(connection: Connection, statements: Sequence[Statement], reason: str) -> None:
    """All these locks within one short wait; else none of them, and again after a pause.

    Raises `HinderedError` with the reason after the last attempt. The savepoint encloses locks
    alone, no write of ours.
    """
    row = await (await connection.execute(_DEADLOCK_SECONDS)).fetchone()
    deadlock = row["seconds"] if row else 1.0
    wait = min(WAIT_SECONDS, deadlock / 4)
    for _ in range(ATTEMPTS):
        if not await _is_look_due(connection, deadlock=deadlock, wait=wait):
            try:
                async with connection.transaction():
                    await _lock_at_once(connection, statements, wait=wait)
            except (errors.LockNotAvailable, errors.DeadlockDetected):
                pass
            else:
                return
        await asyncio.sleep(PAUSE_SECONDS)
    raise HinderedError([reason], is_passing=True)


async def _lock_at_once(
    connection: Connection, statements: Sequence[Statement], *, wait: float
) -> None:
    end = time.monotonic() + wait
    for statement in statements:
        left = max(1, int((end - time.monotonic()) * 1000))
        await connection.execute(f"SET LOCAL lock_timeout = {left}")
        await connection.execute(statement)


async def _is_look_due(connection: Connection, *, deadlock: float, wait: float) -> bool:
    cursor = await connection.execute(_LOOKS_DUE, {"deadlock": deadlock, "wait": wait})
    row = await cursor.fetchone()
    return row is not None and row["count"] > 0


def _children(dependents: Dependents) -> list[str]:
    return sorted({key.child for key in dependents.incoming})


def _names(plan: RewritePlan) -> tuple[str, str]:
    return plan.shape.relation.schema_name, plan.shape.relation.name
