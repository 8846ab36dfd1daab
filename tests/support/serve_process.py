"""``synctables serve`` as users run it: a real process, and the commands beside it.

``serve``          starts one on the test's own database; ended at the end of the test
``ServeProcess``   one running process: its address, what it printed, its worker
``run_command``    one command to its end
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psutil
import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Found = TypeVar("Found")

READY = "Synctables is ready: "
_READY_SECONDS = 60
_STOP_SECONDS = 10  # the contract's


def environment(**settings: str) -> dict[str, str]:
    """The environment of a command: none of this machine's settings, these ones instead."""
    kept = {name: value for name, value in os.environ.items() if "SYNCTABLES_" not in name}
    source = str(Path(__file__).parents[2] / "src")
    return kept | {"PYTHONPATH": source} | {f"SYNCTABLES_{k}": v for k, v in settings.items()}


def run_command(
    *arguments: str, timeout: float = 60, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run ``synctables …`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "synctables", *arguments],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@dataclass
class ServeProcess:
    """A running ``serve``. ``lines`` are those of its stdout up to the ready line."""

    data_dir: Path
    process: subprocess.Popen[str]
    log: Path
    lines: list[str] = field(default_factory=list)

    @classmethod
    def start(cls, data_dir: Path, *arguments: str, log: Path, **settings: str) -> ServeProcess:
        """Start it on a free port and wait for the ready line."""
        with log.open("a") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "synctables", "serve", "--port", "0",
                 "--data-dir", str(data_dir), *arguments],
                env=environment(**settings),
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )  # fmt: skip
        started = cls(data_dir=data_dir, process=process, log=log)
        started._await_ready()
        return started

    @property
    def address(self) -> str:
        return self.lines[-1].removeprefix(READY)

    @property
    def api_key(self) -> str:
        return self.lines[0].partition(": ")[2]

    def worker(self) -> psutil.Process:
        """The worker process that runs now."""
        return _poll(self._find_worker, "no worker runs")

    def worker_other_than(self, process_id: int) -> psutil.Process:
        """The worker that replaced the one with this id."""

        def find() -> psutil.Process | None:
            found = self._find_worker()
            return found if found is not None and found.pid != process_id else None

        return _poll(find, "no new worker was started")

    def postmaster_other_than(self, process_id: int | None = None) -> psutil.Process:
        """The private cluster's first process; the one that replaced the one with this id."""

        def look() -> psutil.Process | None:
            with suppress(OSError, ValueError, psutil.Error):
                recorded = (self.data_dir / "postgres" / "postmaster.pid").read_text()
                found = psutil.Process(int(recorded.split("\n", 1)[0]))
                return found if found.pid != process_id else None
            return None

        return _poll(look, "the database was not started again")

    def wait_until_healthy(self) -> dict[str, Any]:
        """The answer of ``/health`` once database and worker are there."""

        def look() -> dict[str, Any] | None:
            answer: dict[str, Any] = requests.get(f"{self.address}/health", timeout=10).json()
            return answer if answer["status"] == "ok" else None

        return _poll(look, "it did not become healthy")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it by a signal; gives the exit code. Fails when it takes longer than allowed."""
        self.process.send_signal(number)
        code = self.process.wait(_STOP_SECONDS)
        self._close()
        return code

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command that finds this server through the data directory."""
        return run_command(*arguments, "--data-dir", str(self.data_dir))

    def end(self) -> None:
        """Make sure that nothing of it is left."""
        if self.process.poll() is None:
            self.stop()
        self._close()

    def _close(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _await_ready(self) -> None:
        assert self.process.stdout is not None
        deadline = time.monotonic() + _READY_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while not self.lines or not self.lines[-1].startswith(READY):
                assert selector.select(deadline - time.monotonic()), self._why("was not ready")
                line = self.process.stdout.readline()
                assert line, self._why("ended")
                self.lines.append(line.rstrip("\n"))

    def _why(self, what: str) -> str:
        self.process.kill()
        return f"serve {what}:\n{self.log.read_text()[-4000:]}"

    def _find_worker(self) -> psutil.Process | None:
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):  # it may have ended just now
                if "worker" in child.cmdline():
                    return child
        return None


@pytest.fixture
def serve(database_url: str, tmp_path: Path) -> Iterator[Callable[..., ServeProcess]]:
    """Starts a ``serve`` on the test's own database; takes settings as keyword arguments."""
    started: list[ServeProcess] = []

    def start(**settings: str) -> ServeProcess:
        given = {"DATABASE_URL": database_url, **settings}
        server = ServeProcess.start(tmp_path / "data", log=tmp_path / "serve.log", **given)
        started.append(server)
        return server

    yield start
    for server in started:
        server.end()


def processes_of(data_dir: Path) -> list[psutil.Process]:
    """Every process that works for this data directory."""
    found = []
    for process in psutil.process_iter():
        try:
            belongs = str(data_dir) in " ".join(process.cmdline()) or process.environ().get(
                "SYNCTABLES_DATA_DIR"
            ) == str(data_dir)
        except psutil.Error:
            continue
        if belongs and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def _poll(look: Callable[[], Found | None], complaint: str) -> Found:
    deadline = time.monotonic() + 30
    while (found := look()) is None:
        assert time.monotonic() < deadline, complaint
        time.sleep(0.02)  # another process: there is nothing to wait on
    return found
