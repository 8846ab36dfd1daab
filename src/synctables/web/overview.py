"""What the first page tells of an account's sync tables, as values for a template."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from synctables.catalog.tables import list_row_counts
from synctables.log import public_url
from synctables.syncs.model import Sync, SyncState
from synctables.syncs.service import list_syncs

FRESH_HEARTBEAT_SECONDS = 60

_LIVE_WORKERS = """
SELECT count(*) AS worker_count FROM procrastinate_workers
WHERE last_heartbeat > now() - make_interval(secs => %(fresh)s)
"""

_RESULTS = {
    SyncState.CREATED: "waiting for its first run",
    SyncState.QUEUED: "waiting for a worker",
    SyncState.SYNCING: "looking at the source",
    SyncState.SUCCESS: "equals its source",
    SyncState.FAILURE: "failed",
}
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A time: exact for machines, relative for people."""

    at: datetime
    text: str


@dataclass(frozen=True, kw_only=True)
class SyncLine:
    """One sync table as the page shows it."""

    id: UUID
    name: str
    source: str
    every: str
    state: str
    result: str
    equal_since: Moment | None
    next_look: Moment
    row_count: int | None


@dataclass(frozen=True, kw_only=True)
class Overview:
    worker_count: int
    lines: tuple[SyncLine, ...]


async def read_overview(
    connection: AsyncConnection[DictRow], *, account_id: UUID, now: datetime
) -> Overview:
    """The account's sync tables, by name; those without a name yet come last."""
    row_counts = await list_row_counts(connection, account_id)
    syncs = await list_syncs(connection, account_id=account_id)
    cursor = await connection.execute(_LIVE_WORKERS, {"fresh": FRESH_HEARTBEAT_SECONDS})
    row = await cursor.fetchone() or {"worker_count": 0}
    syncs.sort(key=lambda sync: (sync.name is None, sync.name or "", sync.created_at))
    return Overview(
        worker_count=row["worker_count"],
        lines=tuple(describe(sync, row_counts=row_counts, now=now) for sync in syncs),
    )


def describe(sync: Sync, *, row_counts: dict[UUID, int], now: datetime) -> SyncLine:
    """One line; the address without what may be secret in it."""
    is_failure = sync.state is SyncState.FAILURE
    return SyncLine(
        id=sync.id,
        name=sync.name or sync.options.table_name or "(no table yet)",
        source=public_url(sync.url),
        every=format_seconds(sync.options.interval_seconds),
        state=sync.state.value,
        result=(sync.error_message or _RESULTS[sync.state]) if is_failure else _RESULTS[sync.state],
        equal_since=moment(sync.ran_at, now=now) if sync.table_id else None,
        next_look=moment(sync.run_at, now=now),
        row_count=row_counts.get(sync.table_id) if sync.table_id else None,
    )


def moment(at: datetime, *, now: datetime) -> Moment:
    """``12 s ago``, ``in 59 min``, ``now``: the largest unit, whole."""
    distance = at - now
    if abs(distance) < timedelta(seconds=1):
        return Moment(at=at, text="now")
    length = format_seconds(int(abs(distance).total_seconds()), exact=False)
    return Moment(at=at, text=f"in {length}" if distance > timedelta(0) else f"{length} ago")


def format_seconds(seconds: int, *, exact: bool = True) -> str:
    """In the largest unit that divides it, or, inexactly, the largest that fits in it."""
    for unit, length in _UNITS:
        if seconds >= length and (not exact or seconds % length == 0):
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
