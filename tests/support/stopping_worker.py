"""A worker process that meets an accident at a named point of apply.

The process patches its own functions; the program itself knows nothing of tests. Run as
``python -m tests.support.stopping_worker URL DATA_DIR POINT ACCIDENT WAY``.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import Any

import psycopg

from synctables.settings import load_settings
from synctables.worker import APPLICATION_NAME, run_worker
from tests.support.serve_process import environment

APPLY = "synctables.importer.apply"
REPOSITORY = Path(__file__).parents[2]
LOG = "worker.log"
"""Beside its workspaces, what the process says."""


class Accident(StrEnum):
    KILLED = "killed"
    FROZEN = "frozen"
    DISCONNECTED = "disconnected"


@contextmanager
def stopping_worker(
    database_url: str, data_dir: Path, *, point: str, accident: Accident, way: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Such a process, ended with the block."""
    data_dir.mkdir()
    with (data_dir / LOG).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.stopping_worker",
             database_url, str(data_dir), point, accident, way],
            cwd=REPOSITORY,
            env=environment(),
            stdout=log,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for_accident(process: subprocess.Popen[bytes], accident: Accident) -> None:
    """Until the process was killed or stopped; for nothing where it only loses its connections."""
    if accident is Accident.KILLED:
        assert process.wait(120) == -signal.SIGKILL
    if accident is Accident.FROZEN:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)


def main(database_url: str, data_dir: str, point: str, accident: str, way: str) -> None:
    _force(way)
    if way == "create":
        _due.set()
    else:  # the first run makes the table, and passes by some of the same points
        package = importlib.import_module(APPLY)
        vars(package)["refresh"] = _wrapped(vars(package)["refresh"], "before", _begin)
    _arm(point, functools.partial(_meet, Accident(accident), database_url))
    settings = load_settings(allowed_networks="127.0.0.0/8,::1/128", sync_now_seconds=0)
    asyncio.run(run_worker(settings, database_url, data_dir=Path(data_dir), stop=asyncio.Event()))


def _force(way: str) -> None:
    if way == "rewrite":
        refresh = importlib.import_module(f"{APPLY}.refresh")
        vars(refresh).update(FEWEST_ROWS_TO_REWRITE=0, LARGE_SHARE=0.0)


def _arm(point: str, meet: Callable[[], None]) -> None:
    """``before`` or ``after``, then a function by its module: ``after delta.write_delta``."""
    when, _, name = point.partition(" ")
    path, _, attribute = name.rpartition(".")
    module, _, class_name = path.partition(":")
    owner: Any = importlib.import_module(module if "." in module else f"{APPLY}.{module}")
    owner = getattr(owner, class_name) if class_name else owner
    setattr(owner, attribute, _wrapped(getattr(owner, attribute), when, meet))


def _wrapped(function: Any, when: str, meet: Callable[[], None]) -> Any:
    is_coroutine = asyncio.iscoroutinefunction(function)

    @functools.wraps(function)
    async def coroutine(*arguments: Any, **named: Any) -> Any:
        if when == "before":
            meet()
        answer = await function(*arguments, **named)
        if when == "after":
            meet()
        return answer

    @functools.wraps(function)
    def plain(*arguments: Any, **named: Any) -> Any:
        if when == "before":
            meet()
        answer = function(*arguments, **named)
        if when == "after":
            meet()
        return answer

    return coroutine if is_coroutine else plain


_due = Event()
_refreshes: list[None] = []


def _begin() -> None:
    """The accident is due from the first refresh on."""
    if not _refreshes:
        _due.set()
    _refreshes.append(None)


def _meet(accident: Accident, database_url: str) -> None:
    """Once in the life of the process."""
    if not _due.is_set():
        return
    _due.clear()
    if accident is Accident.DISCONNECTED:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE application_name = %s AND datname = current_database()",
                [APPLICATION_NAME],
            )
        return
    os.kill(os.getpid(), signal.SIGKILL if accident is Accident.KILLED else signal.SIGSTOP)


if __name__ == "__main__":
    main(*sys.argv[1:])
