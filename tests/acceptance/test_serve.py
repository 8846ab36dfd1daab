"""``synctables serve`` from the outside: real processes, a private cluster, real signals."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import requests

from synctables.cli.serve import prepare
from synctables.errors import ConfigurationError
from tests.support.scratch import short_directory
from tests.support.serve_process import (
    READY,
    ServeProcess,
    processes_of,
    run_command,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, kw_only=True)
class FirstStart:
    """What was seen while a ``serve`` ran on an empty data directory for the first time."""

    data_dir: Path
    lines: list[str]
    api_key: str
    local_access: dict[str, str]
    local_access_mode: int
    answered: int
    database_url: str
    exit_code: int
    stop_seconds: float
    left_behind: list[psutil.Process]


@pytest.fixture(scope="module")
def first_start() -> Iterator[FirstStart]:
    with short_directory() as folder:
        server = ServeProcess.start(folder / "data", log=folder / "serve.log")
        try:
            yield _look_and_stop(server)
        finally:
            server.end()


def _look_and_stop(server: ServeProcess) -> FirstStart:
    access = server.data_dir / "local.json"
    seen = {
        "lines": server.lines,
        "api_key": server.api_key,
        "local_access": json.loads(access.read_text()),
        "local_access_mode": stat.S_IMODE(access.stat().st_mode),
        "answered": _list_syncs(server.address, server.api_key),
        "database_url": server.command("database-url").stdout,
    }
    began = time.monotonic()
    exit_code = server.stop()
    return FirstStart(
        data_dir=server.data_dir,
        exit_code=exit_code,
        stop_seconds=time.monotonic() - began,
        left_behind=processes_of(server.data_dir),
        **seen,
    )


@pytest.fixture
def again(first_start: FirstStart, tmp_path: Path) -> Iterator[Callable[[], ServeProcess]]:
    """Starts a ``serve`` on the data directory of the first start."""
    started: list[ServeProcess] = []

    def start() -> ServeProcess:
        started.append(ServeProcess.start(first_start.data_dir, log=tmp_path / "serve.log"))
        return started[-1]

    yield start
    for server in started:
        server.end()


def _list_syncs(address: str, api_key: str) -> int:
    return requests.get(
        f"{address}/api/v1/synchronizations", params={"api_key": api_key}, timeout=10
    ).status_code


def test_the_first_start_prints_a_key_once_and_one_ready_line(first_start: FirstStart) -> None:
    key_line, ready_line = first_start.lines
    assert key_line == f"API key of account main (shown once): {first_start.api_key}"
    assert ready_line.startswith(f"{READY}http://127.0.0.1:")
    assert first_start.answered == 200


def test_the_local_key_is_private(first_start: FirstStart) -> None:
    assert first_start.local_access_mode == 0o600
    assert first_start.local_access["account"] == "main"
    assert first_start.local_access["server"] == first_start.lines[-1].removeprefix(READY)
    assert first_start.local_access["api_key"] != first_start.api_key


def test_the_database_url_is_one_line(first_start: FirstStart) -> None:
    assert first_start.database_url.startswith("postgresql://synctables:")
    assert first_start.database_url.count("\n") == 1


def test_sigterm_stops_everything_within_ten_seconds(first_start: FirstStart) -> None:
    assert first_start.exit_code == 0
    assert first_start.stop_seconds < 10
    assert first_start.left_behind == []
    assert not (first_start.data_dir / "local.json").exists()


def test_a_second_start_resumes_and_whatever_is_killed_comes_back(
    first_start: FirstStart, again: Callable[[], ServeProcess]
) -> None:
    server = again()
    assert len(server.lines) == 1  # no second key
    assert _list_syncs(server.address, first_start.api_key) == 200

    assert server.wait_until_healthy()
    killed = server.worker()
    assert killed.nice() == min(psutil.Process().nice() + 10, 19)  # it leaves the API its turns
    killed.kill()
    worker = server.worker_other_than(killed.pid)

    postmaster = server.postmaster_other_than()
    postmaster.kill()
    server.postmaster_other_than(postmaster.pid)
    assert server.wait_until_healthy()

    server.stop(signal.SIGKILL)
    psutil.wait_procs([worker], timeout=15)
    assert not worker.is_running()  # it never outlives its serve

    server = again()  # takes the surviving database over
    assert _list_syncs(server.address, first_start.api_key) == 200
    assert server.stop(signal.SIGINT) == 0


async def test_two_servers_on_an_empty_database_make_one_account(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = await asyncio.gather(
        prepare(database_url, server="http://one"), prepare(database_url, server="http://two")
    )
    assert (first.account, second.account) == ("main", "main")
    assert capsys.readouterr().out.count("API key of account main") == 1


def test_a_port_in_use_is_one_line_and_nothing_is_left(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_command("serve", "--port", str(port), "--data-dir", str(tmp_path / "data"))
    assert ended.returncode == 1
    assert ended.stderr == (
        f"Error: Port {port} of 127.0.0.1 is in use. "
        "Choose another with --port; 0 takes a free one.\n"
    )
    assert processes_of(tmp_path / "data") == []


async def test_a_database_that_does_not_answer_is_said_without_its_password() -> None:
    with pytest.raises(ConfigurationError, match="cannot be reached") as caught:
        await prepare("postgresql://nobody:secret-word@127.0.0.1:1/none", server="http://one")
    assert "secret-word" not in str(caught.value)
