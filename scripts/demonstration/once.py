"""One import and one refresh of each file, each compared with the file; then the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from demonstration.files import ChangingFile
from demonstration.service import Service, ServiceError
from demonstration.watch import Connection, Status, read_contents, read_log, read_statuses

RUN_SECONDS = 120.0
"""How long six small imports, or six refreshes, may take on a machine that is busy elsewhere."""

POLL_SECONDS = 0.1

LOG_LINES = 20
"""How much of a log is shown with a failure: the last run."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Followed:
    """A file and the sync that follows it."""

    file: ChangingFile
    sync_id: str


def run_once(
    service: Service, connection: Connection, followed: list[Followed], *, say: Say
) -> bool:
    """Import, check, change, refresh, check. True where every table equals its file twice."""
    all_well = _await_and_check(service, connection, followed, verb="imported", say=say)
    for one in followed:
        one.file.change()
        _force(service, one)
    return _await_and_check(service, connection, followed, verb="refreshed", say=say) and all_well


def _force(service: Service, one: Followed) -> None:
    answer = service.call("PUT", f"/api/v1/synchronizations/{one.sync_id}/sync_now")
    if not answer["enqueued"]:
        raise ServiceError(f"{one.file.name}: sync_now was refused: {answer.get('reason')}")


def _await_and_check(
    service: Service, connection: Connection, followed: list[Followed], *, verb: str, say: Say
) -> bool:
    statuses = _await_ends(service, connection, followed)
    problems = [_find_problem(connection, one.file, statuses[one.sync_id]) for one in followed]
    for one, problem in zip(followed, problems, strict=True):
        status = statuses[one.sync_id]
        say(_tell(one.file, status, verb=verb, problem=problem))
        if problem:
            for line in read_log(connection, log_id=status.log_id)[-LOG_LINES:]:
                say(f"    {line}")
    return not any(problems)


def _await_ends(
    service: Service, connection: Connection, followed: list[Followed]
) -> dict[str, Status]:
    """The statuses once no run is waiting or under way, or time is up."""
    deadline = time.monotonic() + RUN_SECONDS
    while True:
        service.ensure_running()
        statuses = read_statuses(connection)
        ended = all(statuses[one.sync_id].has_ended for one in followed)
        if ended or time.monotonic() > deadline:
            return statuses
        time.sleep(POLL_SECONDS)


def _find_problem(connection: Connection, file: ChangingFile, status: Status) -> str | None:
    """Why the table does not equal the file, or None."""
    if status.state != "success":
        return f"{status.state}: {status.error_code} {status.error_message}"
    if not status.schema_name or not status.table_name:
        return "success, but there is no table"
    contents = read_contents(
        connection, schema_name=status.schema_name, table_name=status.table_name
    )
    expected = len(file.edition.rows)
    if contents.row_count != expected:
        return f"{contents.row_count} rows in the table, {expected} in the file"
    if contents.geometry_count != expected:
        return f"only {contents.geometry_count} of {expected} rows have a geometry"
    if contents.edition_sum != file.edition.edition_sum:
        return "as many rows as in the file, but not the same ones"
    return None


def _tell(file: ChangingFile, status: Status, *, verb: str, problem: str | None) -> str:
    start = f"{file.name:<19} {file.kind.format:<10} {verb:<10}"
    if problem:
        return f"{start}FAILED: {problem}"
    counts = ", ".join(
        f"{status.rows_of_last_run(what):,} {what}" for what in ("inserted", "updated", "deleted")
    )
    return f"{start}{len(file.edition.rows):>6,} rows, equal to the file ({counts})"
