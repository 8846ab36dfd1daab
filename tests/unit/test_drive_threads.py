"""Threads of drives, whose calls may take hours."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar

from synctables.datasources.drives.transfer import in_thread

WORD: ContextVar[str] = ContextVar("WORD")


async def test_many_downloads_leave_the_threads_that_all_else_needs() -> None:
    is_over = threading.Event()
    downloads = [asyncio.create_task(in_thread(lambda _: is_over.wait(30))) for _ in range(40)]
    try:
        async with asyncio.timeout(10):
            assert await asyncio.to_thread(lambda: "an address was looked up")
    finally:
        is_over.set()
    assert await asyncio.gather(*downloads) == [True] * 40


async def test_a_log_in_a_thread_knows_its_run() -> None:
    WORD.set("run 5")
    assert await in_thread(lambda _: WORD.get()) == "run 5"
