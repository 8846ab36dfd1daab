"""A worker process that meets an accident at a named point of a run or a check.

The process patches its own functions; the program itself knows nothing of tests. Run as
``python -m tests.support.stopping_worker URL DATA_DIR POINT ACCIDENT WAY``.

A point is ``before`` or ``after``, then a function by its module (of apply where it has no dot), a
method by ``module:Class.method``, and where only one call counts an argument that it was given::

    after delta.write_delta
    after synctables.syncs.recorder:RunRecorder.stage unpack

The way is how apply changes the table: ``create``, and ``create aside`` as for a big table, have
the accident in the first run that comes by, every other way in the second.
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
from typing import Any

import psycopg

from synctables.importer.sandbox import Sandbox
from synctables.settings import load_settings
from synctables.worker import APPLICATION_NAME, run_worker
from tests.support.serve_process import environment
from tests.support.shifted_clock import shift_clock

APPLY = "synctables.importer.apply"
REPOSITORY = Path(__file__).parents[2]
LOG = "worker.log"
"""Beside its workspaces, what the process says."""


class Accident(StrEnum):
    KILLED = "killed"
    FROZEN = "frozen"
    DISCONNECTED = "disconnected"
    CHILDLESS = "childless"
    """The child that reads files is killed with a command under way; at ``Sandbox._call``."""
    A_DAY_AHEAD = "a day ahead"
    A_DAY_BACK = "a day back"
    """Of the clock of its machine, from then on."""


FIRST_IMPORTS = ("create", "create aside")
"""The ways in which there is no table before."""

_DAY_SECONDS = 86_400.0


@contextmanager
def stopping_worker(
    database_url: str, data_dir: Path, *, point: str, accident: Accident, way: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Such a process, ended with the block."""
    data_dir.mkdir(exist_ok=True)
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
    """Until the process was killed or stopped; for nothing where it goes on."""
    if accident is Accident.KILLED:
        assert process.wait(120) == -signal.SIGKILL
    if accident is Accident.FROZEN:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)


def main(database_url: str, data_dir: str, point: str, accident: str, way: str) -> None:
    _force(way)
    chance = _Chance(runs_before=0 if way in FIRST_IMPORTS else 1)
    runs = importlib.import_module("synctables.syncs.runs")
    vars(runs)["begin"] = _wrapped(vars(runs)["begin"], "before", chance.count_run)
    meet = functools.partial(_meet, Accident(accident), database_url)
    _arm(point, functools.partial(chance.take, meet))
    settings = load_settings(allowed_networks="127.0.0.0/8,::1/128", sync_now_seconds=0)
    asyncio.run(run_worker(settings, database_url, data_dir=Path(data_dir), stop=asyncio.Event()))


def _force(way: str) -> None:
    if way == "create aside":
        create = importlib.import_module(f"{APPLY}.create")
        vars(create).update(BIG_TABLE_ROWS=0)
    if way == "rewrite":
        refresh = importlib.import_module(f"{APPLY}.refresh")
        vars(refresh).update(FEWEST_ROWS_TO_REWRITE=0, LARGE_SHARE=0.0)


def find_point(point: str) -> tuple[Any, str]:
    """The module or class that a point speaks of, and the name of the function in it."""
    _, name, *_ = point.split(" ")
    path, _, attribute = name.rpartition(".")
    module, _, class_name = path.partition(":")
    is_whole = "." in module or class_name
    owner: Any = importlib.import_module(module if is_whole else f"{APPLY}.{module}")
    return (getattr(owner, class_name) if class_name else owner), attribute


def _arm(point: str, meet: Callable[..., None]) -> None:
    when, _, *argument = point.split(" ")
    owner, attribute = find_point(point)

    def meet_if_it_counts(*arguments: Any) -> None:
        if all(one in arguments for one in argument):
            meet(*arguments)

    setattr(owner, attribute, _wrapped(getattr(owner, attribute), when, meet_if_it_counts))


def _wrapped(function: Any, when: str, meet: Callable[..., None]) -> Any:
    is_coroutine = asyncio.iscoroutinefunction(function)

    @functools.wraps(function)
    async def coroutine(*arguments: Any, **named: Any) -> Any:
        if when == "before":
            meet(*arguments)
        answer = await function(*arguments, **named)
        if when == "after":
            meet(*arguments)
        return answer

    @functools.wraps(function)
    def plain(*arguments: Any, **named: Any) -> Any:
        if when == "before":
            meet(*arguments)
        answer = function(*arguments, **named)
        if when == "after":
            meet(*arguments)
        return answer

    return coroutine if is_coroutine else plain


class _Chance:
    """Lets the accident happen once in the life of the process, not before a run's turn."""

    def __init__(self, *, runs_before: int) -> None:
        self._runs_before = runs_before
        self._is_over = False

    def count_run(self, *_: Any) -> None:
        self._runs_before -= 1

    def take(self, meet: Callable[..., None], *arguments: Any) -> None:
        if self._runs_before < 0 and not self._is_over:
            self._is_over = True
            meet(*arguments)


def _meet(accident: Accident, database_url: str, *arguments: Any) -> None:
    match accident:
        case Accident.KILLED:
            os.kill(os.getpid(), signal.SIGKILL)
        case Accident.FROZEN:
            os.kill(os.getpid(), signal.SIGSTOP)
        case Accident.DISCONNECTED:
            _end_sessions(database_url)
        case Accident.CHILDLESS:
            _kill_child_at_work(arguments[0])
        case Accident.A_DAY_AHEAD:
            shift_clock(_DAY_SECONDS)
        case Accident.A_DAY_BACK:
            shift_clock(-_DAY_SECONDS)


def _end_sessions(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = %s AND datname = current_database()",
            [APPLICATION_NAME],
        )


def _kill_child_at_work(sandbox: Sandbox) -> None:
    """Stopped before it hears the command, killed once that was sent: it cannot have answered."""
    os.kill(sandbox.pid, signal.SIGSTOP)
    child: Any = sandbox._child
    child._next_answer = _wrapped(
        child._next_answer, "before", lambda *_: os.kill(child.pid, signal.SIGKILL)
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
