"""What a claim takes of the syncs that are due, and what becomes of a batch that comes late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from synctables.errors import FencedError
from synctables.syncs import repository
from synctables.syncs.check_outcomes import Checked, record_checks
from synctables.syncs.check_rows import begin_check
from synctables.syncs.claims import queue_due_syncs
from synctables.syncs.model import Sync, SyncState
from synctables.syncs.outcomes import Outcome, OutcomeKind
from synctables.syncs.recovery import GRACE, requeue_lost_runs
from synctables.syncs.service import SyncChanges, delete_sync, update_sync
from tests.support.workers import Desk
from tests.support.workload import make_due, put_copies

UNCHANGED = Outcome(kind=OutcomeKind.NOT_MODIFIED, message="unchanged")


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
