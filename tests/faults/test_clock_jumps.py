"""A worker's clock is set by a day, in the middle of a run: it is the database's that counts."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from synctables.syncs import service
from tests.support.aftermath import assert_recovers
from tests.support.cities import NEW, OLD, PATH, begin_run
from tests.support.file_server import FileServer
from tests.support.stopping_worker import Accident, stopping_worker
from tests.support.workers import Desk
from tests.support.workload import make_due

SUCCESSES = "SELECT count(*) FROM runs WHERE state = 'complete'"
TYPING = "after synctables.syncs.recorder:RunRecorder.stage infer"
DIE = """
WITH dead AS (
    INSERT INTO procrastinate_workers (last_heartbeat)
    VALUES (now() - interval '10 minutes') RETURNING id)
UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM dead)
WHERE task_name = 'synctables.run' AND status = 'todo'
"""
"""A worker took the run and was not heard of again."""


@pytest.mark.parametrize("accident", [Accident.A_DAY_AHEAD, Accident.A_DAY_BACK])
async def test_the_clock_jumps(
    desk: Desk, file_server: FileServer, database_url: str, short_dir: Path, accident: Accident
) -> None:
    """The run ends, its next slot is right, what is due is found, what was lost is retried."""
    with stopping_worker(database_url, short_dir, point=TYPING, accident=accident, way="delta"):
        sync_id, run_id = await begin_run(desk, file_server, old=OLD)
        run = await desk.wait_for(run_id)
        assert run.error_code is None
        ((now,),) = await desk.rows("SELECT now()")
        assert timedelta() < (await desk.sync(sync_id)).run_at - now <= timedelta(hours=1)
        await assert_recovers(desk, sync_id, new=NEW, data_dirs=[short_dir])

        await assert_found_when_due(desk, file_server, sync_id)
        await assert_recovers(desk, sync_id, new=OLD, vanished=["mayor"], data_dirs=[short_dir])
        await assert_retried(desk, sync_id)
        await assert_recovers(desk, sync_id, new=OLD, vanished=["mayor"], data_dirs=[short_dir])


async def assert_found_when_due(desk: Desk, file_server: FileServer, sync_id: UUID) -> None:
    file_server.put(PATH, OLD, etag='"3"')
    before = await desk.rows(SUCCESSES)
    await make_due(desk, sync_id)

    async def has_run() -> bool | None:
        return await desk.rows(SUCCESSES) != before or None

    await desk.until(has_run)


async def assert_retried(desk: Desk, sync_id: UUID) -> None:
    """The job and the death of who took it are one transaction: nobody takes it in between."""
    before = await desk.rows(SUCCESSES)
    async with desk.pool.connection() as connection:
        forced = await service.force_sync(
            connection,
            desk.jobs_app,
            account_id=desk.account.id,
            sync_id=sync_id,
            accept=(),
            limits=desk.limits,
        )
        assert forced.enqueued
        await connection.execute(DIE)

    async def has_run() -> bool | None:
        return await desk.rows(SUCCESSES) != before or None

    await desk.until(has_run)
