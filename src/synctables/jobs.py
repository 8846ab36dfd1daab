"""The job queue: procrastinate in our own database. Tasks are known here by name only."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from procrastinate import App, PsycopgConnector
from procrastinate.connector import BaseAsyncConnector
from procrastinate.periodic import PeriodicDeferrer, PeriodicTask
from procrastinate.worker import Worker
from psycopg import AsyncConnection

RUN_TASK = "synctables.run"
CHECK_TASK = "synctables.check"
PREVIEW_TASK = "synctables.preview"
CLAIM_TASK = "synctables.claim_due"
RECOVER_TASK = "synctables.recover"
SWEEP_TASK = "synctables.sweep"

RUN_QUEUE = "runs"
CHECK_QUEUE = "checks"
PREVIEW_QUEUE = "previews"
CLOCK_QUEUE = "clock"

FRESH_HEARTBEAT_SECONDS = 20
"""A worker without a sign of life for so long counts as gone; it gives one every few seconds."""

AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)
"""When a job may be taken again. The queue compares it with the database's clock, so "now" by a
worker whose own clock is a day ahead would be tomorrow."""


def create_jobs_app(connector: BaseAsyncConnector | None = None) -> App:
    """The procrastinate app; without a connector it can only defer on a caller's connection."""
    return App(connector=connector or PsycopgConnector())


async def defer_run(
    app: App, connection: AsyncConnection[Any], *, run_id: UUID, sync_id: UUID | None
) -> None:
    """Queue a run on the caller's connection, so that row and job commit together.

    The lock keeps runs of one sync from overlapping; the queueing lock keeps one run from being
    queued twice. It is not the sync's: a job whose worker died after its run had ended would then
    stand in the way of the next run, and of all that are claimed together with it.
    """
    subject = f"sync:{sync_id}" if sync_id else f"run:{run_id}"
    await app.configure_task(
        RUN_TASK,
        queue=RUN_QUEUE,
        lock=subject,
        queueing_lock=f"run:{run_id}",
        connection=connection,
    ).defer_async(run_id=str(run_id))


async def defer_check(
    app: App, connection: AsyncConnection[Any], *, check_id: UUID, lane: str | None, priority: int
) -> None:
    """Queue a batch of checks. Those of one lane come one after the other over all workers, the
    others pass by meanwhile; without a lane it waits for nobody."""
    await app.configure_task(
        CHECK_TASK,
        queue=CHECK_QUEUE,
        lock=f"lane:{lane}" if lane else None,
        priority=priority,
        connection=connection,
    ).defer_async(check_id=str(check_id))


async def defer_preview(app: App, connection: AsyncConnection[Any], *, preview_id: UUID) -> None:
    """Queue a preview on the caller's connection. It has a queue of its own, with its own places,
    so that somebody who waits for it does not wait for the runs of others."""
    await app.configure_task(PREVIEW_TASK, queue=PREVIEW_QUEUE, connection=connection).defer_async(
        preview_id=str(preview_id)
    )


class QueueWorker(Worker):
    """A worker of the queue whose periodic tasks go on when its machine's clock is set."""

    is_stopping = False
    """Whether it has heard that it is to end: it calls off its jobs then, which takes its time."""

    def stop(self) -> None:
        self.is_stopping = True
        super().stop()  # type: ignore[no-untyped-call]

    async def _periodic_deferrer(self) -> None:
        await LastTicks(registry=self.app.periodic_registry).worker()


class LastTicks(PeriodicDeferrer):
    """Defers the last tick of each task that is not deferred yet, wherever the clock is.

    The queue's own one counts on from its last tick. After a clock was put back it is silent until
    the time is made up for; after one was put forward it defers every tick in between.
    """

    def get_timestamps(
        self, periodic_task: PeriodicTask[Any, Any, Any], since: int | None, until: float
    ) -> Iterable[int]:
        last = super().get_timestamps(periodic_task, None, until)
        return [tick for tick in last if tick != since]
