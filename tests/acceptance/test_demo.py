"""`make demo`, as a newcomer runs it: a real service on real files, from start to stop."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / "scripts" / "demo.py"
FORMATS = {"CSV", "GeoJSON", "Shapefile", "XLSX", "GPKG", "KML"}
LONGEST_SECONDS = 300.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path, because the database's socket goes below it."""
    with tempfile.TemporaryDirectory(prefix="std-", dir="/tmp") as name:
        path = Path(name)
        path.chmod(0o755)  # as root the database runs as another user, who must pass through
        yield path


def _start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(DEMO), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(folder)},
    )


def test_once_imports_and_refreshes_six_formats_and_leaves_nothing_behind(folder: Path) -> None:
    demo = _start(folder, "--once")
    output, complaints = demo.communicate(timeout=LONGEST_SECONDS)
    assert demo.returncode == 0, output + complaints
    lines = [line.split() for line in output.splitlines() if "equal to the file" in line]
    for verb in ("imported", "refreshed"):
        assert {line[1] for line in lines if line[2:3] == [verb]} == FORMATS
    assert list(folder.iterdir()) == []


@pytest.mark.full
def test_ctrl_c_ends_the_demo_in_order(folder: Path) -> None:
    demo = _start(folder)
    assert demo.stdout is not None
    for line in demo.stdout:
        if " refreshed " in line:
            break
    demo.send_signal(signal.SIGINT)
    output, complaints = demo.communicate(timeout=LONGEST_SECONDS)
    assert demo.returncode == 0, output + complaints
    assert list(folder.iterdir()) == []


def test_missing_packages_are_one_line_that_says_what_to_run(folder: Path) -> None:
    demo = _start(folder, "--once", "--packages", str(folder))
    _, complaints = demo.communicate(timeout=LONGEST_SECONDS)
    assert demo.returncode == 1
    assert complaints.count("\n") == 1
    assert "make dev" in complaints


def test_a_port_in_use_is_one_line_that_names_it(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        demo = _start(folder, "--once", "--port", port)
        _, complaints = demo.communicate(timeout=LONGEST_SECONDS)
    assert demo.returncode == 1
    assert complaints.count("\n") == 1
    assert port in complaints
