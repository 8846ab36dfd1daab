"""What a plan does not allow of a run's file: refused with its code, and the tables as before."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING, Any

import pytest

from synctables.importer.model import Stage, Typed
from synctables.importer.pipeline import Source
from synctables.importer.table_sizes import estimate_table_bytes
from synctables.syncs import recorder
from synctables.syncs.quotas import read_usage

if TYPE_CHECKING:
    from synctables.syncs.model import Sync
    from tests.support.file_server import FileServer
    from tests.support.workers import Desk, StartWorker

TEN_ROWS = b"name,lat,lon\n" + b"".join(b"p%d,40.%d,-3.%d\n" % (n, n, n) for n in range(10))


def rows_of(count: int, *, text: str = "x") -> bytes:
    lines = (f"{number},{text}\n" for number in range(count))
    return ("number,text\n" + "".join(lines)).encode()


async def set_limits(desk: Desk, **limits: Any) -> None:
    changes = ", ".join(f"{name} = {value}" for name, value in limits.items())
    await desk.execute(f"UPDATE plans SET {changes}")


async def tables_of(desk: Desk) -> list[tuple[Any, ...]]:
    return await desk.rows(
        "SELECT relname FROM pg_class WHERE relnamespace = 'alice'::regnamespace AND relkind = 'r'"
        " ORDER BY relname"
    )


@pytest.mark.parametrize(
    "page",
    [
        {"body": TEN_ROWS},
        {"body": TEN_ROWS, "is_chunked": True},
        {"body": b"a\n" + b"1\n" * 500, "content_encoding": "gzip"},
    ],
    ids=["announced", "while it streams", "while it is decoded"],
)
async def test_a_file_larger_than_the_plan_allows_is_6666(
    desk: Desk, file_server: FileServer, worker: None, page: dict[str, Any]
) -> None:
    await set_limits(desk, max_file_bytes=100)
    sync, run = await desk.add(file_server.put("/a.csv", **page))
    assert (sync.error_code, run.error_code) == (6666, 6666)
    assert await tables_of(desk) == []


async def test_a_file_that_is_too_large_unpacked_is_6666(
    desk: Desk, file_server: FileServer, worker: None
) -> None:
    packed = gzip.compress(rows_of(2000))
    await set_limits(desk, max_file_bytes=len(packed) + 100)
    _, run = await desk.add(file_server.put("/a.csv.gz", packed))
    assert run.error_code == 6666


async def test_more_rows_than_the_plan_allows_are_6668_and_the_table_stays(
    desk: Desk, file_server: FileServer, worker: None
) -> None:
    await set_limits(desk, max_rows=10)
    sync, run = await desk.add(file_server.put("/a.csv", rows_of(10)))
    assert run.error_code is None
    file_server.put("/a.csv", rows_of(11))
    sync, run = await desk.force(sync.id)
    assert (sync.error_code, run.error_code) == (6668, 6668)
    assert "a has 11 rows; the plan allows 10 in a table." in (sync.error_message or "")
    assert await desk.rows("SELECT count(*) FROM a") == [(10,)]


async def test_more_tables_than_the_plan_allows_are_8002(
    desk: Desk, file_server: FileServer, worker: None
) -> None:
    await set_limits(desk, max_tables=1)
    sync, _ = await desk.add(file_server.put("/a.csv", rows_of(3)))
    _, run = await desk.add(file_server.put("/b.csv", rows_of(3)))
    assert run.error_code == 8002
    assert await tables_of(desk) == [("a",)]
    file_server.put("/a.csv", rows_of(4))
    assert (await desk.force(sync.id))[1].error_code is None  # a refresh makes no table
    await desk.execute("DROP TABLE alice.a")  # somebody drops it by hand: there is room again
    assert (await desk.add(file_server.put("/b.csv", rows_of(3))))[1].error_code is None


async def test_two_at_once_do_not_both_make_the_last_table(
    desk: Desk, file_server: FileServer, worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both pass the gate; whoever comes to its end second is told there."""
    await set_limits(desk, max_tables=1)
    both = asyncio.Barrier(2)
    stage = recorder.RunRecorder.stage

    async def meet(self: recorder.RunRecorder, began: Stage) -> None:
        if began is Stage.APPLY:
            await both.wait()
        await stage(self, began)

    monkeypatch.setattr(recorder.RunRecorder, "stage", meet)
    ids = [(await desk.add_only(file_server.put(f"/{name}.csv", rows_of(3))))[1] for name in "ab"]
    codes = [(await desk.wait_for(run_id)).error_code for run_id in ids]
    assert sorted(codes, key=str) == [8002, None]
    assert len(await tables_of(desk)) == 1


async def test_what_cannot_fit_is_not_downloaded(
    desk: Desk, file_server: FileServer, worker: None
) -> None:
    await set_limits(desk, max_storage_bytes=100)
    _, run = await desk.add(file_server.put("/a.csv", rows_of(1000)))
    assert run.error_code == 8001
    assert "The plan leaves 100 bytes" in (run.error_message or "")


async def test_what_would_not_fit_is_not_loaded(
    desk: Desk, file_server: FileServer, worker: None
) -> None:
    content = rows_of(5000)
    await set_limits(desk, max_storage_bytes=len(content))
    _, run = await desk.add(file_server.put("/a.csv", content))
    assert run.error_code == 8001
    assert "The file would take at least" in (run.error_message or "")
    assert "apply" not in await desk.log(run.log_id)


