"""The server process of the private cluster: finding, spawning, awaiting and ending it.

A surviving postmaster is told by its working directory, which is always its PGDATA: a pid alone
may belong to anybody after a restart of the machine or container.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from synctables.localpg.directory import SOCKET_PORT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from synctables.localpg.binaries import Binaries
    from synctables.localpg.directory import DatabaseUser, DataDirectory

_POLL_SECONDS = 0.02
_LARGEST_LOG_BYTES = 10_000_000


@dataclass
class Postmaster:
    """A running server: our child, or one that outlived the process that started it."""

    pid: int
    child: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def is_alive(self) -> bool:
        if self.child is not None:
            return self.child.poll() is None
        return _state_of(self.pid) not in (None, psutil.STATUS_ZOMBIE)

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.is_alive():
                os.kill(self.pid, number)

    def wait(self, *, seconds: float) -> bool:
        """Whether it ended within that time."""
        return poll(lambda: not self.is_alive(), seconds=seconds)

    def stop(self, *, seconds: float) -> None:
        """End it: fast (sessions are ended, a checkpoint is written), then at once.

        SIGINT is PostgreSQL's "fast" and SIGQUIT its "immediate" shutdown; after the latter the
        next start recovers from the log, and nothing committed is lost.
        """
        self.signal(signal.SIGINT)
        if self.wait(seconds=seconds):
            return
        self.signal(signal.SIGQUIT)
        if not self.wait(seconds=6):  # by itself it kills its stragglers after 5 s
            self.signal(signal.SIGKILL)
            self.wait(seconds=2)


def find_postmaster(directory: DataDirectory) -> Postmaster | None:
    """The postmaster that runs on this directory's cluster, whoever started it."""
    pid = _recorded_pid(directory.postgres)
    if pid is None or not _works_in(pid, directory.postgres):
        return None
    return Postmaster(pid)


def clear_remains(directory: DataDirectory) -> None:
    """With no postmaster alive: end its orphaned backends, remove its pid and socket files.

    PostgreSQL takes a pid file as valid if any process of the same user has its pid, and refuses
    to start beside orphans, which a killed postmaster leaves while they are busy.
    """
    orphans = [pid for pid in psutil.pids() if _works_in(pid, directory.postgres)]
    for pid in orphans:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    poll(lambda: not any(_works_in(pid, directory.postgres) for pid in orphans), seconds=5)
    (directory.postgres / "postmaster.pid").unlink(missing_ok=True)
    directory.socket.unlink(missing_ok=True)
    directory.socket.with_name(directory.socket.name + ".lock").unlink(missing_ok=True)


def spawn(
    binaries: Binaries,
    directory: DataDirectory,
    user: DatabaseUser,
    settings: Mapping[str, str],
) -> Postmaster:
    """Start the server in a session of its own, out of reach of the terminal's Ctrl-C."""
    quoted = '"' + str(directory.run).replace('"', '""') + '"'  # it is a list
    fixed = {"listen_addresses": "", "unix_socket_directories": quoted, "port": str(SOCKET_PORT)}
    arguments = [f"--{name}={value}" for name, value in {**settings, **fixed}.items()]
    _rotate(directory.server_log)
    with directory.server_log.open("ab") as log:
        os.fchmod(log.fileno(), 0o600)
        child = subprocess.Popen(
            [str(binaries.postgres), "-D", str(directory.postgres), *arguments],
            cwd="/",
            env=scrubbed_environment(binaries),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            **user.as_process(),
        )
    return Postmaster(child.pid, child)


def scrubbed_environment(binaries: Binaries) -> dict[str, str]:
    """No PG* variable of the caller's, no secret, and messages in English."""
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": f"{binaries.bin_dir}{os.pathsep}{path}", "LC_ALL": "C", "TZ": "UTC"}


def poll(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Whether the condition came true within that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def last_lines(path: Path, *, count: int = 12) -> str:
    """The end of a log, for an error message."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 8192))
        return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-count:])
    return ""


def _recorded_pid(postgres: Path) -> int | None:
    try:
        return int((postgres / "postmaster.pid").read_text("utf-8").split("\n", 1)[0])
    except (FileNotFoundError, ValueError):  # a crash can leave it empty
        return None


def _works_in(pid: int, directory: Path) -> bool:
    try:
        process = psutil.Process(pid)
        return process.cwd() == str(directory) and "postgres" in process.name()
    except (psutil.Error, OSError):
        return False


def _state_of(pid: int) -> str | None:
    try:
        return str(psutil.Process(pid).status())
    except psutil.NoSuchProcess:
        return None


def _rotate(log: Path) -> None:
    """Keep the log of the start before this one when it has grown large."""
    if log.exists() and log.stat().st_size > _LARGEST_LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
