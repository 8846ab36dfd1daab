"""How the clock and the queue do: what is overdue, what nobody is at work on, what was left.

The same figures for ``/health``, ``/metrics`` and ``doctor``.
"""

from __future__ import annotations

from dataclasses import dataclass

from synctables.importer.apply.work_schema import list_abandoned_tables
from synctables.jobs import FRESH_HEARTBEAT_SECONDS
from synctables.syncs.recovery import count_idle_syncs
from synctables.syncs.repository import Connection

# Each part follows an index: what has ended is most of every table, and a monitor asks often. A run
# that is under way is late by its own size, and one that waits by its account's others: another
# worker would help neither, so neither is overdue.
_SIGNS = """
SELECT
    (SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo') AS todo,
    (SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing') AS doing,
    (SELECT count(*) FROM procrastinate_jobs WHERE status = 'failed') AS failed,
    (SELECT count(*) FROM procrastinate_jobs AS job
      WHERE job.status = 'doing' AND NOT EXISTS (
        SELECT FROM procrastinate_workers AS worker
        WHERE worker.id = job.worker_id
          AND worker.last_heartbeat > now() - make_interval(secs => %(fresh)s))) AS stalled,
    (SELECT count(*) FROM runs WHERE finished_at IS NULL AND waits) AS waiting,
    (SELECT count(*) FROM procrastinate_workers
      WHERE last_heartbeat > now() - make_interval(secs => %(fresh)s)) AS workers,
    (SELECT round(extract(epoch FROM now() - min(last_heartbeat)), 1)
       FROM procrastinate_workers) AS oldest_heartbeat_seconds,
    round(extract(epoch FROM now() - least(
        (SELECT greatest(run_at, put_off_until) FROM syncs
          WHERE state IN ('success', 'failure') AND greatest(run_at, put_off_until) <= now()
          ORDER BY greatest(run_at, put_off_until) LIMIT 1),
        (SELECT min(run_at) FROM syncs
          WHERE state IN ('created', 'queued') AND run_at <= now() AND NOT EXISTS (
            SELECT FROM runs
            WHERE runs.sync_id = syncs.id AND runs.finished_at IS NULL AND runs.waits)))), 1)
        AS oldest_due_seconds
"""


@dataclass(frozen=True, kw_only=True)
class VitalSigns:
    todo: int
    doing: int
    failed: int
    stalled: int
    """Jobs of workers that gave no sign of life lately; they go again within seconds."""
    waiting: int
    """Runs that wait until their account may have another one at once."""
    workers: int
    oldest_heartbeat_seconds: float | None
    oldest_due_seconds: float | None
    """How long the sync that waits longest for the clock or for a worker does; None: none does."""
    idle_syncs: int
    """Of which something should be under way, and nothing is."""
    abandoned_tables: int
    """In the making by nobody."""


async def read_vital_signs(connection: Connection) -> VitalSigns:
    """All of them, as they are now."""
    cursor = await connection.execute(_SIGNS, {"fresh": FRESH_HEARTBEAT_SECONDS})
    [row] = await cursor.fetchall()
    return VitalSigns(
        **row,
        idle_syncs=await count_idle_syncs(connection),
        abandoned_tables=len(await list_abandoned_tables(connection)),
    )
