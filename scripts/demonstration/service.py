"""Starts `synctables serve` as a user would, and speaks with it over HTTP and SQL."""

from __future__ import annotations

import http.client
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

READY = "Synctables is ready: "
START_SECONDS = 90.0
STOP_SECONDS = 15.0

ENVIRONMENT = {
    "SYNCTABLES_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
    "SYNCTABLES_MINIMUM_INTERVAL_SECONDS": "1",
    "SYNCTABLES_SYNC_NOW_SECONDS": "0",
}
"""The demo's files are on loopback and change every few seconds; neither is the default."""


class ServiceError(Exception):
    """The service did not start, or answered otherwise than it should; one line says how."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """A running service: where it is and how to get in."""

    process: subprocess.Popen[str]
    data_dir: Path
    log_path: Path
    address: str
    api_key: str
    database_url: str

    def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """One call of the API. Raises `ServiceError` where the answer is not 2xx."""
        parts = urlsplit(self.address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        headers = {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, json.dumps(body or {}), headers)
            answer = connection.getresponse()
            content = answer.read()
        except OSError as error:
            raise ServiceError(f"{method} {path}: {error}") from error
        finally:
            connection.close()
        if answer.status not in range(200, 300):
            raise ServiceError(f"{method} {path}: {answer.status} {content.decode()}")
        return json.loads(content) if content else None

    def ensure_running(self) -> None:
        """Raises `ServiceError` where the process has ended by itself."""
        if self.process.poll() is not None:
            raise ServiceError(f"synctables serve ended: {_last_line(self.log_path)}")


def synctables_command() -> list[str]:
    """How to start the program of this environment."""
    script = Path(sys.executable).with_name("synctables")
    return [str(script)] if script.exists() else [sys.executable, "-m", "synctables"]


@contextmanager
def run_service(
    given: Path | None, *, port: int, environment: Mapping[str, str] = ENVIRONMENT
) -> Iterator[Service]:
    """A service with a data directory of its own, stopped at the end.

    ``given`` names the directory, which is kept; None makes a short temporary one, which is
    removed. ``port`` 0 takes a free one. ``environment`` holds all the settings it gets. Raises
    `ServiceError`, also when it does not stop well.
    """
    whole_environment = _without_settings() | dict(environment)
    with _folder() as folder:
        data_dir = _check_unused(given) if given else folder / "data"
        log_path = folder / "serve.log"
        with log_path.open("w", encoding="utf-8") as log:
            process = _start(
                data_dir, port=port, log_file=log.fileno(), environment=whole_environment
            )
        try:
            yield _connect(process, data_dir, log_path, environment=whole_environment)
        except BaseException:
            _stop(process)
            raise
        if code := _stop(process):
            raise ServiceError(f"synctables serve ended with {code}: {_last_line(log_path)}")


def _check_unused(data_dir: Path) -> Path:
    if data_dir.exists() and (not data_dir.is_dir() or any(data_dir.iterdir())):
        raise ServiceError(f"{data_dir} is in use; the demo needs a new or empty directory")
    return data_dir.absolute()


@contextmanager
def _folder() -> Iterator[Path]:
    # Short, because a socket path has 107 bytes at most; open to others, because as root the
    # database runs as another user, who must be able to pass through.
    folder = Path(tempfile.mkdtemp(prefix="synctables-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _without_settings() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("SYNCTABLES_")}


def _start(
    data_dir: Path, *, port: int, log_file: int, environment: Mapping[str, str]
) -> subprocess.Popen[str]:
    command = [*synctables_command(), "serve", "--port", str(port), "--data-dir", str(data_dir)]
    return subprocess.Popen(  # our own program
        command,
        stdout=subprocess.PIPE,
        stderr=log_file,
        text=True,
        env=environment,
        start_new_session=True,  # Ctrl-C is ours to hear; we then stop it in order
    )


def _connect(
    process: subprocess.Popen[str],
    data_dir: Path,
    log_path: Path,
    *,
    environment: Mapping[str, str],
) -> Service:
    address = _await_ready(process, log_path)
    local = json.loads((data_dir / "local.json").read_text(encoding="utf-8"))
    return Service(
        process=process,
        data_dir=data_dir,
        log_path=log_path,
        address=address,
        api_key=local["api_key"],
        database_url=_read_database_url(data_dir, environment=environment),
    )


def _await_ready(process: subprocess.Popen[str], log_path: Path) -> str:
    """The address in the ready line. Raises `ServiceError` with the program's own last words."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    Thread(target=_pass_lines, args=(process, lines), name="serve's output", daemon=True).start()
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            message = f"synctables serve was not ready within {START_SECONDS:.0f} s"
            raise ServiceError(message) from None
        if line is None:
            process.wait()
            raise ServiceError(f"synctables serve did not start: {_last_line(log_path)}")
        if line.startswith(READY):
            return line.removeprefix(READY).split()[0].rstrip("/")


def _pass_lines(process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    """Read all that the program prints, so that it never waits for us; None at the end."""
    assert process.stdout is not None  # noqa: S101  # opened as a pipe by _start
    with process.stdout as output:
        for line in output:
            lines.put(line)
    lines.put(None)


def _last_line(log_path: Path) -> str:
    lines = log_path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no reason given")


def _read_database_url(data_dir: Path, *, environment: Mapping[str, str]) -> str:
    command = [*synctables_command(), "database-url", "--data-dir", str(data_dir)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if answer.returncode:
        raise ServiceError(f"synctables database-url: {answer.stderr.strip()}")
    return answer.stdout.strip()


def _stop(process: subprocess.Popen[str]) -> int:
    """Ask it to stop; its exit code, 0 where all is well."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
