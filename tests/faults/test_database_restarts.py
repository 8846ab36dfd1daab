"""PostgreSQL is stopped with ``pg_ctl -m immediate`` and started again while a worker is at work.

The worker stands still at a named point meanwhile, and then goes on as if nothing had happened.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from synctables.settings import Settings
from synctables.syncs.model import SyncState
from tests.support.aftermath import assert_old_or_new, assert_recovers
from tests.support.cities import NEW, OLD, PATH, begin_run
from tests.support.file_server import FileServer
from tests.support.restarting_server import RestartingServer
from tests.support.stopping_worker import Accident, stopping_worker, wait_for_accident
from tests.support.workers import Desk, open_desk
from tests.support.workload import make_due

LOADING = "after psycopg:AsyncCopy.write"
RECORDED = "after synctables.syncs.recorder:RunRecorder.imported"
CHECKED = "before synctables.syncs.checks:_Round._record"


@pytest.fixture
def database_url(own_server: tuple[RestartingServer, str]) -> str:
    """Of a server that may be stopped."""
    return own_server[1]


@pytest.mark.parametrize(
    ("way", "point"),
    [
        pytest.param("create", LOADING, id="during the load of a first import"),
        pytest.param("rewrite", LOADING, id="during a load beside", marks=pytest.mark.full),
        pytest.param("delta", "after delta.write_delta", id="during apply"),
        pytest.param("delta", RECORDED, id="before the commit", marks=pytest.mark.full),
        pytest.param(
            "rewrite", "after swap.keep_writers_out", id="during a swap", marks=pytest.mark.full
        ),
    ],
)
async def test_a_run_meets_a_restart(
    desk: Desk,
    own_server: tuple[RestartingServer, str],
    settings: Settings,
    file_server: FileServer,
    short_dir: Path,
    way: str,
    point: str,
) -> None:
    server, url = own_server
    old = None if way == "create" else OLD
    with stopping_worker(url, short_dir, point=point, accident=Accident.FROZEN, way=way) as process:
        sync_id, _ = await begin_run(desk, file_server, old=old)
        await asyncio.to_thread(wait_for_accident, process, Accident.FROZEN)
        await asyncio.to_thread(server.restart_after_crash)
        async with open_desk(url, settings, account=desk.account) as again:
            await assert_old_or_new(again, old=old, new=NEW)
            process.send_signal(signal.SIGCONT)
            await assert_recovers(again, sync_id, new=NEW, data_dirs=[short_dir])


async def test_a_check_meets_a_restart(
    desk: Desk,
    own_server: tuple[RestartingServer, str],
    settings: Settings,
    file_server: FileServer,
    short_dir: Path,
) -> None:
    server, url = own_server
    with stopping_worker(
        url, short_dir, point=CHECKED, accident=Accident.FROZEN, way="create"
    ) as process:
        sync, _ = await desk.add(file_server.put(PATH, OLD, etag='"1"'))
        await make_due(desk, sync.id)
        await asyncio.to_thread(wait_for_accident, process, Accident.FROZEN)
        await asyncio.to_thread(server.restart_after_crash)
        async with open_desk(url, settings, account=desk.account) as again:
            await assert_old_or_new(again, old=OLD, new=OLD)
            assert (await again.sync(sync.id)).state is SyncState.QUEUED
            process.send_signal(signal.SIGCONT)

            async def is_checked() -> bool | None:
                found = await again.sync(sync.id)
                return (found.state is SyncState.SUCCESS and found.run_at > sync.run_at) or None

            await again.until(is_checked)
            await assert_recovers(again, sync.id, new=OLD, data_dirs=[short_dir])
