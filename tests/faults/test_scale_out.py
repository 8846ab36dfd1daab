"""Several worker processes share what is due: each once a slot, and killing one loses nothing."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from synctables.syncs.model import Sync
from tests.support.file_server import FileServer
from tests.support.worker_process import WorkerProcess, worker_process
from tests.support.workers import Desk
from tests.support.workload import make_due, put_copies

CSV = b"name,size\nOslo,1\n"
HOSTS = 4
SLOT = timedelta(hours=1)

_OPEN = """
SELECT (SELECT count(*) FROM syncs WHERE state NOT IN ('success', 'failure') OR run_at <= now())
     + (SELECT count(*) FROM procrastinate_jobs WHERE queue_name IN ('checks', 'runs'))
"""
WAITS = 20
"""Each has its own time limit; ten thousand syncs on a busy machine take longer than one."""
_QUEUES = 4
"""Queues of one worker process, each a worker to procrastinate."""


@pytest.fixture
def hosts() -> Iterator[list[FileServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(FileServer()) for _ in range(HOSTS)]


@pytest.fixture
def start(database_url: str, short_dir: Path) -> Iterator[Workers]:
    with ExitStack() as stack:
        yield Workers(database_url, short_dir, stack)


class Workers:
    """Starts worker processes, and knows when they are there."""

    def __init__(self, database_url: str, folder: Path, stack: ExitStack) -> None:
        self._database_url = database_url
        self._folder = folder
        self._stack = stack
        self.all: list[WorkerProcess] = []

    def __call__(self, **settings: str) -> WorkerProcess:
        data_dir = self._folder / f"worker{len(self.all)}"
        found = worker_process(self._database_url, data_dir, **settings)
        self.all.append(self._stack.enter_context(found))
        return self.all[-1]

    async def ready(self, desk: Desk, count: int) -> None:
        async def are_there() -> bool | None:
            [(found,)] = await desk.rows("SELECT count(*) FROM procrastinate_workers")
            return found >= count * _QUEUES or None

        await patiently(desk, are_there)

    def counts(self) -> Counter[str]:
        return sum((one.counts() for one in self.all), Counter())


async def put_syncs(
    desk: Desk, standing: Sync, hosts: list[FileServer], count: int, *, etag: str | None = '"v1"'
) -> list[UUID]:
    """So many syncs with a table, over all hosts, and their slot an hour ago."""
    path = "/a.csv" if etag else "/without.csv"
    for host in hosts:
        host.put(path, CSV, etag=etag)
    urls = [f"{hosts[number % HOSTS].url(path)}?{number}" for number in range(count)]
    ids = await put_copies(desk, standing, urls)
    if etag is None:
        async with desk.pool.connection() as connection:
            await connection.execute("UPDATE syncs SET etag = NULL WHERE id = ANY(%s)", [ids])
    return ids


async def finished(desk: Desk) -> None:
    async def are_done() -> bool | None:
        return await desk.rows(_OPEN) == [(0,)] or None

    await patiently(desk, are_done)


async def patiently(desk: Desk, check: Callable[[], Awaitable[bool | None]]) -> None:
    for _ in range(WAITS):
        with suppress(TimeoutError):
            await desk.until(check)
            return
    raise AssertionError(await desk.rows(_OPEN))


def requests_by_target(hosts: list[FileServer], path: str) -> Counter[int]:
    """How many targets were asked for how often."""
    counts = Counter(
        (number, one.target) for number, host in enumerate(hosts) for one in host.requests(path)
    )
    return Counter(counts.values())


@pytest.mark.parametrize(
    ("worker_count", "sync_count"),
    [
        (2, 400),
        pytest.param(4, 400),
        pytest.param(4, 10_000, marks=pytest.mark.full),
        pytest.param(8, 10_000, marks=pytest.mark.full),
    ],
)
async def test_each_due_sync_is_asked_once_by_however_many_workers(
    desk: Desk,
    standing: Sync,
    hosts: list[FileServer],
    start: Workers,
    worker_count: int,
    sync_count: int,
) -> None:
    checked = await put_syncs(desk, standing, hosts, sync_count)
    run = await put_syncs(desk, standing, hosts, 8, etag=None)
    for _ in range(worker_count):
        start()
    await start.ready(desk, worker_count)

    slot = datetime.now(UTC) - timedelta(minutes=5)
    await make_due(desk, *checked, *run, at=slot)
    await finished(desk)

    assert requests_by_target(hosts, "/a.csv") == {1: sync_count}
    assert requests_by_target(hosts, "/without.csv") == {1: len(run)}
    assert start.counts() == Counter(unchanged=sync_count)
    assert await desk.rows(
        f"SELECT state, retried_times, run_at = '{slot}'::timestamptz + interval '1 hour', count(*)"
        f" FROM syncs WHERE id <> '{standing.id}' GROUP BY 1, 2, 3"
    ) == [("success", 0, True, sync_count + len(run))]
    assert await desk.rows(
        "SELECT outcome, count(*) FROM runs WHERE sync_id IS DISTINCT FROM"
        f" '{standing.id}' GROUP BY 1"
    ) == [("not_modified", len(run))]
    assert await desk.rows("SELECT count(*) FROM checks") == [(0,)]


async def test_a_worker_that_is_killed_in_the_middle_of_its_checks_loses_none(
    desk: Desk, standing: Sync, hosts: list[FileServer], start: Workers
) -> None:
    """Each of two workers has two of the four hosts' batches when one of them dies."""
    syncs = await put_syncs(desk, standing, hosts, 200)
    for host in hosts:
        host.put("/a.csv", CSV, etag='"v1"', hold_after_bytes=0, holds_headers=True)
    for _ in range(2):
        start(CHECK_CONCURRENCY="2")
    await start.ready(desk, 2)
    await make_due(desk, *syncs)
    for host in hosts:
        await asyncio.to_thread(host.wait_until_held, "/a.csv")

    start.all[0].kill()
    for host in hosts:
        host.release("/a.csv")
    await finished(desk)

    assert start.counts() == Counter(unchanged=len(syncs))
    asked = requests_by_target(hosts, "/a.csv")
    assert set(asked) == {1, 2}
    assert sum(asked.values()) == len(syncs)
    assert await desk.rows(
        f"SELECT count(*) FROM syncs WHERE attempted_at IS NOT NULL AND id <> '{standing.id}'"
        " AND state = 'success' AND retried_times = 0"
    ) == [(len(syncs),)]


async def test_a_worker_that_is_stopped_hands_its_checks_back_at_once(
    desk: Desk, standing: Sync, hosts: list[FileServer], start: Workers
) -> None:
    syncs = await put_syncs(desk, standing, hosts[:1] * HOSTS, 40)
    hosts[0].put("/a.csv", CSV, etag='"v1"', hold_after_bytes=0, holds_headers=True)
    stopped = start()
    await start.ready(desk, 1)
    await make_due(desk, *syncs)
    await asyncio.to_thread(hosts[0].wait_until_held, "/a.csv")

    assert await asyncio.to_thread(stopped.stop) in (0, -signal.SIGTERM)
    assert await desk.rows(
        "SELECT job.status, checks.attempt_count FROM checks JOIN procrastinate_jobs AS job"
        " ON job.args ->> 'check_id' = checks.id::text"
    ) == [("todo", 0)]

    hosts[0].put("/a.csv", CSV, etag='"v1"')
    start()
    await finished(desk)
    assert start.counts() == Counter(unchanged=len(syncs))
