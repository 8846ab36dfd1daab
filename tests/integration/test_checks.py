"""A due sync is asked cheaply whether its source changed; only a change, or doubt, costs a run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from synctables.datasources.base import SourceVersion
from synctables.syncs.checks import is_same
from synctables.syncs.model import Sync, SyncState
from tests.support.file_pages import Page
from tests.support.file_server import FileServer
from tests.support.workers import Desk
from tests.support.workload import RUN_COUNT, make_due, put_copies

CSV = b"name,size\nOslo,1\n"
MODIFIED = "Sun, 06 Nov 1994 08:49:37 GMT"


async def check(desk: Desk, sync: Sync) -> Sync:
    """Let the sync become due, and wait until whatever that brings has ended."""
    await make_due(desk, sync.id)
    before = (await desk.sync(sync.id)).attempted_at

    async def has_ended() -> Sync | None:
        now = await desk.sync(sync.id)
        is_over = now.state in (SyncState.SUCCESS, SyncState.FAILURE)
        return now if is_over and now.attempted_at != before else None

    return await desk.until(has_ended)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("validators", "header"),
    [
        pytest.param({"etag": '"v1"'}, "if-none-match", id="a strong ETag"),
        pytest.param({"etag": 'W/"v1"'}, "if-none-match", id="a weak ETag"),
        pytest.param({"last_modified": MODIFIED}, "if-modified-since", id="a date"),
    ],
)
async def test_an_unchanged_source_costs_one_question_and_no_run(
    desk: Desk, file_server: FileServer, validators: dict[str, str], header: str
) -> None:
    first, _ = await desk.add(file_server.put("/a.csv", CSV, **validators))
    log = await desk.log(first.log_id)

    same = await check(desk, first)

    assert (same.state, same.retried_times, same.version) == (SyncState.SUCCESS, 0, first.version)
    assert same.ran_at > first.ran_at
    assert same.updated_at == first.updated_at
    assert [request.method for request in file_server.requests("/a.csv")] == ["GET", "GET"]
    assert header in file_server.requests("/a.csv")[-1].headers
    assert await desk.rows(RUN_COUNT) == [(1,)]
    assert await desk.log(first.log_id) == log
    assert await desk.rows("SELECT count(*) FROM checks") == [(0,)]


@pytest.mark.usefixtures("worker")
async def test_the_next_check_counts_from_the_slot_that_was_due(
    desk: Desk, file_server: FileServer
) -> None:
    first, _ = await desk.add(file_server.put("/a.csv", CSV, etag='"v1"'))
    due_at = datetime.now(UTC) - timedelta(hours=3, minutes=10)
    await make_due(desk, first.id, at=due_at)

    async def has_moved() -> Sync | None:
        sync = await desk.sync(first.id)
        return sync if sync.run_at > due_at else None

    assert (await desk.until(has_moved)).run_at == due_at + timedelta(hours=4)


@pytest.mark.usefixtures("worker")
async def test_a_changed_source_gets_a_run(desk: Desk, file_server: FileServer) -> None:
    url = file_server.put("/a.csv", CSV, etag='"v1"')
    first, _ = await desk.add(url)
    file_server.put("/a.csv", CSV + b"Bergen,2\n", etag='"v2"')

    changed = await check(desk, first)

    assert changed.version.etag == '"v2"'
    assert await desk.rows(RUN_COUNT) == [(2,)]
    assert await desk.rows("SELECT count(*) FROM a") == [(2,)]


@pytest.mark.usefixtures("worker")
async def test_a_server_without_validators_costs_a_run_that_finds_the_same_content(
    desk: Desk, file_server: FileServer
) -> None:
    first, _ = await desk.add(file_server.put("/a.csv", CSV))
    same = await check(desk, first)
    assert same.updated_at == first.updated_at
    assert await desk.rows("SELECT outcome FROM runs ORDER BY created_at") == [
        ("success",),
        ("not_modified",),
    ]


@pytest.mark.usefixtures("worker")
async def test_validators_that_the_server_no_longer_sends_are_forgotten(
    desk: Desk, file_server: FileServer
) -> None:
    first, _ = await desk.add(file_server.put("/a.csv", CSV, etag='"v1"'))
    file_server.put("/a.csv", CSV)
    same = await check(desk, first)
    assert (same.version.etag, same.version.content_sha256) == (None, first.version.content_sha256)
    assert same.updated_at == first.updated_at


@pytest.mark.usefixtures("worker")
async def test_a_server_that_ignores_the_condition_is_known_by_its_strong_etag(
    desk: Desk, file_server: FileServer
) -> None:
    first, _ = await desk.add(file_server.put("/a.csv", CSV, etag='"v1"', is_conditional=False))
    await check(desk, first)
    assert await desk.rows(RUN_COUNT) == [(1,)]


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("page", "code", "pause"),
    [
        pytest.param({"status": 500}, 1001, timedelta(minutes=1), id="it fails"),
        pytest.param({"status": 404}, 1100, timedelta(hours=1), id="the file is gone"),
        pytest.param(
            {"status": 429, "headers": {"Retry-After": "7200"}},
            1001,
            timedelta(hours=2),
            id="it wants to be left alone",
        ),
        pytest.param(
            {"status": 503, "headers": {"Retry-After": "9999999"}},
            1001,
            timedelta(days=1),
            id="for longer than a day",
        ),
        pytest.param(
            {"redirect": "http://10.0.0.1/a.csv"}, None, None, id="it leads into a private network"
        ),
    ],
)
async def test_a_check_that_fails_is_a_failure_of_the_sync_at_once(
    desk: Desk,
    file_server: FileServer,
    page: dict[str, Any],
    code: int | None,
    pause: timedelta | None,
) -> None:
    first, _ = await desk.add(file_server.put("/a.csv", CSV, etag='"v1"'))
    if "redirect" in page:
        file_server.redirect("/a.csv", to=page["redirect"])
    else:
        file_server.put("/a.csv", **page)

    failed = await check(desk, first)

    assert (failed.state, failed.retried_times) == (SyncState.FAILURE, 1)
    assert failed.attempted_at is not None
    assert code in (None, failed.error_code)
    assert pause in (None, failed.run_at - failed.attempted_at)
    assert (failed.ran_at, failed.version) == (first.ran_at, first.version)
    assert failed.error_message
    assert (await desk.log(first.log_id)).splitlines()[-1] == failed.error_message
    assert await desk.rows(RUN_COUNT) == [(1,)]

    file_server.put("/a.csv", CSV, etag='"v1"')
    healed = await check(desk, first)
    assert (healed.state, healed.error_code, healed.retried_times) == (SyncState.SUCCESS, None, 0)
    assert "answers again" in await desk.log(first.log_id)
    assert await desk.rows(RUN_COUNT) == [(1,)]


@pytest.mark.usefixtures("worker")
async def test_one_who_is_sent_away_spares_the_host_the_rest_of_the_batch(
    desk: Desk, file_server: FileServer
) -> None:
    first, _ = await desk.add(file_server.put("/a.csv", CSV, etag='"v1"'))
    file_server.put("/busy", status=429, headers={"Retry-After": "3600"})
    ids = await put_copies(desk, first, [f"{file_server.url('/busy')}?{n}" for n in range(60)])
    await make_due(desk, *ids)

    async def has_rest() -> list[tuple[Any, ...]] | None:
        rows = await desk.rows(
            "SELECT state, count(*), min(put_off_until - now()) > interval '50 minutes'"
            " FROM syncs WHERE state <> 'queued' AND (put_off_until > now() OR retried_times = 1)"
            " GROUP BY state ORDER BY state"
        )
        return rows if sum(row[1] for row in rows) == len(ids) else None

    (failed, sent_away, _), (_, left_alone, are_put_off) = await desk.until(has_rest)
    assert failed == "failure"
    assert 1 <= sent_away <= 12
    assert left_alone == len(ids) - sent_away
    assert are_put_off
    assert file_server.request_count("/busy") == sent_away
    assert await desk.rows(
        "SELECT count(DISTINCT attempted_at), max(error_code) FROM syncs WHERE state = 'success'"
    ) == [(1, None)]


@pytest.mark.usefixtures("worker")
async def test_a_host_that_is_down_holds_nobody_up_for_long(
    desk: Desk, file_server: FileServer
) -> None:
    first, _ = await desk.add(file_server.put("/a.csv", CSV, etag='"v1"'))
    ids = await put_copies(desk, first, [f"http://127.0.0.1:9/{n}.csv" for n in range(60)])
    await make_due(desk, *ids, first.id)

    async def have_failed() -> list[tuple[Any, ...]] | None:
        rows = await desk.rows(
            "SELECT error_code, error_message FROM syncs WHERE retried_times = 1"
        )
        return rows if len(rows) == len(ids) else None

    rows = await desk.until(have_failed)
    assert {code for code, _ in rows} == {1102}
    given_up = [text for _, text in rows if "127.0.0.1:9 answered none of the last 6" in text]
    assert len(ids) - 12 <= len(given_up) < len(ids)

    async def is_checked() -> bool | None:  # in a batch of its own, which may end later
        return (await desk.sync(first.id)).state is SyncState.SUCCESS or None

    assert await desk.until(is_checked)


@pytest.mark.usefixtures("worker")
async def test_a_sync_that_waits_to_be_checked_can_be_forced_and_the_check_lets_go_of_it(
    desk: Desk, file_server: FileServer
) -> None:
    url = file_server.put("/a.csv", CSV, etag='"v1"')
    first, _ = await desk.add(url)
    file_server.script(
        "/a.csv",
        Page(body=CSV, etag='"v1"', hold_after_bytes=0, holds_headers=True),
        Page(body=CSV + b"Bergen,2\n", etag='"v2"'),
    )
    await make_due(desk, first.id)
    await asyncio.to_thread(file_server.wait_until_held, "/a.csv")
    assert (await desk.sync(first.id)).state is SyncState.QUEUED
    forced, _ = await desk.force(first.id)
    assert forced.version.etag == '"v2"'
    file_server.release("/a.csv")

    async def has_ended() -> bool | None:
        return (await desk.rows("SELECT count(*) FROM checks")) == [(0,)] or None

    await desk.until(has_ended)
    after = await desk.sync(first.id)
    assert (after.state, after.version, after.attempted_at) == (
        SyncState.SUCCESS,
        forced.version,
        forced.attempted_at,
    )


@pytest.mark.parametrize(
    ("now", "known", "expected"),
    [
        ({"etag": '"a"'}, {"etag": '"a"'}, True),
        ({"etag": '"b"'}, {"etag": '"a"'}, False),
        ({"etag": 'W/"a"'}, {"etag": 'W/"a"'}, False),
        ({"last_modified": MODIFIED}, {"last_modified": MODIFIED}, False),
        ({"revision": "7"}, {"revision": "7"}, True),
        ({"revision": "8", "etag": '"a"'}, {"revision": "7", "etag": '"a"'}, False),
        ({}, {}, False),
    ],
)
def test_only_what_tells_every_byte_tells_that_an_answer_is_the_same(
    now: dict[str, Any], known: dict[str, Any], expected: bool
) -> None:
    assert is_same(SourceVersion(**now), SourceVersion(**known)) is expected
