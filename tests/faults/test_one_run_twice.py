"""Two workers that both live and both hold the same run: one of them may record it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.aftermath import assert_recovers
from tests.support.cities import NEW, OLD, PATH
from tests.support.file_server import FileServer
from tests.support.worker_process import worker_process
from tests.support.workers import Desk

GIVE_TO_ANOTHER = (
    "UPDATE procrastinate_jobs SET status = 'todo', worker_id = NULL"
    " WHERE status = 'doing' AND queue_name = 'runs'"
)
"""As recovery does with what a worker was doing that was silent for too long."""


@pytest.mark.parametrize("is_first", [True, pytest.param(False, marks=pytest.mark.full)])
async def test_the_later_owner_of_a_run_alone_records_it(
    desk: Desk, file_server: FileServer, database_url: str, tmp_path: Path, *, is_first: bool
) -> None:
    places = [tmp_path / "one", tmp_path / "two"]
    old = None if is_first else OLD
    one_run = {"RUN_CONCURRENCY": "1", "SYNC_NOW_SECONDS": "0"}
    with worker_process(database_url, places[0], **one_run) as earlier:
        if old is not None:
            sync, _ = await desk.add(file_server.put(PATH, old, etag='"1"'))
            file_server.put(PATH, NEW, etag='"2"', hold_after_bytes=50)
            await desk.force_only(sync.id)
        else:
            sync, _ = await desk.add_only(
                file_server.put(PATH, NEW, etag='"2"', hold_after_bytes=50)
            )
        await asyncio.to_thread(file_server.wait_until_held, PATH, timeout_seconds=120)
        ((run_id,),) = await desk.rows("SELECT id FROM runs WHERE finished_at IS NULL")
        await desk.execute(GIVE_TO_ANOTHER)
        with worker_process(database_url, places[1], **one_run) as later:

            async def have_both_begun() -> bool | None:
                rows = await desk.rows(f"SELECT attempt_count FROM runs WHERE id = '{run_id}'")
                return rows == [(2,)] or None

            await desk.until(have_both_begun)
            file_server.release(PATH)
            await desk.wait_for(run_id)

            async def is_fenced() -> bool | None:
                return bool(earlier.events("run_fenced")) or None

            await desk.until(is_fenced)
            assert later.events("run_fenced") == []
            await assert_recovers(desk, sync.id, new=NEW, data_dirs=places)
    assert await desk.rows(f"SELECT outcome, attempt_count FROM runs WHERE id = '{run_id}'") == [
        ("success", 2)
    ]