async def test_what_does_not_fit_after_all_is_rolled_back(
    desk: Desk, file_server: FileServer, worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    await set_limits(desk, max_storage_bytes=100_000)
    monkeypatch.setattr("synctables.importer.pipeline.estimate_table_bytes", lambda _: 0)
    _, run = await desk.add(file_server.put("/a.csv", rows_of(5000)))
    assert run.error_code == 8001
    assert "The account's tables would take" in (run.error_message or "")
    assert await tables_of(desk) == []
    assert await desk.rows("SELECT count(*) FROM tables") == [(0,)]


async def test_a_refresh_that_outgrows_the_storage_is_rolled_back_and_a_smaller_one_is_not(
    desk: Desk, file_server: FileServer, worker: None
) -> None:
    sync, _ = await desk.add(file_server.put("/a.csv", rows_of(200)), max_row_loss=1.0)
    other, _ = await desk.add(file_server.put("/b.csv", rows_of(100)), max_row_loss=1.0)
    async with desk.pool.connection() as connection:
        used = (await read_usage(connection, desk.account.id)).storage_bytes
    await set_limits(desk, max_storage_bytes=used - 1)  # a plan that has become too small
    file_server.put("/a.csv", rows_of(201))
    _, run = await desk.force(sync.id)
    assert run.error_code == 8001
    assert await desk.rows("SELECT count(*) FROM a") == [(200,)]
    file_server.put("/a.csv", rows_of(150))
    assert (await desk.force(sync.id))[1].error_code is None
    assert await desk.rows("SELECT count(*) FROM a") == [(150,)]
    file_server.put("/b.csv", rows_of(100).replace(b"7,x", b"7,y"))
    assert (await desk.force(other.id))[1].error_code is None


async def test_usage_is_what_the_tables_take(
    desk: Desk, file_server: FileServer, worker: None
) -> None:
    await desk.add(file_server.put("/a.csv", rows_of(3000)))
    [(size,)] = await desk.rows("SELECT pg_total_relation_size('alice.a')")
    async with desk.pool.connection() as connection:
        usage = await read_usage(connection, desk.account.id)
    assert (usage.tables, usage.syncs, usage.runs) == (1, 1, 0)
    assert usage.storage_bytes == pytest.approx(size, rel=0.2)  # ANALYZE and maps came after


@pytest.mark.parametrize(
    "content",
    [
        rows_of(20_000),
        rows_of(20_000, text="a longer text with words in it"),
        b"name,lat,lon\n" + b"".join(b"p%d,40.%d,-3.%d\n" % (n, n, n) for n in range(20_000)),
    ],
    ids=["numbers", "texts", "points"],
)
async def test_the_estimate_is_below_what_the_table_takes_but_not_far(
    desk: Desk,
    file_server: FileServer,
    worker: None,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
) -> None:
    estimated: list[int] = []

    def remember(_: object, source: Source) -> None:
        typed: Typed = source.typed
        estimated.extend(map(estimate_table_bytes, typed.layers))

    monkeypatch.setattr("synctables.importer.pipeline.over_allowance", remember)
    _, run = await desk.add(file_server.put("/a.csv", content))
    assert run.error_code is None, run.error_message
    [(size,)] = await desk.rows("SELECT size_bytes FROM tables")
    assert 0.6 * size < estimated[0] <= size


async def test_a_sync_whose_plan_has_no_sync_tables_any_more_fails_with_1011(
    desk: Desk, file_server: FileServer, worker: None
) -> None:
    sync, _ = await desk.add(file_server.put("/a.csv", rows_of(3)))
    await set_limits(desk, sync_tables=False)
    sync, run = await desk.force(sync.id)
    assert (sync.error_code, run.error_code) == (1011, 1011)
    assert "Sync tables are not part of this account's plan" in (sync.error_message or "")
    assert await desk.rows("SELECT count(*) FROM a") == [(3,)]


async def test_runs_above_the_plans_limit_wait_queued_and_all_end(
    desk: Desk, file_server: FileServer, start_worker: StartWorker
) -> None:
    await set_limits(desk, max_concurrent_runs=1)
    added = [await desk.add_only(file_server.put(f"/{name}.csv", rows_of(3))) for name in "abc"]
    jobs = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'synctables.run'"
    assert await desk.rows(jobs) == [(1,)]
    async with desk.pool.connection() as connection:
        usage = await read_usage(connection, desk.account.id)
    assert (usage.runs, usage.waiting_runs) == (1, 2)
    await start_worker()
    for _, run_id in added:
        assert (await desk.wait_for(run_id)).error_code is None
    first, second = added[0][0], added[1][0]
    file_server.put("/a.csv", rows_of(4), hold_after_bytes=10)
    assert (await desk.force_only(first.id)).enqueued
    await asyncio.to_thread(file_server.wait_until_held, "/a.csv")
    assert (await desk.force_only(second.id)).enqueued
    assert (await desk.sync(second.id)).state == "queued"
    assert await desk.rows(jobs) == [(1,)]  # that of the run at work
    file_server.release("/a.csv")
    await desk.until(lambda: _settled(desk, second))


async def _settled(desk: Desk, sync: Sync) -> bool | None:
    return (await desk.sync(sync.id)).state == "success" or None
