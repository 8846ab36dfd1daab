"""How runs ended: written here alone, in the transaction that makes it true.

What ended without a run is written by `check_outcomes`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from synctables.datasources.base import SourceVersion
from synctables.errors import FencedError, RefusedError, RunError
from synctables.importer.model import Column
from synctables.importer.publish import notify
from synctables.redaction import redact_text
from synctables.syncs import logs, repository, totals
from synctables.syncs.model import Run, RunState, Sync, SyncOptions, SyncState
from synctables.syncs.repository import Connection
from synctables.syncs.run_story import count_run
from synctables.syncs.schedule import next_slot, retry_at
from synctables.syncs.uploads import delete_upload


class OutcomeKind(StrEnum):
    """The ways a run ends."""

    SUCCESS = "success"
    NOT_MODIFIED = "not_modified"
    REFUSED = "refused"
    TRANSIENT = "transient"
    TERMINAL = "terminal"
    KILLED = "killed"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run's end says. ``version`` is what the table now holds; None leaves it as stored."""

    kind: OutcomeKind
    message: str
    version: SourceVersion | None = None
    error: RunError | None = None
    http_status: int | None = None
    web_link: str | None = None
    """The page of a service's item, where a run learnt it."""
    has_changed_rows: bool = False
    table_id: UUID | None = None
    table_names: tuple[str, ...] = ()
    contract: tuple[Column, ...] | None = None
    layer: str | None = None
    """The layer that was chosen among several, to be followed by name from now on."""
    followed_layer: str | None = None
    """The layer that the table holds now."""
    left_out_layers: tuple[str, ...] = ()
    report: dict[str, Any] = field(default_factory=dict)
    stage_seconds: dict[str, float] = field(default_factory=dict)
    """Of each stage that was gone through."""

    @property
    def is_success(self) -> bool:
        return self.kind in (OutcomeKind.SUCCESS, OutcomeKind.NOT_MODIFIED)


def failure(error: RunError, *, stage_seconds: dict[str, float] | None = None) -> Outcome:
    """The outcome of a run that ended in ``error``."""
    if isinstance(error, RefusedError):
        kind = OutcomeKind.REFUSED
    else:
        kind = OutcomeKind.TRANSIENT if error.transient else OutcomeKind.TERMINAL
    return Outcome(
        kind=kind,
        message=describe(error),
        error=error,
        http_status=error.http_status,
        stage_seconds=stage_seconds or {},
    )


def describe(error: RunError) -> str:
    """Title, this case, and what to do: the ``error_message`` that users read.

    This case may quote other people's servers and libraries, so secrets are taken out of it.
    """
    parts = dict.fromkeys((error.title, redact_text(str(error)), error.hint))
    return " ".join(part if part.endswith((".", "!", "?")) else f"{part}." for part in parts)


async def record_outcome(
    connection: Connection, run_id: UUID, *, token: UUID, outcome: Outcome, now: datetime
) -> None:
    """Write the run's end to its sync, its record and its log, and drop its upload.

    The fence comes last: raises `FencedError` when the run belongs to another worker by now, and
    the caller's transaction must then be rolled back.
    """
    run = await repository.get_run(connection, run_id)
    if run is None or run.finished_at is not None:
        raise FencedError(f"run {run_id} has ended already")
    if run.sync_id is not None:
        sync = await repository.get_sync(connection, run.sync_id, for_update=True)
        if sync is not None:
            await _update_sync(connection, sync, run.options, outcome, now)
    await _finish_run(connection, run, outcome, now)
    await delete_upload(connection, run.id)
    await logs.append_log(
        connection,
        run.log_id,
        outcome.message,
        run_id=run.id,
        level="info" if outcome.is_success else "error",
    )
    await notify(
        connection,
        {"event": "run_ended", "run_id": run.id, "sync_id": run.sync_id, "outcome": outcome.kind},
    )
    await totals.add(connection, count_run(run, outcome), by=run.id)
    await hold_fence(connection, run.id, token=token)


async def abandon_runs(connection: Connection, sync: Sync, *, now: datetime) -> None:
    """End the sync's unfinished runs; a worker that carries one out can no longer commit."""
    cursor = await connection.execute(
        "SELECT id FROM runs WHERE sync_id = %s AND finished_at IS NULL", [sync.id]
    )
    outcome = Outcome(kind=OutcomeKind.KILLED, message="The sync was removed during this run.")
    for row in await cursor.fetchall():
        run = await repository.get_run(connection, row["id"])
        if run is not None:
            await _finish_run(connection, run, outcome, now)
            await totals.add(connection, count_run(run, outcome), by=run.id)
            await connection.execute("DELETE FROM fences WHERE run_id = %s", [run.id])


def next_try(
    outcome: Outcome, *, now: datetime, interval: timedelta, failure_streak: int
) -> datetime:
    """When a sync is tried again after this failure."""
    retry_after = getattr(outcome.error, "retry_after_seconds", None)
    return retry_at(
        now=now,
        interval=interval,
        failure_streak=failure_streak,
        is_transient=outcome.kind is OutcomeKind.TRANSIENT,
        retry_after=None if retry_after is None else timedelta(seconds=retry_after),
    )


