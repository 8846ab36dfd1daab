"""A due sync is asked cheaply whether its source changed; only a change, or doubt, costs a run."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from synctables.datasources.base import SourceVersion
from synctables.datasources.source import Source
from synctables.errors import DownloadError, DownloadTimeoutError, FencedError
from synctables.syncs import repository
from synctables.syncs.check_outcomes import Checked, record_checks
from synctables.syncs.check_rows import Target, begin_check
from synctables.syncs.checks import Lane, in_turns, is_same
from synctables.syncs.claims import BATCH, Due, make_batches, queue_due_syncs
from synctables.syncs.model import Sync, SyncState
from synctables.syncs.outcomes import Outcome, OutcomeKind
from synctables.syncs.recovery import GRACE, requeue_lost_runs
from synctables.syncs.service import SyncChanges, delete_sync, update_sync
from tests.support.file_server import FileServer, Page
from tests.support.workers import Desk
from tests.support.workload import RUN_COUNT, make_due, put_copies

CSV = b"name,size\nOslo,1\n"
MODIFIED = "Sun, 06 Nov 1994 08:49:37 GMT"
UNCHANGED = Outcome(kind=OutcomeKind.NOT_MODIFIED, message="unchanged")


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
    assert (await desk.sync(first.id)).state is SyncState.SUCCESS


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


async def claim(desk: Desk, *, limit: int = 1000) -> tuple[int, int]:
    async with desk.pool.connection() as connection:
        claimed = await queue_due_syncs(connection, desk.jobs_app, limit=limit, runs_at_once=3)
    return claimed.checks, claimed.runs


@pytest.mark.parametrize(
    ("change", "is_checked"),
    [
        pytest.param("SET etag = etag", True, id="a version is known"),
        pytest.param("SET etag = NULL", False, id="only the content is known"),
        pytest.param("SET reads_anew = true", False, id="other options of reading were set"),
        pytest.param("SET table_id = NULL", False, id="there is no table yet"),
        pytest.param("SET state = 'failure', retried_times = 1", True, id="it failed last time"),
    ],
)
async def test_only_what_can_be_told_cheaply_is_checked(
    standing: Sync, desk: Desk, change: str, is_checked: bool
) -> None:
    await desk.execute(f"UPDATE syncs {change}")
    await make_due(desk, standing.id)
    assert await claim(desk) == ((1, 0) if is_checked else (0, 1))
    assert await claim(desk) == (0, 0)


async def test_a_table_that_was_dropped_is_told_by_a_run(standing: Sync, desk: Desk) -> None:
    await desk.execute("DROP TABLE alice.a")
    await make_due(desk, standing.id)
    assert await claim(desk) == (0, 1)


async def test_a_put_off_sync_keeps_its_slot_and_is_not_claimed_before(
    standing: Sync, desk: Desk
) -> None:
    due_at = datetime.now(UTC) - timedelta(minutes=5)
    await make_due(desk, standing.id, at=due_at)
    await desk.execute("UPDATE syncs SET put_off_until = now() + interval '1 hour'")
    assert await claim(desk) == (0, 0)
    await desk.execute("UPDATE syncs SET put_off_until = now() - interval '1 second'")
    assert await claim(desk) == (1, 0)
    assert (await desk.sync(standing.id)).run_at == due_at


async def test_accounts_and_hosts_take_turns_when_more_is_due_than_a_claim_takes(
    standing: Sync, desk: Desk
) -> None:
    crowd = await put_copies(desk, standing, [f"http://one.example/{n}" for n in range(50)])
    await make_due(desk, *crowd, at=datetime.now(UTC) - timedelta(hours=9))
    others = await put_copies(desk, standing, [f"http://h{n}.example/" for n in range(5)])
    await make_due(desk, *others)
    assert await claim(desk, limit=30) == (30, 0)
    taken = await desk.rows(
        "SELECT count(*) FROM syncs WHERE url LIKE '%//h%' AND state = 'queued'"
    )
    assert taken == [(5,)]


async def test_a_batch_whose_worker_was_presumed_dead_records_nothing(
    standing: Sync, desk: Desk
) -> None:
    await make_due(desk, standing.id)
    await claim(desk)
    [(check_id,)] = await desk.rows("SELECT id FROM checks")
    async with desk.pool.connection() as connection:
        frozen = await begin_check(connection, check_id)
    async with desk.pool.connection() as connection:
        successor = await begin_check(connection, check_id)
    assert frozen is not None
    assert successor is not None
    found = [Checked(sync_id=standing.id, outcome=UNCHANGED)]
    now = datetime.now(UTC)
    with pytest.raises(FencedError):
        async with desk.pool.connection() as connection:
            await record_checks(connection, frozen, found, now=now)
    assert (await desk.sync(standing.id)).state is SyncState.QUEUED
    async with desk.pool.connection() as connection:
        await record_checks(connection, successor, found, now=now)
    assert (await desk.sync(standing.id)).state is SyncState.SUCCESS


@pytest.mark.parametrize(
    "accident",
    [
        pytest.param("DELETE FROM procrastinate_jobs", id="its job is lost"),
        pytest.param("UPDATE procrastinate_jobs SET status = 'failed'", id="its job failed"),
        pytest.param("DELETE FROM checks", id="the batch is lost"),
        pytest.param(
            "UPDATE syncs SET claim_id = gen_random_uuid()", id="the claim came to nothing"
        ),
    ],
)
async def test_syncs_of_a_lost_check_are_put_back_and_due_at_once(
    standing: Sync, desk: Desk, accident: str
) -> None:
    await make_due(desk, standing.id)
    await claim(desk)
    await desk.execute("UPDATE checks SET created_at = now() - interval '10 minutes'")
    await desk.execute(accident)
    assert timedelta(minutes=10) > GRACE
    async with desk.pool.connection() as connection:
        await requeue_lost_runs(connection, desk.jobs_app, at_once=3)
    assert (await desk.sync(standing.id)).state is SyncState.SUCCESS
    assert await claim(desk) == (1, 0)


async def test_a_sync_that_was_removed_is_no_longer_in_its_batch(
    standing: Sync, desk: Desk
) -> None:
    await make_due(desk, standing.id)
    await claim(desk)
    async with desk.pool.connection() as connection:
        await delete_sync(connection, account_id=desk.account.id, sync_id=standing.id)
    [(check_id,)] = await desk.rows("SELECT id FROM checks")
    async with desk.pool.connection() as connection:
        begun = await begin_check(connection, check_id)
    assert begun is not None
    assert begun.targets == ()


async def test_an_interval_that_was_changed_during_the_check_holds(
    standing: Sync, desk: Desk
) -> None:
    await make_due(desk, standing.id)
    await claim(desk)
    [(check_id,)] = await desk.rows("SELECT id FROM checks")
    async with desk.pool.connection() as connection:
        begun = await begin_check(connection, check_id)
        changed = await update_sync(
            connection,
            account_id=desk.account.id,
            sync_id=standing.id,
            changes=SyncChanges(interval_seconds=7200),
            limits=desk.limits,
        )
        assert begun is not None
        found = [Checked(sync_id=standing.id, outcome=UNCHANGED)]
        now = await repository.read_clock(connection)
        await record_checks(connection, begun, found, now=now)
    assert (await desk.sync(standing.id)).run_at == changed.run_at


@pytest.mark.parametrize(
    ("ahead", "change", "is_brought_back"),
    [
        pytest.param("1 year", "", True, id="a year"),
        pytest.param("20 hours", "", True, id="hours, after a success"),
        pytest.param("20 hours", ", state = 'failure'", False, id="a new try may be so far off"),
        pytest.param("2 days", ", state = 'failure'", True, id="no new try is so far off"),
        pytest.param("59 minutes", "", False, id="an hourly sync may be so far off"),
    ],
)
async def test_a_server_clock_that_was_put_back_strands_no_sync(
    standing: Sync, desk: Desk, ahead: str, change: str, is_brought_back: bool
) -> None:
    """The clock struck in what is the future now, and the next slot is there."""
    assert await claim(desk) == (0, 0)
    await desk.execute(f"UPDATE clock SET struck_at = now() + interval '{ahead}'")
    await desk.execute(f"UPDATE syncs SET run_at = now() + interval '{ahead}' {change}")
    await claim(desk)
    sync = await desk.sync(standing.id)
    assert (sync.run_at < datetime.now(UTC)) is is_brought_back


async def test_a_plan_without_sync_tables_is_told_by_a_run(standing: Sync, desk: Desk) -> None:
    """Else an unchanged source would be a success, and a changed one a failure."""
    await desk.execute("UPDATE plans SET sync_tables = false")
    await make_due(desk, standing.id)
    assert await claim(desk) == (0, 1)
    await desk.execute("DELETE FROM runs")
    await desk.execute("UPDATE syncs SET state = 'success', from_external_source = true")
    assert await claim(desk) == (1, 0)


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


def lane_of_two(own: int, others: int) -> tuple[Lane, Target]:
    def target(account: int) -> Target:
        return Target(
            sync_id=uuid4(),
            account_id=UUID(int=account),
            source=Source(url="http://h/a"),
            version=SourceVersion(etag='"1"'),
            lane="h",
        )

    targets = deque([target(1) for _ in range(own)] + [target(2) for _ in range(others)])
    return Lane(name="h", targets=targets), target(1)


def test_one_accounts_bad_luck_with_a_host_puts_others_off_and_not_for_long() -> None:
    lane, asked = lane_of_two(2, 3)
    another = replace(asked, account_id=UUID(int=3))
    busy = DownloadError("busy", retry_after_seconds=7200)
    for _ in range(2):
        pauses = [one.put_off for one in lane.give_up_after(asked, busy)]
        assert pauses == [timedelta(hours=2)] * 2
        assert {one.account_id for one in lane.targets} == {UUID(int=2)}
        lane.targets.extend([asked, asked])
    pauses = [one.put_off for one in lane.give_up_after(another, busy)]
    assert pauses == [timedelta(minutes=15)] * 5
    assert not lane.targets

    lane, asked = lane_of_two(2, 3)
    silence = DownloadTimeoutError("nothing")
    assert [lane.give_up_after(asked, silence) for _ in range(5)] == [[]] * 5
    found = lane.give_up_after(asked, silence)
    assert [one.put_off for one in found] == [None] * 2 + [timedelta(minutes=1)] * 3
    assert {str(one.outcome.error) for one in found if one.outcome} == {
        "h answered none of the last 6 checks."
    }


def test_an_answer_of_any_kind_ends_the_silence_of_a_host() -> None:
    lane, asked = lane_of_two(1, 1)
    for _ in range(3):
        for _ in range(5):
            assert lane.give_up_after(asked, DownloadTimeoutError("nothing")) == []
        assert lane.give_up_after(asked, DownloadError("500")) == []
    assert len(lane.targets) == 2


def test_accounts_take_turns_at_a_host() -> None:
    lane, _ = lane_of_two(40, 3)
    first = [target.account_id.int for target in in_turns(lane.targets)[:6]]
    assert [sorted(first[at : at + 2]) for at in (0, 2, 4)] == [[1, 2]] * 3


def due(lane: str, ranks: range) -> list[Due]:
    return [Due(id=uuid4(), lane=lane, rank=rank) for rank in ranks]


def test_a_batch_is_of_one_host_and_those_further_back_in_line_come_later() -> None:
    long, small = due("long", range(BATCH + 50)), [due(f"h{n}", range(2))[0] for n in range(70)]
    found = make_batches([*reversed(long), *small])
    assert [(one.lane, len(one.due), one.priority) for one in found] == [
        ("long", BATCH, 0),
        ("long", 50, -1),
        (None, 70, 0),
    ]
    behind = due("late", range(5000, 5020))
    assert [one.priority for one in make_batches(behind)] == [-20]
