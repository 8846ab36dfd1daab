"""The worker: the only place where the job side is wired."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psycopg
import structlog
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException

from synctables.accounts.reader_privileges import find_surplus_privileges
from synctables.datasources._http import create_http_session
from synctables.datasources.drives.access import DriveAccess
from synctables.db.pool import connection_options, create_pool
from synctables.importer.apply.work_schema import sweep_work_schema
from synctables.importer.model import Limits
from synctables.importer.orphaned_children import end_orphaned_children
from synctables.importer.pipeline import Parts
from synctables.importer.sandbox import SandboxLimits, Spare
from synctables.importer.workspace_owners import WORKSPACES, claim_workspaces
from synctables.jobs import (
    CHECK_QUEUE,
    CLOCK_QUEUE,
    PREVIEW_QUEUE,
    RUN_QUEUE,
    QueueWorker,
    create_jobs_app,
)
from synctables.settings import Settings
from synctables.syncs.recovery import HEARTBEAT_SECONDS, STALLED_AFTER_SECONDS
from synctables.syncs.runs import Workshop
from synctables.tasks import register_tasks

APPLICATION_NAME = "synctables worker"
SHUTDOWN_SECONDS = 3.0
"""How long runs may go on after a stop; then they are handed back to the queue."""
CANCEL_AGAIN_SECONDS = 1.0
RECONNECT_SECONDS = 2.0
POLL_SECONDS = 0.5
"""New jobs are notified; this finds those that waited for a lock which a finished job let go."""

log = structlog.get_logger(__name__)


async def run_worker(
    settings: Settings, database_url: str, *, data_dir: Path, stop: asyncio.Event
) -> None:
    """Work until ``stop`` is set. A database that goes away is waited for."""
    root = (data_dir / WORKSPACES).resolve()
    if count := await asyncio.to_thread(end_orphaned_children, root):
        log.warning("orphaned_children_ended", count=count)
    workspaces = claim_workspaces(root)
    try:
        while not stop.is_set():
            try:
                await _work(settings, database_url, workspaces, stop)
            except (ConnectorException, psycopg.OperationalError) as error:
                log.warning("database_lost", reason=str(error).strip())
            if not stop.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), RECONNECT_SECONDS)
    finally:
        shutil.rmtree(workspaces, ignore_errors=True)


async def _work(
    settings: Settings, database_url: str, workspaces: Path, stop: asyncio.Event
) -> None:
    """One life of the worker: from connecting until ``stop``, or until the database is lost."""
    async with (
        _open_workshop(settings, database_url, workspaces) as workshop,
        _open_queue(database_url, settings) as app,
    ):
        await _look_after_the_last(workshop)
        register_tasks(app, workshop)
        places = {
            RUN_QUEUE: settings.run_concurrency,
            CHECK_QUEUE: settings.check_concurrency,
            PREVIEW_QUEUE: settings.preview_concurrency,
            CLOCK_QUEUE: 2,  # or the hourly sweep, which may take long, would stop the clock
        }
        workers = [_queue_worker(app, queue, concurrency=count) for queue, count in places.items()]
        queues = {asyncio.create_task(_serve(worker)): worker for worker in workers}
        stopping = asyncio.create_task(stop.wait())
        log.info("worker_ready", run_concurrency=settings.run_concurrency)
        await asyncio.wait([*queues, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        await _end(queues)
        for queue in queues:
            if not queue.cancelled() and (error := queue.exception()):
                raise error


async def _end(queues: Mapping[asyncio.Task[None], QueueWorker]) -> None:
    """Cancel until all have ended.

    Once is not enough: a cancellation that arrives together with the connection for which a queue
    waits at its pool is lost (``asyncio.wait_for`` before Python 3.12 gives the result instead),
    and it would go on for ever. One that has heard is left alone: its jobs hand themselves back,
    or end, where a job's own cancellation was lost in that way.
    """
    pending = set(queues)
    while pending:
        for task in pending:
            if not queues[task].is_stopping:
                task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_SECONDS)


async def _look_after_the_last(workshop: Workshop) -> None:
    """Remove what dead workers left half made, and say where the server lets readers do more."""
    async with workshop.pool.connection() as connection:
        await sweep_work_schema(connection)
    async with workshop.pool.connection() as connection:
        for surplus in await find_surplus_privileges(connection):
            log.warning(
                "reader_may_do_more",
                role=surplus.role,
                what=surplus.words,
                remedy=surplus.remedy,
            )


def _queue_worker(app: App, queue: str, *, concurrency: int) -> QueueWorker:
    return QueueWorker(
        app,
        queues=[queue],
        name=f"{queue}@{os.getpid()}",
        concurrency=concurrency,
        delete_jobs="successful",
        fetch_job_polling_interval=POLL_SECONDS,
        install_signal_handlers=False,
        shutdown_graceful_timeout=SHUTDOWN_SECONDS,
        update_heartbeat_interval=HEARTBEAT_SECONDS,
        stalled_worker_timeout=STALLED_AFTER_SECONDS,
    )


async def _serve(worker: QueueWorker) -> None:
    await worker.run()  # type: ignore[no-untyped-call]


def _count_jobs(settings: Settings) -> int:
    """Jobs at once, those of the clock left out."""
    return settings.run_concurrency + settings.check_concurrency + settings.preview_concurrency


@asynccontextmanager
async def _open_queue(database_url: str, settings: Settings) -> AsyncIterator[App]:
    connector = PsycopgConnector(
        conninfo=database_url,
        kwargs=connection_options(APPLICATION_NAME),
        min_size=2,
        max_size=_count_jobs(settings) + 8,
    )
    async with create_jobs_app(connector).open_async() as app:
        yield app


@asynccontextmanager
async def _open_workshop(
    settings: Settings, database_url: str, workspaces: Path
) -> AsyncIterator[Workshop]:
    spare = Spare(workspaces)
    pool = create_pool(
        database_url,
        min_size=1,
        max_size=2 * _count_jobs(settings) + 4,
        application_name=APPLICATION_NAME,
    )
    try:
        async with (
            pool,
            create_http_session(settings) as http,
            create_http_session(settings) as check_http,
        ):
            spare.prepare()
            yield Workshop(
                settings=settings,
                http=http,
                check_http=check_http,
                check_slots=asyncio.Semaphore(settings.connections),
                drives=DriveAccess(settings, pool, database_url=database_url),
                workspaces=workspaces,
                parts=Parts(
                    pool=pool,
                    spare=spare,
                    sandbox_limits=SandboxLimits(
                        memory_bytes=settings.sandbox_memory_bytes,
                        seconds=int(settings.read_timeout_seconds),
                        max_file_bytes=settings.max_file_bytes,
                    ),
                    limits=Limits(max_bytes=settings.max_file_bytes),
                ),
            )
    finally:
        await spare.close()
