"""Of one account only a few runs are in the queue at once; the others wait for their turn."""

from __future__ import annotations

from uuid import UUID

import pytest

from synctables.accounts.service import create_account
from synctables.datasources.source import Source
from synctables.syncs import service
from synctables.syncs.model import Sync, SyncOptions, SyncState
from synctables.syncs.quotas import read_usage
from synctables.syncs.repository import get_syncs
from synctables.syncs.service import delete_sync
from synctables.syncs.turns import give_forgotten_turns, give_turns, start_runs
from tests.support.file_server import FileServer
from tests.support.workers import Desk, StartWorker

CSV = b"name,size\nOslo,1\n"
URL = "http://127.0.0.1:9/a.csv"
WITH_A_JOB = """
SELECT runs.id FROM runs JOIN procrastinate_jobs AS job ON job.args ->> 'run_id' = runs.id::text
ORDER BY job.id
"""
END = """
UPDATE runs SET finished_at = now(), outcome = 'not_modified', state = 'complete' WHERE id = '%s'
"""


async def add(desk: Desk, count: int) -> tuple[list[Sync], list[UUID]]:
    made = [await desk.add_only(URL) for _ in range(count)]
    return [sync for sync, _ in made], [run_id for _, run_id in made]


async def with_a_job(desk: Desk) -> list[UUID]:
    return [row[0] for row in await desk.rows(WITH_A_JOB)]


async def next_turn(desk: Desk) -> int:
    async with desk.pool.connection() as connection:
        return await give_turns(connection, desk.jobs_app, [desk.account.id], at_once=3)


async def test_three_runs_have_a_job_and_the_next_follows_when_one_has_ended(desk: Desk) -> None:
    syncs, runs = await add(desk, 5)
    assert await with_a_job(desk) == runs[:3]
    assert (await desk.sync(syncs[4].id)).state is SyncState.CREATED

    assert await next_turn(desk) == 0
    await desk.execute(END % runs[1])
    assert await next_turn(desk) == 1
    assert await with_a_job(desk) == runs[:4]


async def test_what_somebody_asked_for_comes_before_what_was_only_due(desk: Desk) -> None:
    syncs, runs = await add(desk, 4)
    async with desk.pool.connection() as connection:
        found = await get_syncs(connection, [syncs[0].id])
        [forced] = await start_runs(connection, desk.jobs_app, found, at_once=3, is_forced=True)
    await desk.execute(END % runs[0])
    await next_turn(desk)
    assert await with_a_job(desk) == [*runs[:3], forced]


async def test_other_accounts_and_plain_imports_do_not_wait(desk: Desk) -> None:
    _, runs = await add(desk, 4)
    async with desk.pool.connection() as connection:
        other, _ = await create_account(connection, name="bob")
        _, of_bob = await service.create_sync(
            connection,
            desk.jobs_app,
            account=other,
            source=Source(url=URL),
            options=SyncOptions(interval_seconds=3600),
            limits=desk.limits,
        )
        imported = await service.create_import(
            connection,
            desk.jobs_app,
            account=desk.account,
            source=Source(url=URL),
            file_name=None,
            options=SyncOptions(interval_seconds=3600),
            content=None,
            limits=desk.limits,
        )
    assert await with_a_job(desk) == [*runs[:3], of_bob, imported]
    await desk.execute(END % runs[0])
    assert await next_turn(desk) == 1  # the import takes no turn away


async def test_a_turn_that_nobody_gave_is_given_by_the_recovery(desk: Desk) -> None:
    _, runs = await add(desk, 5)
    await desk.execute(END % runs[0])
    await desk.execute(END % runs[2])
    async with desk.pool.connection() as connection:
        assert await give_forgotten_turns(connection, desk.jobs_app, at_once=3) == 2
        assert await give_forgotten_turns(connection, desk.jobs_app, at_once=3) == 0
    assert await with_a_job(desk) == runs


async def test_the_first_import_of_a_sync_that_was_removed_still_gets_its_turn(desk: Desk) -> None:
    syncs, runs = await add(desk, 4)
    async with desk.pool.connection() as connection:
        await delete_sync(connection, account_id=desk.account.id, sync_id=syncs[3].id)
    await desk.execute(END % runs[0])
    await next_turn(desk)
    assert await with_a_job(desk) == runs


async def test_whoever_removes_syncs_at_work_gets_no_more_runs_at_once(desk: Desk) -> None:
    syncs, runs = await add(desk, 6)
    async with desk.pool.connection() as connection:
        for sync in syncs[:3]:
            await delete_sync(connection, account_id=desk.account.id, sync_id=sync.id)
        usage = await read_usage(connection, desk.account.id)
    assert await next_turn(desk) == 0
    assert await with_a_job(desk) == runs[:3]
    assert (usage.runs, usage.waiting_runs, usage.imports) == (3, 3, 0)


@pytest.mark.usefixtures("file_server")
async def test_a_worker_carries_out_one_after_the_other(
    desk: Desk, file_server: FileServer, start_worker: StartWorker
) -> None:
    url = file_server.put("/a.csv", CSV)
    made = [await desk.add_only(url, table_name=f"t{number}") for number in range(7)]
    await start_worker()
    for sync, run_id in made:
        await desk.wait_for(run_id)
        assert (await desk.sync(sync.id)).state is SyncState.SUCCESS
