"""Waiting for a run that the server carries out, with its stages, bytes and rows on stderr."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Container
from pathlib import Path
from typing import Any

from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from synctables.cli.client import Client, path_of, pauses
from synctables.cli.output import printable, progress_console
from synctables.errors import RequestError

Json = dict[str, Any]

_IMPORT_ENDED = ("complete", "failure")
_SYNC_ENDED = ("success", "failure")


def upload(client: Client, file: Path, *, query: dict[str, str]) -> Json:
    """Send a file to the imports API; the bar shows the bytes that are on their way."""
    with _drawing() as progress:
        task = progress.add_task("upload", total=file.stat().st_size, figures="")

        def on_bytes(count: int) -> None:
            progress.advance(task, count)
            done = progress.tasks[0]
            progress.update(task, figures=_of_bytes(int(done.completed), done.total))

        answer: Json = client.upload(path_of("imports"), file=file, query=query, on_bytes=on_bytes)
        return answer


def wait_for_import(client: Client, item_queue_id: str, *, log_id: str) -> Json:
    """Follow one run to its end; gives the import as the API describes it then.

    A plain import's log has the import's id; a run of a sync writes to the log of the sync.
    """
    path = path_of("imports", item_queue_id)
    return _wait(client, path, log_id=log_id, ended=_IMPORT_ENDED)


def wait_for_sync(client: Client, sync_id: str, *, log_id: str) -> Json:
    """Wait until the sync is neither queued nor syncing; gives the sync."""
    path = path_of("synchronizations", sync_id)
    return _wait(client, path, log_id=log_id, ended=_SYNC_ENDED)


def _wait(client: Client, path: str, *, log_id: str, ended: Container[str]) -> Json:
    """What is at ``path``, once its state is one of ``ended``; its progress is drawn meanwhile."""
    with _drawing() as progress:
        task = progress.add_task("queued", total=None, figures="")
        for pause in pauses():
            found: Json = client.get(path)
            if found["state"] in ended:
                return found
            _show(progress, task, found["state"], _figures(client, log_id))
            time.sleep(pause)
    raise AssertionError("pauses() never ends")


def _figures(client: Client, log_id: str) -> Json:
    """Stage, bytes and rows of the run that writes this log, as far as they are known."""
    with contextlib.suppress(RequestError):
        return client.get(path_of("logs", log_id)).get("progress") or {}
    return {}


def _show(progress: Progress, task: TaskID, state: str, figures: Json) -> None:
    done, total = figures.get("bytes"), figures.get("total_bytes")
    text = _of_bytes(done, total) if done else ""
    if rows := figures.get("rows"):
        done = total = None
        text = f"{rows:,} rows"
    progress.update(
        task,
        description=printable(str(figures.get("stage") or state)),
        completed=done or 0,
        total=total,
        figures=text,
    )


def _of_bytes(done: int, total: float | None) -> str:
    return f"{decimal(done)} of {decimal(int(total))}" if total else decimal(done)


def _drawing() -> Progress:
    console = progress_console()
    return Progress(
        TextColumn("{task.description:<9}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal or os.environ.get("TERM") == "dumb",
    )
