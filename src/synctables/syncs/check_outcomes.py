"""How checks ended: of a whole batch in a few statements, in the transaction that makes it true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from synctables.errors import FencedError
from synctables.importer.publish import notify
from synctables.syncs import logs, totals
from synctables.syncs.check_rows import Check
from synctables.syncs.logs import LogLine
from synctables.syncs.model import SyncState
from synctables.syncs.outcomes import Outcome, next_try
from synctables.syncs.repository import Connection
from synctables.syncs.schedule import next_slot
from synctables.syncs.totals import Total

# In one order for everybody, against deadlocks.
_HOLD_CHECKED = """
SELECT id, log_id, interval_seconds, error_code, error_message, retried_times, attempted_at, ran_at,
       run_at
FROM syncs
WHERE id = ANY(%(ids)s) AND claim_id = %(claim_id)s AND state = 'queued'
ORDER BY id FOR UPDATE
"""

_CHECKED_COLUMNS = (
    "id",
    "state",
    "error_code",
    "error_message",
    "retried_times",
    "attempted_at",
    "ran_at",
    "run_at",
    "put_off_until",
)

_UPDATE_CHECKED = """
UPDATE syncs SET
    claim_id = NULL, state = after.state, error_code = after.error_code,
    error_message = after.error_message, retried_times = after.retried_times,
    attempted_at = after.attempted_at, ran_at = after.ran_at, run_at = after.run_at,
    put_off_until = after.put_off_until
FROM unnest(
    %(id)s::uuid[], %(state)s::text[], %(error_code)s::integer[], %(error_message)s::text[],
    %(retried_times)s::integer[], %(attempted_at)s::timestamptz[], %(ran_at)s::timestamptz[],
    %(run_at)s::timestamptz[], %(put_off_until)s::timestamptz[])
    AS after (id, state, error_code, error_message, retried_times, attempted_at, ran_at, run_at,
              put_off_until)
WHERE syncs.id = after.id
"""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a check found about one sync: how it ended, or that it is put off, or else a change."""

    sync_id: UUID
    outcome: Outcome | None = None
    put_off: timedelta | None = None
    """Nobody asked: its host wants to be left alone for so long."""


async def record_checks(
    connection: Connection, check: Check, found: Sequence[Checked], *, now: datetime
) -> list[UUID]:
    """Write what was found of a batch, in one statement, as the ends of so many runs would be.

    Returns the syncs whose source has changed: they are queued, and the caller starts their runs.
    Syncs that somebody took out of the batch meanwhile are left alone. Raises `FencedError` when
    the batch belongs to another worker by now.
    """
    cursor = await connection.execute(
        "SELECT 1 FROM checks WHERE id = %s AND token = %s FOR UPDATE", [check.id, check.token]
    )
    if await cursor.fetchone() is None:
        raise FencedError(f"check {check.id} belongs to another worker by now")
    by_id = {one.sync_id: one for one in found}
    cursor = await connection.execute(
        _HOLD_CHECKED, {"ids": list(by_id), "claim_id": check.claim_id}
    )
    before = await cursor.fetchall()
    ends = [(row, _after_check(row, by_id[row["id"]], now)) for row in before]
    columns = {name: [after[name] for _, after in ends] for name in _CHECKED_COLUMNS}
    await connection.execute(_UPDATE_CHECKED, columns)
    await logs.append_logs(
        connection, [line for row, _ in ends for line in _lines_of(row, by_id[row["id"]])]
    )
    counted = Counter(_word_of(by_id[row["id"]]) for row in before)
    await totals.add(
        connection, {(Total.CHECKS, word): count for word, count in counted.items()}, by=check.id
    )
    await notify(connection, {"event": "syncs_checked", "check_id": check.id, "count": len(ends)})
    changed = (by_id[row["id"]] for row in before)
    return [one.sync_id for one in changed if one.outcome is None and one.put_off is None]


def _word_of(checked: Checked) -> str:
    """What came of a check, as it is counted."""
    if checked.outcome is not None:
        return checked.outcome.kind.value
    return "changed" if checked.put_off is None else "put_off"


def _after_check(row: DictRow, checked: Checked, now: datetime) -> dict[str, Any]:
    """The columns of a sync after a check that leaves its version as it is."""
    outcome, interval = checked.outcome, timedelta(seconds=row["interval_seconds"])
    if checked.put_off is not None:
        state = SyncState.FAILURE if row["retried_times"] else SyncState.SUCCESS
        return {**row, "state": state.value, "put_off_until": now + checked.put_off}
    if outcome is None:
        return {**row, "state": SyncState.QUEUED.value, "put_off_until": None}
    if outcome.is_success:
        return {
            **row,
            "state": SyncState.SUCCESS.value,
            "error_code": None,
            "error_message": None,
            "retried_times": 0,
            "attempted_at": now,
            "ran_at": now,
            "run_at": next_slot(row["run_at"], interval, now),
            "put_off_until": None,
        }
    streak = row["retried_times"] + 1
    return {
        **row,
        "state": SyncState.FAILURE.value,
        "error_code": outcome.error.code if outcome.error else None,
        "error_message": outcome.message,
        "retried_times": streak,
        "attempted_at": now,
        "run_at": next_try(outcome, now=now, interval=interval, failure_streak=streak),
        "put_off_until": None,
    }


def _lines_of(row: DictRow, checked: Checked) -> Iterator[LogLine]:
    """What the log says of a check: nothing where all was well before and is now."""
    outcome = checked.outcome
    if outcome is None:
        return
    if not outcome.is_success:
        yield LogLine(log_id=row["log_id"], level="error", message=outcome.message)
    elif row["retried_times"]:
        message = "The source answers again, and has not changed."
        yield LogLine(log_id=row["log_id"], level="info", message=message)
