"""How long an answer may be kept never moves a slot; when to come back does, up to a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from synctables.syncs.model import Sync, SyncState
from tests.support.file_server import FileServer
from tests.support.workers import Desk
from tests.support.workload import RUN_COUNT, make_due

CSV = b"name,size\nOslo,1\n"
INTERVAL = timedelta(hours=1)
LATE = timedelta(hours=3, minutes=10)
"""How long ago the slot was, so that a pause counted from now would be another time."""

IN_A_YEAR = format_datetime(datetime.now(UTC) + timedelta(days=365), usegmt=True)
KEPT_FOR_A_YEAR = {
    "Cache-Control": "public, max-age=31536000, s-maxage=31536000, immutable",
    "Expires": IN_A_YEAR,
    "Age": "12",
}


async def become_due(desk: Desk, sync: Sync, *, at: datetime) -> Sync:
    """The sync once it has been asked and whatever that brought has ended."""
    await make_due(desk, sync.id, at=at)

    async def has_ended() -> Sync | None:
        now = await desk.sync(sync.id)
        is_over = now.state in (SyncState.SUCCESS, SyncState.FAILURE)
        return now if is_over and now.run_at > at else None

    return await desk.until(has_ended)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("page", "run_count"),
    [
        pytest.param({"etag": '"v1"'}, 1, id="a 304"),
        pytest.param({"etag": '"v1"', "is_conditional": False}, 1, id="a 200 of the same version"),
        pytest.param({}, 2, id="a 200 without a version and with the same content"),
        pytest.param(
            {"etag": '"v2"', "body": CSV + b"Bergen,2\n"}, 2, id="a 200 with a new version"
        ),
    ],
)
async def test_caching_headers_leave_the_next_slot_where_it_is(
    desk: Desk, file_server: FileServer, page: dict[str, Any], run_count: int
) -> None:
    first, _ = await desk.add(file_server.put("/a.csv", CSV, etag='"v1"', headers=KEPT_FOR_A_YEAR))
    assert timedelta() < first.run_at - datetime.now(UTC) <= INTERVAL
    due_at = datetime.now(UTC) - LATE
    file_server.put("/a.csv", **{"body": CSV, "headers": KEPT_FOR_A_YEAR, **page})

    after = await become_due(desk, first, at=due_at)

    assert (after.state, after.run_at) == (SyncState.SUCCESS, due_at + 4 * INTERVAL)
    assert file_server.request_count("/a.csv") >= 2
    assert await desk.rows(RUN_COUNT) == [(run_count,)]


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("asked", "pause"),
    [
        pytest.param(timedelta(hours=2), timedelta(hours=2), id="in two hours"),
        pytest.param(timedelta(days=-1), timedelta(minutes=1), id="yesterday, which is no pause"),
        pytest.param(timedelta(days=30), timedelta(days=1), id="in a month, which is a day"),
    ],
)
async def test_a_date_to_come_back_at_is_kept_up_to_a_day(
    desk: Desk, file_server: FileServer, asked: timedelta, pause: timedelta
) -> None:
    first, _ = await desk.add(file_server.put("/a.csv", CSV, etag='"v1"'))
    until = format_datetime(datetime.now(UTC) + asked, usegmt=True)
    file_server.put("/a.csv", status=503, headers={"Retry-After": until, **KEPT_FOR_A_YEAR})

    failed = await become_due(desk, first, at=datetime.now(UTC))

    assert (failed.state, failed.error_code) == (SyncState.FAILURE, 1001)
    assert failed.attempted_at is not None
    # A date has whole seconds, and is told a moment before the answer.
    tolerance = timedelta(seconds=20) if asked == pause else timedelta()
    assert pause - tolerance <= failed.run_at - failed.attempted_at <= pause
