"""The bodies of the queue's tasks, a few lines each."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from uuid import UUID

from procrastinate import App, BaseRetryStrategy, RetryDecision
from procrastinate.exceptions import JobAborted
from procrastinate.jobs import Job

from synctables.datasources.drives.consents import forget_old_consents
from synctables.importer.apply.edits import fold_edits
from synctables.importer.apply.work_schema import sweep_work_schema
from synctables.importer.workspace_owners import sweep_workspaces
from synctables.jobs import (
    AT_ONCE,
    CHECK_QUEUE,
    CHECK_TASK,
    CLAIM_TASK,
    CLOCK_QUEUE,
    PREVIEW_QUEUE,
    PREVIEW_TASK,
    RECOVER_TASK,
    RUN_QUEUE,
    RUN_TASK,
    SWEEP_TASK,
)
from synctables.syncs.checks import carry_out_check
from synctables.syncs.claims import queue_due_syncs
from synctables.syncs.preview_runs import carry_out_preview, forget_previews
from synctables.syncs.recovery import (
    forget_old_jobs,
    forget_old_records,
    requeue_lost_runs,
    retry_stalled_jobs,
)
from synctables.syncs.runs import Workshop, carry_out
from synctables.syncs.turns import give_turns

CLAIM_BATCH = 5000
CLAIM_SECONDS = 1.5
"""As long as more is due, the clock goes on claiming for so long, each time a transaction."""

EVERY_TWO_SECONDS = "* * * * * */2"
EVERY_FIVE_SECONDS = "* * * * * */5"
EVERY_HOUR = "17 * * * *"


class HandBack(BaseRetryStrategy):
    """A job that a shutdown interrupts goes back into the queue at once."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, asyncio.CancelledError | JobAborted):
            return RetryDecision(retry_at=AT_ONCE)
        return None


def register_tasks(app: App, workshop: Workshop) -> None:
    """Give the queue's task names their bodies, in a process that works."""
    at_once = workshop.settings.runs_per_account

    @app.task(name=RUN_TASK, queue=RUN_QUEUE, retry=HandBack())
    async def run(run_id: str) -> None:
        account_id = await carry_out(UUID(run_id), workshop)
        if account_id is not None:
            async with workshop.pool.connection() as connection:
                await give_turns(connection, app, [account_id], at_once=at_once)

    @app.task(name=CHECK_TASK, queue=CHECK_QUEUE, retry=HandBack())
    async def check(check_id: str) -> None:
        await carry_out_check(UUID(check_id), workshop, app)

    @app.task(name=PREVIEW_TASK, queue=PREVIEW_QUEUE, retry=HandBack())
    async def preview(preview_id: str) -> None:
        await carry_out_preview(UUID(preview_id), workshop)

    @app.periodic(cron=EVERY_TWO_SECONDS, queueing_lock=CLAIM_TASK)
    @app.task(name=CLAIM_TASK, queue=CLOCK_QUEUE, lock=CLAIM_TASK)
    async def claim_due(timestamp: int) -> None:
        ends_at = time.monotonic() + CLAIM_SECONDS
        is_more_due = True
        while is_more_due and time.monotonic() < ends_at:
            async with workshop.pool.connection() as connection:
                claimed = await queue_due_syncs(
                    connection, app, limit=CLAIM_BATCH, runs_at_once=at_once
                )
            is_more_due = claimed.count == CLAIM_BATCH

    @app.periodic(cron=EVERY_FIVE_SECONDS, queueing_lock=RECOVER_TASK)
    @app.task(name=RECOVER_TASK, queue=CLOCK_QUEUE)
    async def recover(timestamp: int) -> None:
        has_died = await retry_stalled_jobs(app) > 0
        async with workshop.pool.connection() as connection:
            await requeue_lost_runs(connection, app, at_once=at_once)
        if has_died:
            await asyncio.to_thread(sweep_workspaces, workshop.workspaces.parent)
            async with workshop.pool.connection() as connection:
                await sweep_work_schema(connection)

    @app.periodic(cron=EVERY_HOUR, queueing_lock=SWEEP_TASK)
    @app.task(name=SWEEP_TASK, queue=CLOCK_QUEUE)
    async def sweep(timestamp: int) -> None:
        async with workshop.pool.connection() as connection:
            await forget_old_records(connection)
            await forget_previews(connection)
            await forget_old_consents(connection, now=datetime.now(UTC))
            await fold_edits(connection)
        async with workshop.pool.connection() as connection:
            await sweep_work_schema(connection)
        await asyncio.to_thread(sweep_workspaces, workshop.workspaces.parent)
        await forget_old_jobs(app)
