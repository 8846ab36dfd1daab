"""A worker in the test's own loop, and a way to wait for its runs without sleeping."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest
from procrastinate import App
from psycopg import AsyncConnection
from psycopg.rows import DictRow, tuple_row
from psycopg_pool import AsyncConnectionPool

from synctables.accounts.model import Account
from synctables.accounts.service import create_account
from synctables.datasources.source import Source
from synctables.db.pool import connect, create_pool
from synctables.importer.publish import EVENT_CHANNEL
from synctables.jobs import create_jobs_app
from synctables.settings import Settings, load_settings
from synctables.syncs import logs, repository, service
from synctables.syncs.model import Accept, Run, Sync, SyncOptions
from synctables.syncs.service import Forced, SyncLimits
from synctables.worker import run_worker

Connection = AsyncConnection[DictRow]
T = TypeVar("T")

StartWorker = Callable[[], Awaitable[None]]

WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class Desk:
    """What a user and an operator do, each call a transaction of its own."""

    pool: AsyncConnectionPool[Connection]
    listener: Connection
    account: Account
    limits: SyncLimits
    jobs_app: App

    async def add(self, url: str, **options: Any) -> tuple[Sync, Run]:
        """Create a sync and wait for its first run."""
        sync, run_id = await self.add_only(url, **options)
        run = await self.wait_for(run_id)
        return await self.sync(sync.id), run

    async def add_only(self, url: str, **options: Any) -> tuple[Sync, UUID]:
        async with self.pool.connection() as connection:
            return await service.create_sync(
                connection,
                self.jobs_app,
                account=self.account,
                source=Source(url=url),
                options=SyncOptions(**{"interval_seconds": 3600, **options}),
                limits=self.limits,
            )

    async def force(self, sync_id: UUID, *accept: Accept) -> tuple[Sync, Run]:
        """Force a run and wait for it."""
        forced = await self.force_only(sync_id, *accept)
        assert forced.enqueued, forced
        async with self.pool.connection() as connection:
            sync = await service.find_sync(connection, account_id=self.account.id, sync_id=sync_id)
            latest = await service.latest_run(connection, log_id=sync.log_id)
        assert latest is not None
        run = await self.wait_for(latest.id)
        return await self.sync(sync_id), run

    async def force_only(self, sync_id: UUID, *accept: Accept) -> Forced:
        async with self.pool.connection() as connection:
            return await service.force_sync(
                connection,
                self.jobs_app,
                account_id=self.account.id,
                sync_id=sync_id,
                accept=accept,
                limits=self.limits,
            )

    async def sync(self, sync_id: UUID) -> Sync:
        async with self.pool.connection() as connection:
            return await service.find_sync(connection, account_id=self.account.id, sync_id=sync_id)

    async def wait_for(self, run_id: UUID) -> Run:
        """The run, once it has ended."""
        return await self.until(lambda: self._ended(run_id))

    async def until(self, check: Callable[[], Awaitable[T | None]]) -> T:
        """What ``check`` gives as soon as it is not None, asked again at every event."""
        async with asyncio.timeout(WAIT_SECONDS):
            while (found := await check()) is None:
                async for _ in self.listener.notifies(timeout=1, stop_after=1):
                    pass
        return found

    async def log(self, log_id: UUID) -> str:
        async with self.pool.connection() as connection:
            entries = await logs.list_log(connection, log_id)
        return "\n".join(entry.message for entry in entries)

    async def defer(self, task: str, *, queue: str, **arguments: Any) -> None:
        async with self.pool.connection() as connection:
            configured = self.jobs_app.configure_task(task, queue=queue, connection=connection)
            await configured.defer_async(**arguments)

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Query as the owner; the account's schema comes first."""
        async with (
            self.pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute("SET LOCAL search_path = alice, synctables, public")
            await cursor.execute(statement)
            return await cursor.fetchall()

    async def execute(self, statement: str) -> None:
        async with self.pool.connection() as connection:
            await connection.execute(statement)

    async def _ended(self, run_id: UUID) -> Run | None:
        async with self.pool.connection() as connection:
            run = await repository.get_run(connection, run_id)
        assert run is not None
        return run if run.finished_at else None


@pytest.fixture
def settings() -> Settings:
    """Loopback may be fetched from, and runs may be forced at once."""
    return load_settings(allowed_networks="127.0.0.0/8,::1/128", sync_now_seconds=0)


@pytest.fixture
async def desk(
    pool: AsyncConnectionPool[Connection], database_url: str, settings: Settings
) -> AsyncIterator[Desk]:
    """The account ``alice`` and what she does; no worker runs."""
    async with pool.connection() as connection:
        account, _ = await create_account(connection, name="alice")
    async with _desk(pool, database_url, settings, account) as opened:
        yield opened


@contextlib.asynccontextmanager
async def open_desk(
    database_url: str, settings: Settings, *, account: Account
) -> AsyncIterator[Desk]:
    """A desk with connections of its own, for when the database was restarted under the first."""
    async with (
        create_pool(database_url, application_name="tests") as pool,
        _desk(pool, database_url, settings, account) as opened,
    ):
        yield opened


@contextlib.asynccontextmanager
async def _desk(
    pool: AsyncConnectionPool[Connection], database_url: str, settings: Settings, account: Account
) -> AsyncIterator[Desk]:
    async with await connect(database_url, application_name="tests") as listener:
        await listener.set_autocommit(True)
        await listener.execute(f"LISTEN {EVENT_CHANNEL}")
        yield Desk(
            pool=pool,
            listener=listener,
            account=account,
            limits=replace(SyncLimits.of(settings), minimum_interval_seconds=1),
            jobs_app=create_jobs_app(),
        )


@pytest.fixture
async def start_worker(
    database_url: str, settings: Settings, desk: Desk, short_dir: Path
) -> AsyncIterator[StartWorker]:
    """Starts a worker on the test's database when called; it ends with the test."""
    async with contextlib.AsyncExitStack() as workers:

        async def start() -> None:
            await workers.enter_async_context(running_worker(settings, database_url, short_dir))

        yield start


@pytest.fixture
async def worker(start_worker: StartWorker) -> None:
    """A worker on the test's database, for as long as the test runs."""
    await start_worker()


@contextlib.asynccontextmanager
async def running_worker(
    settings: Settings, database_url: str, data_dir: Path
) -> AsyncIterator[asyncio.Task[None]]:
    """A worker for the length of the block; its own failure fails the test."""
    stop = asyncio.Event()
    task = asyncio.create_task(
        run_worker(settings, database_url, data_dir=data_dir, stop=stop), name="worker"
    )
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait_for(task, WAIT_SECONDS)
