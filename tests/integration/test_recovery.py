"""What dies on the way is found and done again, and what comes back from the dead cannot commit."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from synctables.errors import FencedError
from synctables.jobs import CLOCK_QUEUE, SWEEP_TASK
from synctables.settings import Settings
from synctables.syncs.logs import append_log
from synctables.syncs.model import SyncState
from synctables.syncs.outcomes import Outcome, OutcomeKind, record_outcome
from synctables.syncs.recovery import forget_old_records
from synctables.syncs.repository import get_sync, hand_back
from synctables.syncs.runs import begin
from tests.support.file_server import FileServer
from tests.support.workers import Desk, StartWorker, running_worker
from tests.support.workload import make_due

CSV = b"name,size\nOslo,1\n"
SUCCESS = Outcome(kind=OutcomeKind.SUCCESS, message="done")


async def test_a_worker_that_was_presumed_dead_cannot_record(
    desk: Desk, file_server: FileServer
) -> None:
    sync, run_id = await desk.add_only(file_server.put("/a.csv", CSV))
    async with desk.pool.connection() as connection:
        frozen = await begin(connection, run_id)
    async with desk.pool.connection() as connection:
        successor = await begin(connection, run_id)
    assert frozen is not None
    assert successor is not None

    now = datetime.now(UTC)
    with pytest.raises(FencedError):
        async with desk.pool.connection() as connection:
            await record_outcome(connection, run_id, token=frozen.token, outcome=SUCCESS, now=now)
    assert (await desk.sync(sync.id)).state is SyncState.SYNCING

    async with desk.pool.connection() as connection:
        await record_outcome(connection, run_id, token=successor.token, outcome=SUCCESS, now=now)
    assert (await desk.sync(sync.id)).state is SyncState.SUCCESS

    with pytest.raises(FencedError):
        async with desk.pool.connection() as connection:
            await record_outcome(
                connection, run_id, token=successor.token, outcome=SUCCESS, now=now
            )


@pytest.mark.parametrize("what", ["begins it", "hands it back"])
async def test_who_waits_for_a_sync_does_not_hold_its_run(
    desk: Desk, file_server: FileServer, what: str
) -> None:
    """Or whoever removes the sync, which is locked first then, would wait for it in a circle."""
    sync, run_id = await desk.add_only(file_server.put("/a.csv", CSV))
    async with desk.pool.connection() as connection:
        begun = await begin(connection, run_id)
    assert begun is not None

    async def work() -> None:
        async with desk.pool.connection() as connection:
            if what == "begins it":
                await begin(connection, run_id)
            else:
                await hand_back(connection, begun.run, token=begun.token)

    async def is_waiting() -> bool | None:
        waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        return bool(await desk.rows(waiting)) or None

    async with asyncio.TaskGroup() as group, desk.pool.connection() as connection:
        await get_sync(connection, sync.id, for_update=True)
        group.create_task(work())
        await desk.until(is_waiting)
        await connection.execute("SELECT FROM runs FOR UPDATE NOWAIT")


async def test_who_was_fenced_hands_nothing_back(desk: Desk, file_server: FileServer) -> None:
    sync, run_id = await desk.add_only(file_server.put("/a.csv", CSV))
    async with desk.pool.connection() as connection:
        frozen = await begin(connection, run_id)
    async with desk.pool.connection() as connection:
        successor = await begin(connection, run_id)
    assert frozen is not None
    assert successor is not None
    async with desk.pool.connection() as connection:
        await hand_back(connection, frozen.run, token=frozen.token)
    assert (await desk.sync(sync.id)).state is SyncState.SYNCING
    assert await desk.rows("SELECT attempt_count FROM runs") == [(2,)]
    async with desk.pool.connection() as connection:
        await hand_back(connection, successor.run, token=successor.token)
    assert (await desk.sync(sync.id)).state is SyncState.QUEUED


async def test_a_run_that_has_ended_is_not_begun_again(desk: Desk, file_server: FileServer) -> None:
    _, run_id = await desk.add_only(file_server.put("/a.csv", CSV))
    async with desk.pool.connection() as connection:
        begun = await begin(connection, run_id)
        assert begun is not None
        await record_outcome(
            connection, run_id, token=begun.token, outcome=SUCCESS, now=datetime.now(UTC)
        )
        assert await begin(connection, run_id) is None
        assert await begin(connection, uuid4()) is None


@pytest.mark.parametrize(
    "accident",
    [
        pytest.param(
            "UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM dead)"
            " WHERE task_name = 'synctables.run'",
            id="its worker died",
        ),
        pytest.param(
            "UPDATE procrastinate_jobs SET status = 'doing' WHERE task_name = 'synctables.run'",
            id="its worker died and was pruned",
        ),
        pytest.param(
            "DELETE FROM procrastinate_jobs WHERE task_name = 'synctables.run'",
            id="its job is lost",
        ),
        pytest.param(
            "UPDATE procrastinate_jobs SET status = 'failed' WHERE task_name = 'synctables.run'",
            id="its job failed without a word",
        ),
        pytest.param("DELETE FROM runs", id="the sync has no run at all"),
    ],
)
async def test_a_sync_is_never_stuck(
    desk: Desk, file_server: FileServer, accident: str, start_worker: StartWorker
) -> None:
    sync, _ = await desk.add_only(file_server.put("/a.csv", CSV))
    async with desk.pool.connection() as connection:
        await connection.execute("UPDATE syncs SET state = 'syncing'")
        await connection.execute("UPDATE runs SET created_at = now() - interval '10 minutes'")
        await connection.execute(
            "CREATE TEMPORARY TABLE dead AS WITH worker AS ("
            " INSERT INTO procrastinate_workers (last_heartbeat)"
            " VALUES (now() - interval '10 minutes') RETURNING id) SELECT id FROM worker"
        )
        await connection.execute(accident)

    await start_worker()

    async def has_synced() -> bool | None:
        return (await desk.sync(sync.id)).state is SyncState.SUCCESS or None

    await desk.until(has_synced)
    assert await desk.rows("SELECT name FROM a") == [("Oslo",)]


async def test_a_sweep_that_takes_long_does_not_stop_the_clock(
    desk: Desk, file_server: FileServer, worker: None
) -> None:
    sync, _ = await desk.add(file_server.put("/a.csv", CSV, etag='"1"'))

    async def is_waiting() -> bool | None:
        waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        return bool(await desk.rows(waiting)) or None

    async def is_checked() -> bool | None:
        return (await desk.sync(sync.id)).attempted_at != sync.attempted_at or None

    async with desk.pool.connection() as connection, connection.transaction():
        await connection.execute("LOCK TABLE oauth_consents")
        await desk.defer(SWEEP_TASK, queue=CLOCK_QUEUE, timestamp=0)
        await desk.until(is_waiting)
        await make_due(desk, sync.id)
        await desk.until(is_checked)


async def test_old_records_are_forgotten_and_the_last_run_of_a_sync_is_not(
    desk: Desk, file_server: FileServer
) -> None:
    sync, _ = await desk.add_only(file_server.put("/a.csv", CSV))
    async with desk.pool.connection() as connection:
        for number in range(1003):
            await append_log(connection, sync.log_id, str(number), run_id=None)
        await append_log(connection, UUID(int=8), "of an import of long ago", run_id=None)
        await connection.execute(
            "UPDATE runs SET finished_at = now() - interval '90 days', outcome = 'success',"
            " state = 'complete'"
        )
        old = UUID(int=7)
        await connection.execute(
            "INSERT INTO runs SELECT (jsonb_populate_record(runs, jsonb_build_object("
            "'id', %s::uuid, 'created_at', created_at - interval '1 day'))).* FROM runs",
            [old],
        )
        await forget_old_records(connection)
    assert await desk.rows("SELECT count(*), min(message::int) FROM log_entries") == [(1000, 3)]
    assert await desk.rows(f"SELECT count(*) FROM runs WHERE id = '{old}'") == [(0,)]
    assert await desk.rows("SELECT count(*) FROM runs") == [(1,)]


async def test_a_shutdown_hands_its_run_back(
    desk: Desk,
    file_server: FileServer,
    settings: Settings,
    database_url: str,
    short_dir: Path,
) -> None:
    url = file_server.put("/a.csv", CSV, hold_after_bytes=2)
    sync, run_id = await desk.add_only(url)
    async with running_worker(settings, database_url, short_dir):
        await asyncio.to_thread(file_server.wait_until_held, "/a.csv")
        assert (await desk.sync(sync.id)).state is SyncState.SYNCING
    assert (await desk.sync(sync.id)).state is SyncState.QUEUED
    assert await desk.rows("SELECT state, attempt_count FROM runs") == [("pending", 0)]
    assert list((short_dir / "workspaces").iterdir()) == []

    file_server.put("/a.csv", CSV)
    async with running_worker(settings, database_url, short_dir):
        await desk.wait_for(run_id)
    assert (await desk.sync(sync.id)).state is SyncState.SUCCESS


async def test_a_job_left_over_from_a_run_that_ended_does_not_hold_the_next_one_up(
    desk: Desk, file_server: FileServer, start_worker: StartWorker
) -> None:
    sync, run_id = await desk.add_only(file_server.put("/a.csv", CSV))
    await desk.execute(
        "UPDATE runs SET finished_at = now(), outcome = 'not_modified', state = 'complete'"
    )
    await desk.execute("UPDATE syncs SET state = 'success'")
    forced = await desk.force_only(sync.id)
    assert forced.enqueued

    await start_worker()

    async def has_synced() -> bool | None:
        return (await desk.sync(sync.id)).name is not None or None

    await desk.until(has_synced)
    assert (await desk.wait_for(run_id)).attempt_count == 0
