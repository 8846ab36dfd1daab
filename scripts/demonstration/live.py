"""The tables as they change, until Ctrl-C: a live table, or plain lines without a terminal."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

from rich.live import Live
from rich.table import Table

from demonstration.watch import Connection, Status, read_statuses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from demonstration.once import Followed
    from demonstration.service import Service

CHANGE_SECONDS = 2.0
"""One of the files changes this often, in turn."""

LOOK_SECONDS = 0.5

_STATE_STYLES = {"success": "green", "failure": "bold red", "syncing": "cyan"}


def run_live(
    service: Service, connection: Connection, followed: list[Followed], *, console: Console
) -> None:
    """Change the files in turn and show what becomes of the tables. Ends by an exception only."""
    looks = _look(service, connection, followed)
    if console.is_terminal:
        _show_table(looks, followed, console=console)
    else:
        _tell_changes(looks, followed, console=console)


def _look(
    service: Service, connection: Connection, followed: list[Followed]
) -> Iterator[dict[str, Status]]:
    looks_per_change = round(CHANGE_SECONDS / LOOK_SECONDS)
    for look in count():
        if look and look % looks_per_change == 0:
            followed[look // looks_per_change % len(followed)].file.change()
        service.ensure_running()
        yield read_statuses(connection)
        time.sleep(LOOK_SECONDS)


def _show_table(
    looks: Iterator[dict[str, Status]], followed: list[Followed], *, console: Console
) -> None:
    with Live(console=console, auto_refresh=False) as live:
        for statuses in looks:
            live.update(_render(statuses, followed, now=datetime.now(UTC)), refresh=True)


def _render(statuses: dict[str, Status], followed: list[Followed], *, now: datetime) -> Table:
    table = Table(caption="Ctrl-C ends the demo.", caption_justify="left")
    for title in ("table", "format", "state"):
        table.add_column(title, no_wrap=True)
    for title in ("rows", "inserted", "updated", "deleted", "refreshes", "last", "next"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in followed:
        table.add_row(*_cells(one, statuses[one.sync_id], now=now))
    return table


def _cells(one: Followed, status: Status, *, now: datetime) -> list[str]:
    style = _STATE_STYLES.get(status.state, "yellow")
    rows = "" if status.row_count is None else f"{status.row_count:,}"
    changes = [f"{status.rows_of_last_run(what):,}" for what in ("inserted", "updated", "deleted")]
    since = (now - status.ran_at).total_seconds()
    until = (status.run_at - now).total_seconds()
    return [
        status.table_name or one.file.name,
        one.file.kind.format,
        f"[{style}]{status.state}[/]",
        rows,
        *(changes if status.applied_count else ["", "", ""]),
        str(status.refreshed_count),
        f"{max(0.0, since):.0f} s ago" if status.applied_count else "",
        f"in {until:.0f} s" if until > 0 else "due",
    ]


def _tell_changes(
    looks: Iterator[dict[str, Status]], followed: list[Followed], *, console: Console
) -> None:
    told: dict[str, tuple[int, str]] = {}
    for statuses in looks:
        for one in followed:
            status = statuses[one.sync_id]
            news = (status.applied_count, status.state if status.state == "failure" else "")
            if news not in ((0, ""), told.get(one.sync_id)):
                told[one.sync_id] = news
                console.print(_line(one, status), soft_wrap=True)


def _line(one: Followed, status: Status) -> str:
    start = f"{datetime.now(UTC):%H:%M:%S} {one.file.name:<19} {one.file.kind.format:<10}"
    if status.state == "failure":
        return f"{start} failure: {status.error_code} {status.error_message}"
    verb = "refreshed" if status.refreshed_count else "imported"
    counts = ", ".join(
        f"{status.rows_of_last_run(what):,} {what}" for what in ("inserted", "updated", "deleted")
    )
    return f"{start} {verb:<9} {status.row_count or 0:>6,} rows ({counts})"
