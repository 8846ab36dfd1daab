"""A worker ends when it is told to, also where its queue loses the first cancellation."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from procrastinate.manager import JobManager

from synctables import worker as worker_module
from synctables.settings import Settings
from synctables.syncs import runs
from tests.support.file_server import FileServer
from tests.support.workers import WAIT_SECONDS, Desk, running_worker


async def test_a_cancellation_that_a_pool_loses_is_said_again(
    database_url: str, settings: Settings, short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when it arrives together with the connection that a queue waits for."""
    waiting = asyncio.Event()
    lost: list[asyncio.Task[None] | None] = []
    prune = JobManager.prune_stalled_workers

    async def prune_and_lose(self: JobManager, seconds: float) -> object:
        waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost.append(asyncio.current_task())
        return await prune(self, seconds)

    monkeypatch.setattr(JobManager, "prune_stalled_workers", prune_and_lose)
    async with asyncio.timeout(WAIT_SECONDS), running_worker(settings, database_url, short_dir):
        await waiting.wait()
    assert len(set(lost)) == 4, "every queue lost one"


async def test_a_run_that_is_slow_to_hand_itself_back_is_left_to_do_it(
    desk: Desk,
    file_server: FileServer,
    database_url: str,
    settings: Settings,
    short_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called_off = asyncio.Event()
    hand_back = runs._hand_back

    async def hand_back_slowly(begun: runs.Begun, workshop: runs.Workshop) -> None:
        called_off.set()
        await asyncio.sleep(10 * worker_module.CANCEL_AGAIN_SECONDS)
        await hand_back(begun, workshop)

    monkeypatch.setattr(runs, "_hand_back", hand_back_slowly)
    monkeypatch.setattr(worker_module, "SHUTDOWN_SECONDS", 0.1)
    monkeypatch.setattr(worker_module, "CANCEL_AGAIN_SECONDS", 0.1)
    url = file_server.put("/cities.csv", b"name\nOslo\n", hold_after_bytes=3)
    async with running_worker(settings, database_url, short_dir):
        _, run_id = await desk.add_only(url)
        await asyncio.to_thread(file_server.wait_until_held, "/cities.csv")
    assert called_off.is_set()
    file_server.release("/cities.csv")
    run = f"SELECT state, attempt_count FROM runs WHERE id = '{run_id}'"
    assert await desk.rows(run) == [("pending", 0)]
