"""When a sync runs next: tables of cases for pure functions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synctables.syncs.model import SyncState
from synctables.syncs.schedule import force_refusal, next_slot, retry_at, spread_seconds

NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("due_at", "now", "expected"),
    [
        pytest.param(NOON, NOON, NOON + HOUR, id="on time"),
        pytest.param(NOON, NOON + 59 * MINUTE, NOON + HOUR, id="a slow run keeps the slot"),
        pytest.param(NOON, NOON + HOUR, NOON + 2 * HOUR, id="a run as long as the interval"),
        pytest.param(NOON, NOON + 2.5 * HOUR, NOON + 3 * HOUR, id="missed slots are not made up"),
        pytest.param(NOON, NOON - MINUTE, NOON, id="a forced run leaves the slot"),
        pytest.param(
            NOON + DAY, NOON + 5 * MINUTE, NOON + HOUR, id="a forced run ends a long backoff"
        ),
        pytest.param(NOON, NOON + 400 * DAY, NOON + 400 * DAY + HOUR, id="after a year off"),
    ],
)
def test_next_slot(due_at: datetime, now: datetime, expected: datetime) -> None:
    assert next_slot(due_at, HOUR, now) == expected


@pytest.mark.parametrize(
    ("interval", "streak", "is_transient", "retry_after", "pause"),
    [
        (HOUR, 1, True, None, MINUTE),
        (HOUR, 2, True, None, 2 * MINUTE),
        (HOUR, 5, True, None, 16 * MINUTE),
        (HOUR, 50, True, None, DAY),
        (HOUR, 1, False, None, HOUR),
        (HOUR, 3, False, None, 4 * HOUR),
        (HOUR, 99, False, None, DAY),
        (30 * DAY, 4, False, None, 30 * DAY),
        (20_000 * DAY, 50, False, None, 20_000 * DAY),
        (HOUR, 1, True, 10 * MINUTE, 10 * MINUTE),
        (HOUR, 1, True, timedelta(seconds=5), MINUTE),
        (HOUR, 1, True, 40 * DAY, DAY),
    ],
)
def test_retry_at(
    interval: timedelta,
    streak: int,
    is_transient: bool,
    retry_after: timedelta | None,
    pause: timedelta,
) -> None:
    found = retry_at(
        now=NOON,
        interval=interval,
        failure_streak=streak,
        is_transient=is_transient,
        retry_after=retry_after,
    )
    assert found == NOON + pause


@given(
    st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2040, 1, 1)),  # noqa: DTZ001
    st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=400)),
    st.timedeltas(min_value=timedelta(days=-9), max_value=timedelta(days=900)),
)
def test_a_next_slot_is_ahead_and_in_step(
    due_at: datetime, interval: timedelta, late: timedelta
) -> None:
    due_at = due_at.replace(tzinfo=UTC)
    now = due_at + late
    found = next_slot(due_at, interval, now)
    assert now < found <= now + interval
    assert (found - due_at) % interval == timedelta()


@given(st.uuids(), st.integers(1, 10**9))
def test_the_spread_stays_within_a_minute_and_the_interval(sync_id: UUID, seconds: int) -> None:
    interval = timedelta(seconds=seconds)
    assert 0 <= spread_seconds(sync_id, interval) <= min(60, seconds / 15)


GAP = timedelta(seconds=900)


@pytest.mark.parametrize(
    ("state", "attempted", "seconds"),
    [
        pytest.param(SyncState.SUCCESS, 900, None, id="after the gap"),
        pytest.param(SyncState.FAILURE, 901, None, id="a failed one too"),
        pytest.param(SyncState.SUCCESS, 899, 1, id="one second early"),
        pytest.param(SyncState.FAILURE, 0, 900, id="just attempted"),
        pytest.param(SyncState.SUCCESS, None, 300, id="never attempted: from creation"),
        pytest.param(SyncState.SYNCING, 5000, 1, id="under way"),
        pytest.param(SyncState.QUEUED, 5000, 1, id="waiting"),
        pytest.param(SyncState.CREATED, None, 300, id="just created"),
    ],
)
def test_force_refusal(state: SyncState, attempted: int | None, seconds: int | None) -> None:
    refusal = force_refusal(
        state=state,
        created_at=NOON - timedelta(seconds=600),
        attempted_at=None if attempted is None else NOON - timedelta(seconds=attempted),
        now=NOON,
        gap=GAP,
    )
    assert (refusal[1] if refusal else None) == seconds
