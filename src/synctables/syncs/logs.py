"""The logs that users read, line by line: of syncs and of imports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from synctables.redaction import redact_text
from synctables.syncs.model import LogEntry
from synctables.syncs.repository import Connection


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """One line for the log of a sync, outside any run."""

    log_id: UUID
    level: str
    message: str


async def account_of_log(connection: Connection, log_id: UUID) -> UUID | None:
    cursor = await connection.execute(
        "SELECT account_id FROM syncs WHERE log_id = %(log_id)s"
        " UNION SELECT account_id FROM runs WHERE log_id = %(log_id)s",
        {"log_id": log_id},
    )
    row = await cursor.fetchone()
    return row["account_id"] if row else None


async def list_log(connection: Connection, log_id: UUID) -> list[LogEntry]:
    """The log's entries, oldest first."""
    cursor = await connection.execute(
        "SELECT at, run_id, level, stage, message FROM log_entries WHERE log_id = %s ORDER BY id",
        [log_id],
    )
    return [LogEntry(**row) for row in await cursor.fetchall()]


async def append_logs(connection: Connection, lines: Sequence[LogLine]) -> None:
    """Append lines of many logs, none of them of a run, in one statement."""
    if lines:
        await connection.execute(
            "INSERT INTO log_entries (log_id, level, message)"
            " SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[])",
            [
                [line.log_id for line in lines],
                [line.level for line in lines],
                [_storable(line.message) for line in lines],
            ],
        )


async def append_log(
    connection: Connection,
    log_id: UUID,
    *messages: str,
    run_id: UUID | None,
    level: str = "info",
    stage: str | None = None,
) -> None:
    """Append the messages, in their order, to the log."""
    await connection.execute(
        "INSERT INTO log_entries (log_id, run_id, level, stage, message)"
        " SELECT %s, %s, %s, %s, message FROM unnest(%s::text[]) WITH ORDINALITY"
        " AS lines (message, number) ORDER BY number",
        [
            log_id,
            run_id,
            level,
            stage,
            [_storable(message) for message in messages],
        ],
    )


def _storable(text: str) -> str:
    return redact_text(text).replace("\x00", "\N{REPLACEMENT CHARACTER}")
