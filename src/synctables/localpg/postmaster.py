"""The server process of the private cluster: finding, spawning and ending it.

A surviving postmaster is told by its PGDATA, in its arguments or as its working directory: a pid
alone may belong to anybody after a restart of the machine or container.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import psutil

from synctables.localpg.directory import SOCKET_PORT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from synctables.localpg.binaries import Binaries
    from synctables.localpg.directory import DatabaseUser, DataDirectory

_POLL_SECONDS = 0.02
_IMMEDIATE_SECONDS = 1.5
_LARGEST_LOG_BYTES = 10_000_000


class Postmaster:
    """A running server: our child, or one that outlived the process that started it.

    Raises `psutil.NoSuchProcess` when there is no process of that pid.
    """

    def __init__(self, pid: int, *, child: subprocess.Popen[bytes] | None = None) -> None:
        self._child = child
        self._process = psutil.Process(pid)  # also remembers when it started: pids are used again

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        with contextlib.suppress(psutil.NoSuchProcess):
            return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE
        return False

    def stop(self, *, seconds: float) -> None:
        """End it: fast (sessions are ended, a checkpoint is written), then at once.

        SIGINT is PostgreSQL's "fast" and SIGQUIT its "immediate" shutdown; after the latter the
        next start recovers from the log, and nothing committed is lost. It kills its own
        stragglers after 5 s, so there is no need to wait for the very end.
        """
        self._signal(signal.SIGINT)
        if not poll(lambda: not self.is_alive(), seconds=seconds):
            self._signal(signal.SIGQUIT)
            poll(lambda: not self.is_alive(), seconds=_IMMEDIATE_SECONDS)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            if self.is_alive():
                self._process.send_signal(number)


def find_postmaster(directory: DataDirectory) -> Postmaster | None:
    """The postmaster that runs on this directory's cluster, whoever started it."""
    try:
        found = Postmaster(_recorded_pid(directory.postgres) or 0)
    except psutil.Error:
        return None
    return found if _serves(found.pid, directory.postgres) else None


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
    return Postmaster(child.pid, child=child)


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


def end_of(log: Path, *, start: int) -> str:
    """The last lines that were written from byte ``start`` on, for an error message."""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(start, log.stat().st_size - 8192))
        return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-12:])
    return ""


def rotate(log: Path) -> int:
    """Put a log that has grown large aside; returns at which byte the next entry begins."""
    size = log.stat().st_size if log.exists() else 0
    if size <= _LARGEST_LOG_BYTES:
        return size
    log.replace(log.with_suffix(".log.1"))
    return 0


def _recorded_pid(postgres: Path) -> int | None:
    try:
        return int((postgres / "postmaster.pid").read_text("utf-8").split("\n", 1)[0])
    except (FileNotFoundError, ValueError):  # a crash can leave it empty
        return None


def _serves(pid: int, postgres: Path) -> bool:
    """Told by its arguments too: root in a container may not see another user's directory."""
    with contextlib.suppress(psutil.Error):
        return str(postgres) in psutil.Process(pid).cmdline() or _works_in(pid, postgres)
    return False


def _works_in(pid: int, postgres: Path) -> bool:
    """Whether it is a server process of this PGDATA: each works in that directory."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return "postgres" in process.name() and process.cwd() == str(postgres)
    return False
