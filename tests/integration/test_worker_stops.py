"""A worker ends when it is told to, also where its queue loses the first cancellation."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from procrastinate.manager import JobManager

from synctables import worker
from synctables.settings import Settings
from tests.support.workers import WAIT_SECONDS, running_worker


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
    monkeypatch.setattr(worker, "CANCEL_AGAIN_SECONDS", 0.5)
    async with asyncio.timeout(WAIT_SECONDS), running_worker(settings, database_url, short_dir):
        await waiting.wait()
    assert len(set(lost)) == 4, "every queue lost one"
