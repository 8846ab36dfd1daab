"""When a sync runs next. Pure: every function takes ``now`` and returns values."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from uuid import UUID

from synctables.syncs.model import SyncState

TRANSIENT_BASE = timedelta(minutes=1)
LONGEST_BACKOFF = timedelta(days=1)
WIDEST_SPREAD_SECONDS = 60.0
SPREAD_SHARE = 1 / 15
"""Of the interval; at the documented minimum of 900 s it reaches the widest spread."""


def next_slot(due_at: datetime, interval: timedelta, now: datetime) -> datetime:
    """The first slot after ``now``, counted in whole intervals from the slot that was due.

    A run that was forced before its slot leaves the slot where it was, unless failures had moved it
    further away than one interval.
    """
    missed = (now - due_at) // interval  # negative while the slot is ahead
    return due_at + (missed + 1) * interval


def retry_at(
    *,
    now: datetime,
    interval: timedelta,
    failure_streak: int,
    is_transient: bool,
    retry_after: timedelta | None = None,
) -> datetime:
    """When to try again after the ``failure_streak``-th consecutive failed run (1 = the first).

    Transient failures wait 1, 2, 4, … minutes, terminal ones 1, 2, 4, … intervals; neither more
    than a day, unless the interval itself is longer. The source's ``Retry-After`` may delay
    further, up to a day.
    """
    doublings = 1 << min(failure_streak - 1, 20)
    base = TRANSIENT_BASE if is_transient else min(interval, LONGEST_BACKOFF)
    pause = min(base * doublings, LONGEST_BACKOFF)
    if not is_transient:
        pause = max(interval, pause)
    if retry_after is not None:
        pause = max(pause, min(retry_after, LONGEST_BACKOFF))
    return now + pause


def spread_seconds(sync_id: UUID, interval: timedelta) -> float:
    """How much later than ``run_at`` a sync is claimed, so that many made together spread out."""
    share = (sync_id.int % 1000) / 1000
    return share * min(WIDEST_SPREAD_SECONDS, interval.total_seconds() * SPREAD_SHARE)


def force_refusal(
    *,
    state: SyncState,
    created_at: datetime,
    attempted_at: datetime | None,
    now: datetime,
    gap: timedelta,
) -> tuple[str, int] | None:
    """Why a run cannot be forced now, and after how many seconds to ask again; None: it can.

    The gap counts from the end of the last attempt, or from creation.
    """
    wait = math.ceil(((attempted_at or created_at) + gap - now).total_seconds())
    if state is SyncState.SYNCING:
        return "A run of this sync is under way.", max(wait, 1)
    if state in (SyncState.CREATED, SyncState.QUEUED):
        return "A run of this sync is already waiting in the queue.", max(wait, 1)
    if wait > 0:
        minutes = f"{gap.total_seconds():g} seconds"
        return f"The last attempt was less than {minutes} ago.", wait
    return None
