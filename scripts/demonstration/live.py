"""The tables as they change, until Ctrl-C: a live table, or plain lines without a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from demonstration.once import Followed
from demonstration.service import Service
from demonstration.watch import Connection, Status, read_statuses

CHANGE_SECONDS = 1.0
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
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        caption="Ctrl-C ends the demo.",
        caption_justify="left",
    )
    for title in ("table", "format", "state"):
        table.add_column(title, no_wrap=True)
    for title in ("rows", "last change", "refreshes", "last", "next"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in followed:
        table.add_row(*_cells(one, statuses[one.sync_id], now=now))
    return table


def _cells(one: Followed, status: Status, *, now: datetime) -> list[str]:
    style = _STATE_STYLES.get(status.state, "yellow")
    since_seconds = max(0.0, (now - status.ran_at).total_seconds())
    until_seconds = (status.run_at - now).total_seconds()
    is_there = status.applied_count > 0
    return [
        status.table_name or one.file.name,
        one.file.kind.format,
        f"[{style}]{status.state}[/]",
        f"{status.row_count:,}" if status.row_count is not None else "",
        _tell_change(status) if is_there else "",
        str(status.refreshed_count),
        f"{since_seconds:.0f} s ago" if is_there else "",
        f"in {until_seconds:.0f} s" if until_seconds > 0 else "due",
    ]


def _tell_change(status: Status) -> str:
    """Rows inserted, updated and deleted by the last run that changed the table."""
    signs = (("+", "inserted"), ("~", "updated"), ("-", "deleted"))
    counts = [(sign, status.rows_of_last_run(what)) for sign, what in signs]
    return " ".join(f"{sign}{count:,}" for sign, count in counts if count)


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