async def _update_sync(
    connection: Connection, sync: Sync, options: SyncOptions, outcome: Outcome, now: datetime
) -> None:
    if outcome.is_success:
        await _mark_success(connection, sync, options, outcome, now)
    else:
        await _mark_failure(connection, sync, outcome, now)


async def _mark_success(
    connection: Connection, sync: Sync, options: SyncOptions, outcome: Outcome, now: datetime
) -> None:
    """``options`` are those that the run read with; the sync's own may have changed since."""
    version = outcome.version or sync.version
    await connection.execute(
        """
        UPDATE syncs SET
            state = %(state)s, error_code = NULL, error_message = NULL, retried_times = 0,
            attempted_at = %(now)s, ran_at = %(now)s, run_at = %(run_at)s,
            updated_at = CASE WHEN %(has_changed_rows)s THEN %(now)s ELSE updated_at END,
            etag = %(etag)s, last_modified = %(last_modified)s, revision = %(revision)s,
            url = CASE WHEN service_name IS NULL THEN url ELSE coalesce(%(web_link)s, url) END,
            content_sha256 = %(content_sha256)s, source_modified_at = %(source_modified_at)s,
            table_id = coalesce(%(table_id)s, table_id), name = coalesce(%(name)s, name),
            contract = coalesce(%(contract)s, contract), layer = coalesce(layer, %(layer)s),
            followed_layer = coalesce(%(followed_layer)s, followed_layer),
            reads_anew = %(reads_anew)s
        WHERE id = %(id)s
        """,
        {
            "id": sync.id,
            "state": SyncState.SUCCESS.value,
            "now": now,
            "run_at": next_slot(sync.run_at, timedelta(seconds=sync.options.interval_seconds), now),
            "has_changed_rows": outcome.has_changed_rows,
            "etag": version.etag,
            "last_modified": version.last_modified,
            "revision": version.revision,
            "web_link": outcome.web_link,
            "content_sha256": version.content_sha256,
            "source_modified_at": version.modified_at,
            "table_id": outcome.table_id,
            "name": outcome.table_names[0] if outcome.table_names else None,
            "layer": outcome.layer,
            "followed_layer": outcome.followed_layer,
            "reads_anew": not options.reads_like(sync.options),
            "contract": None
            if outcome.contract is None
            else repository.contract_value(outcome.contract),
        },
    )


async def _mark_failure(
    connection: Connection, sync: Sync, outcome: Outcome, now: datetime
) -> None:
    error = outcome.error
    await connection.execute(
        """
        UPDATE syncs SET
            state = %(state)s, error_code = %(error_code)s, error_message = %(error_message)s,
            retried_times = retried_times + 1, attempted_at = %(now)s, run_at = %(run_at)s
        WHERE id = %(id)s
        """,
        {
            "id": sync.id,
            "state": SyncState.FAILURE.value,
            "error_code": error.code if error else None,
            "error_message": outcome.message,
            "now": now,
            "run_at": next_try(
                outcome,
                now=now,
                interval=timedelta(seconds=sync.options.interval_seconds),
                failure_streak=sync.retried_times + 1,
            ),
        },
    )


async def _finish_run(connection: Connection, run: Run, outcome: Outcome, now: datetime) -> None:
    await connection.execute(
        """
        UPDATE runs SET
            state = %(state)s, outcome = %(outcome)s, finished_at = %(now)s,
            error_code = %(error_code)s, error_message = %(error_message)s,
            http_status = %(http_status)s, table_id = %(table_id)s,
            table_names = %(table_names)s, left_out_layers = %(left_out_layers)s,
            report = %(report)s, progress = '{}'
        WHERE id = %(id)s
        """,
        {
            "id": run.id,
            "state": (RunState.COMPLETE if outcome.is_success else RunState.FAILURE).value,
            "outcome": outcome.kind.value,
            "now": now,
            "error_code": outcome.error.code if outcome.error else None,
            "error_message": None if outcome.is_success else outcome.message,
            "http_status": outcome.http_status,
            "table_id": outcome.table_id,
            "table_names": list(outcome.table_names),
            "left_out_layers": list(outcome.left_out_layers),
            "report": Jsonb(outcome.report),
        },
    )


async def hold_fence(connection: Connection, run_id: UUID, *, token: UUID) -> None:
    """Keep the run until the transaction ends, or raise `FencedError` where it is another's.

    Last in the transaction: whoever begins a run locks its sync and its row before the fence.
    """
    cursor = await connection.execute(
        "SELECT 1 FROM fences WHERE run_id = %s AND token = %s FOR UPDATE", [run_id, token]
    )
    if await cursor.fetchone() is None:
        raise FencedError(f"run {run_id} belongs to another worker by now")
