"""Previews: what a run would do with a source, kept for a day for whoever asked.

No function commits: a request is one transaction, and so is each step of the job.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from procrastinate import App
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb
from pydantic import TypeAdapter

from synctables.datasources.source import Source
from synctables.errors import InvalidRequestError, RunError, UnknownItemError
from synctables.importer.model import Stage
from synctables.jobs import defer_preview
from synctables.object_address import Place
from synctables.syncs.model import Accept, SyncOptions
from synctables.syncs.outcomes import describe
from synctables.syncs.repository import Connection, read_source
from synctables.syncs.service import checked_source

KEPT = timedelta(days=1)
MOST_UNFINISHED = 10
"""Previews that one account may have waiting; they all pass through few places."""

_OPTIONS: TypeAdapter[SyncOptions] = TypeAdapter(SyncOptions)

_INSERT = """
INSERT INTO previews (id, account_id, sync_id, url, service_name, service_item_id, options, accept)
VALUES (%(id)s, %(account_id)s, %(sync_id)s, %(url)s, %(service_name)s, %(service_item_id)s,
        %(options)s, %(accept)s)
"""

_COUNT_UNFINISHED = """
SELECT count(*) AS previews FROM previews WHERE account_id = %s AND finished_at IS NULL
"""

_BEGIN = """
UPDATE previews SET state = 'running', attempt_count = attempt_count + 1
WHERE id = %s AND finished_at IS NULL RETURNING *
"""

_FINISH = """
UPDATE previews SET
    state = %(state)s, finished_at = now(), error_code = %(error_code)s,
    error_message = %(error_message)s, http_status = %(http_status)s, result = %(result)s,
    stage = NULL
WHERE id = %(id)s AND finished_at IS NULL
"""


class PreviewState(StrEnum):
    """How far a preview is."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILURE = "failure"


@dataclass(frozen=True, kw_only=True)
class Preview:
    """One preview: what was asked, how far it is, and what it found."""

    id: UUID
    account_id: UUID
    sync_id: UUID | None
    source: Source
    options: SyncOptions
    accept: tuple[Accept, ...]
    state: PreviewState
    stage: Stage | None
    attempt_count: int
    created_at: datetime
    finished_at: datetime | None
    error_code: int | None
    error_message: str | None
    http_status: int | None
    result: dict[str, Any] | None


async def create_preview(
    connection: Connection,
    jobs_app: App,
    *,
    account_id: UUID,
    sync_id: UUID | None,
    source: Source,
    options: SyncOptions,
    accept: tuple[Accept, ...],
    places: tuple[Place, ...],
) -> Preview:
    """Store a preview and its job. Raises `InvalidRequestError` before anything is stored."""
    source = checked_source(source, places=places)
    waiting = await (await connection.execute(_COUNT_UNFINISHED, [account_id])).fetchone()
    if waiting is not None and waiting["previews"] >= MOST_UNFINISHED:
        raise InvalidRequestError(
            f"{MOST_UNFINISHED} previews of this account are waiting. Try again when one has ended."
        )
    preview_id = uuid4()
    await connection.execute(
        _INSERT,
        {
            "id": preview_id,
            "account_id": account_id,
            "sync_id": sync_id,
            **asdict(source),
            "options": Jsonb(_OPTIONS.dump_python(options, mode="json")),
            "accept": [word.value for word in accept],
        },
    )
    await defer_preview(jobs_app, connection, preview_id=preview_id)
    return await find_preview(connection, account_id=account_id, preview_id=preview_id)


async def find_preview(connection: Connection, *, account_id: UUID, preview_id: UUID) -> Preview:
    """The preview. Raises `UnknownItemError`, also when it is somebody else's."""
    cursor = await connection.execute(
        "SELECT * FROM previews WHERE id = %s AND account_id = %s", [preview_id, account_id]
    )
    row = await cursor.fetchone()
    if row is None:
        raise UnknownItemError(f"There is no preview {preview_id}.")
    return _preview(row)


async def begin_preview(connection: Connection, preview_id: UUID) -> Preview | None:
    """Take the preview over; None where it has ended, or is there no more."""
    row = await (await connection.execute(_BEGIN, [preview_id])).fetchone()
    return _preview(row) if row else None


async def tell_stage(connection: Connection, preview_id: UUID, stage: Stage) -> None:
    await connection.execute(
        "UPDATE previews SET stage = %s WHERE id = %s AND finished_at IS NULL",
        [stage.value, preview_id],
    )


async def complete_preview(
    connection: Connection, preview_id: UUID, result: dict[str, Any], *, http_status: int | None
) -> None:
    """Keep what was found."""
    await _finish(
        connection,
        preview_id,
        state=PreviewState.COMPLETE.value,
        http_status=http_status,
        result=Jsonb(result),
    )


async def fail_preview(connection: Connection, preview_id: UUID, error: RunError) -> None:
    """Keep why nothing could be found out."""
    await _finish(
        connection,
        preview_id,
        state=PreviewState.FAILURE.value,
        error_code=error.code,
        error_message=describe(error),
        http_status=error.http_status,
    )


async def forget_old_previews(connection: Connection, *, before: datetime) -> None:
    """Remove previews that were asked for before this."""
    await connection.execute("DELETE FROM previews WHERE created_at < %s", [before])


async def _finish(connection: Connection, preview_id: UUID, **values: Any) -> None:
    nothing = dict.fromkeys(("error_code", "error_message", "http_status", "result"))
    await connection.execute(_FINISH, {**nothing, **values, "id": preview_id})


def _preview(row: DictRow) -> Preview:
    parsed: dict[str, Any] = {
        "source": read_source(row),
        "options": _OPTIONS.validate_python(row["options"]),
        "accept": tuple(Accept(word) for word in row["accept"]),
        "state": PreviewState(row["state"]),
        "stage": Stage(row["stage"]) if row["stage"] else None,
    }
    plain = Preview.__dataclass_fields__.keys() - parsed.keys()
    return Preview(**{name: row[name] for name in plain}, **parsed)
