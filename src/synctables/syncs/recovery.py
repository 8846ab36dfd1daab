"""What keeps the clock free of things that died: stalled jobs, lost runs, old records."""

from __future__ import annotations

from datetime import timedelta

import structlog
from procrastinate import App
from procrastinate.exceptions import ConnectorException

from synctables.jobs import AT_ONCE, CHECK_TASK, RUN_TASK, defer_run
from synctables.syncs import repository
from synctables.syncs.repository import Connection
from synctables.syncs.turns import give_forgotten_turns, start_runs

HEARTBEAT_SECONDS = 3.0
STALLED_AFTER_SECONDS = 15.0
"""A worker that was silent for so long is presumed dead; the fence makes that safe."""

GRACE = timedelta(seconds=30)
"""How old a row must be before its missing job counts as lost."""

KEPT_RUNS = timedelta(days=30)
KEPT_JOB_HOURS = 24
KEPT_LOG_ENTRIES = 1000

_LOST_RUNS = """
SELECT runs.id, runs.sync_id FROM runs
WHERE finished_at IS NULL AND NOT waits AND created_at < now() - %(grace)s
  AND NOT EXISTS (
    SELECT FROM procrastinate_jobs AS job
    WHERE job.task_name = %(task)s AND job.args ->> 'run_id' = runs.id::text
      AND job.status IN ('todo', 'doing'))
FOR UPDATE OF runs SKIP LOCKED
"""

# A batch whose job is gone, however that came about: its syncs are idle then, and put back.
_LOST_CHECKS = """
DELETE FROM checks
WHERE created_at < now() - %(grace)s
  AND NOT EXISTS (
    SELECT FROM procrastinate_jobs AS job
    WHERE job.task_name = %(task)s AND job.args ->> 'check_id' = checks.id::text
      AND job.status IN ('todo', 'doing'))
"""

# Something should be at work on these and nothing is: no run that has not ended, no batch. What
# was claimed kept its slot, so it can be put back, and is due again at once.
_IDLE = """
FROM syncs
WHERE state IN ('created', 'queued', 'syncing')
  AND NOT EXISTS (SELECT FROM runs WHERE runs.sync_id = syncs.id AND runs.finished_at IS NULL)
  AND NOT EXISTS (
    SELECT FROM (SELECT claim_id, unnest(sync_ids) AS sync_id FROM checks) AS checked
    WHERE checked.sync_id = syncs.id AND checked.claim_id = syncs.claim_id)
"""
_IDLE_SYNCS = (
    "SELECT id, table_id IS NOT NULL AND run_at <= now() AS can_be_put_back"
    + _IDLE
    + "FOR UPDATE OF syncs SKIP LOCKED"
)
_COUNT_IDLE_SYNCS = "SELECT count(*)" + _IDLE

_PUT_BACK = """
UPDATE syncs SET
    claim_id = NULL, state = CASE WHEN retried_times > 0 THEN 'failure' ELSE 'success' END
WHERE id = ANY(%s)
"""

_TRIM_LOGS = """
DELETE FROM log_entries WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY log_id ORDER BY id DESC) AS age
        FROM log_entries
        WHERE log_id IN (
            SELECT log_id FROM log_entries GROUP BY log_id HAVING count(*) > %(kept)s)) AS numbered
    WHERE age > %(kept)s)
"""

_FORGET_LOGS = """
DELETE FROM log_entries
WHERE NOT EXISTS (SELECT FROM syncs WHERE syncs.log_id = log_entries.log_id)
  AND NOT EXISTS (SELECT FROM runs WHERE runs.log_id = log_entries.log_id)
"""

_FORGET_RUNS = """
DELETE FROM runs WHERE finished_at < %s
  AND id NOT IN (SELECT DISTINCT ON (sync_id) id FROM runs
                 WHERE sync_id IS NOT NULL ORDER BY sync_id, created_at DESC)
"""

log = structlog.get_logger(__name__)


async def retry_stalled_jobs(jobs_app: App) -> int:
    """Queue again what dead workers were doing. Returns how many jobs."""
    stalled = await jobs_app.job_manager.get_stalled_jobs(
        seconds_since_heartbeat=STALLED_AFTER_SECONDS
    )
    retried = 0
    for job in stalled:
        try:
            await jobs_app.job_manager.retry_job(job, retry_at=AT_ONCE)
        except ConnectorException as error:
            # Its twin waits already (queueing lock): the lost-run check will see to this one.
            log.warning("stalled_job_not_retried", job_id=job.id, reason=str(error))
        else:
            retried += 1
            log.warning("stalled_job_retried", job_id=job.id, task=job.task_name)
    return retried


async def requeue_lost_runs(connection: Connection, jobs_app: App, *, at_once: int) -> int:
    """Give a job to runs, and a run to syncs, that should have one and do not.

    Syncs whose claim never became a check or a run, or whose batch lost its job, are put back.
    """
    grace = {"grace": GRACE}
    cursor = await connection.execute(_LOST_RUNS, {**grace, "task": RUN_TASK})
    lost = await cursor.fetchall()
    for row in lost:
        await defer_run(jobs_app, connection, run_id=row["id"], sync_id=row["sync_id"])
    checks = await connection.execute(_LOST_CHECKS, {**grace, "task": CHECK_TASK})
    idle = await (await connection.execute(_IDLE_SYNCS)).fetchall()
    put_back = [row["id"] for row in idle if row["can_be_put_back"]]
    await connection.execute(_PUT_BACK, [put_back])
    runless = [row["id"] for row in idle if not row["can_be_put_back"]]
    for sync_id in runless:
        await repository.mark_queued(connection, sync_id)
    syncs = await repository.get_syncs(connection, runless)
    await start_runs(connection, jobs_app, syncs, at_once=at_once)
    turns = await give_forgotten_turns(connection, jobs_app, at_once=at_once)
    found = {
        "runs": len(lost),
        "checks": checks.rowcount,
        "put_back": len(put_back),
        "syncs": len(runless),
        "turns": turns,
    }
    if any(found.values()):
        # A turn may only be on its way: a worker gives it just after the end of the run before.
        is_loss = any(count for what, count in found.items() if what != "turns")
        (log.warning if is_loss else log.info)("lost_work_found", **found)
    return sum(found.values())


async def count_idle_syncs(connection: Connection) -> int:
    """How many syncs `requeue_lost_runs` would find something to do for; locks none of them."""
    cursor = await connection.execute(_COUNT_IDLE_SYNCS)
    [row] = await cursor.fetchall()
    count: int = row["count"]
    return count


async def forget_old_records(connection: Connection) -> None:
    """Keep a month of runs, and the newest entries of each log that a sync or a run still has."""
    await connection.execute(_FORGET_RUNS, [await repository.read_clock(connection) - KEPT_RUNS])
    await connection.execute(_FORGET_LOGS)
    await connection.execute(_TRIM_LOGS, {"kept": KEPT_LOG_ENTRIES})


async def forget_old_jobs(jobs_app: App) -> None:
    """Keep a day of jobs that failed or were called off; those that succeeded are gone already."""
    await jobs_app.job_manager.delete_old_jobs(
        nb_hours=KEPT_JOB_HOURS,
        include_failed=True,
        include_cancelled=True,
        include_aborted=True,
    )
