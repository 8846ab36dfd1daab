"""What /metrics tells, read from the database: a few statements, each along an index.

Whatever API process is asked, the answer is the whole service's.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.rows import DictRow

from synctables.syncs.repository import Connection
from synctables.syncs.totals import Total, read_totals
from synctables.syncs.vital_signs import VitalSigns, read_vital_signs

# Counting all of a million syncs takes a second; the planner's own estimate costs nothing, but
# says -1 or little of a table that is young or small, which is counted.
_SYNCS = """
SELECT (SELECT CASE WHEN reltuples > 10000 THEN reltuples::float8
                    ELSE (SELECT count(*) FROM syncs) END
          FROM pg_class WHERE oid = 'synctables.syncs'::regclass) AS estimated,
       (SELECT count(*) FROM syncs
         WHERE state IN ('success', 'failure') AND greatest(run_at, put_off_until) <= now()) AS due
"""
_UNDER_WAY = """
SELECT state AS label, count(*) AS value FROM syncs
WHERE state IN ('created', 'queued', 'syncing') GROUP BY state
"""
_FAILING = """
SELECT coalesce(error_code::text, '') AS label, count(*) AS value FROM syncs
WHERE state = 'failure' GROUP BY error_code
"""
_RUNS = """
SELECT CASE WHEN waits THEN 'waiting' WHEN state = 'pending' THEN 'queued' ELSE 'running' END
           AS label, count(*) AS value
FROM runs WHERE finished_at IS NULL GROUP BY 1
"""
_QUEUES = """
SELECT queue_name AS queue, status::text AS status, count(*) AS value FROM procrastinate_jobs
WHERE status IN ('todo', 'doing') GROUP BY queue_name, status
"""
_HEARTBEATS = """
SELECT id::text AS label, extract(epoch FROM now() - last_heartbeat)::float8 AS value
FROM procrastinate_workers
"""
_CONNECTIONS = """
SELECT application_name AS application, coalesce(state, '') AS state, count(*) AS value
FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'synctables%%'
GROUP BY application_name, coalesce(state, '')
"""
_ACCOUNTS = """
SELECT accounts.name AS account, accounts.plan,
       (SELECT count(*) FROM syncs WHERE account_id = accounts.id) AS syncs,
       (SELECT count(*) FROM runs
         WHERE account_id = accounts.id AND finished_at IS NULL AND NOT waits) AS running,
       (SELECT count(*) FROM runs
         WHERE account_id = accounts.id AND finished_at IS NULL AND waits) AS waiting,
       (SELECT coalesce(sum(size_bytes), 0)::bigint FROM tables
         WHERE account_id = accounts.id) AS storage_bytes
FROM accounts
"""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The service at one moment."""

    estimated_syncs: float
    due_syncs: int
    signs: VitalSigns
    under_way: dict[str, float]
    failing: dict[str, float]
    runs: dict[str, float]
    queues: list[DictRow]
    heartbeat_ages: dict[str, float]
    connections: list[DictRow]
    totals: dict[Total, dict[str, float]]
    accounts: list[DictRow]
    """Empty unless asked for."""


async def measure(connection: Connection, *, with_accounts: bool) -> Measured:
    """All of it, in the caller's transaction."""
    [syncs] = await _rows(connection, _SYNCS)
    return Measured(
        estimated_syncs=syncs["estimated"],
        due_syncs=syncs["due"],
        signs=await read_vital_signs(connection),
        under_way=await _by_label(connection, _UNDER_WAY),
        failing=await _by_label(connection, _FAILING),
        runs=await _by_label(connection, _RUNS),
        queues=await _rows(connection, _QUEUES),
        heartbeat_ages=await _by_label(connection, _HEARTBEATS),
        connections=await _rows(connection, _CONNECTIONS),
        totals=await read_totals(connection),
        accounts=await _rows(connection, _ACCOUNTS) if with_accounts else [],
    )


async def _rows(connection: Connection, statement: str) -> list[DictRow]:
    return await (await connection.execute(statement, {})).fetchall()


async def _by_label(connection: Connection, statement: str) -> dict[str, float]:
    return {row["label"]: row["value"] for row in await _rows(connection, statement)}
