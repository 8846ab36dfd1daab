"""What the first page tells of an account's sync tables, as values for a template."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from synctables.catalog.tables import list_row_counts
from synctables.durations import format_distance, format_seconds
from synctables.jobs import FRESH_HEARTBEAT_SECONDS
from synctables.log import public_url
from synctables.syncs.model import Sync, SyncState
from synctables.syncs.service import list_syncs

_HAS_WORKER = """
SELECT EXISTS (SELECT FROM procrastinate_workers
               WHERE last_heartbeat > now() - make_interval(secs => %(fresh)s)) AS has_worker
"""

_RESULTS = {
    SyncState.CREATED: "waiting for its first run",
    SyncState.QUEUED: "waiting for a worker",
    SyncState.SYNCING: "looking at the source",
    SyncState.SUCCESS: "equals its source",
    SyncState.FAILURE: "failed",
}


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
    has_worker: bool
    lines: tuple[SyncLine, ...]


async def read_overview(
    connection: AsyncConnection[DictRow], *, account_id: UUID, now: datetime
) -> Overview:
    """The account's sync tables, by name; those without a name yet come last."""
    row_counts = await list_row_counts(connection, account_id)
    syncs = await list_syncs(connection, account_id=account_id)
    cursor = await connection.execute(_HAS_WORKER, {"fresh": FRESH_HEARTBEAT_SECONDS})
    row = await cursor.fetchone()
    syncs.sort(key=lambda sync: (sync.name is None, sync.name or "", sync.created_at))
    return Overview(
        has_worker=row is not None and row["has_worker"],
        lines=tuple(describe(sync, row_counts=row_counts, now=now) for sync in syncs),
    )


def describe(sync: Sync, *, row_counts: dict[UUID, int], now: datetime) -> SyncLine:
    """One line; the address without what may be secret in it."""
    is_failure = sync.state is SyncState.FAILURE
    return SyncLine(
        id=sync.id,
        name=sync.name or sync.options.table_name or "(no table yet)",
        source=_source_of(sync),
        every=format_seconds(sync.options.interval_seconds),
        state=sync.state.value,
        result=(sync.error_message or _RESULTS[sync.state]) if is_failure else _RESULTS[sync.state],
        equal_since=moment(sync.ran_at, now=now) if sync.table_id else None,
        next_look=moment(sync.run_at, now=now),
        row_count=row_counts.get(sync.table_id) if sync.table_id else None,
    )


def _source_of(sync: Sync) -> str:
    if sync.source.is_item:
        return f"{sync.service_name}: {sync.service_item_id}"
    return public_url(sync.url or "")


def moment(at: datetime, *, now: datetime) -> Moment:
    return Moment(at=at, text=format_distance(at, now=now))
