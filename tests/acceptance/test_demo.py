"""`make demo`, as a newcomer runs it: a real service on real files, from start to stop."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from doubles.drives import RUNNERS

DEMO = Path(__file__).resolve().parents[2] / "scripts" / "demo.py"
FORMATS = {"CSV", "GeoJSON", "Shapefile", "XLSX", "GPKG", "KML"}
LONGEST_SECONDS = 300.0


def _start(short_dir: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(DEMO), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(short_dir)},
    )


def test_once_imports_and_refreshes_six_formats_and_leaves_nothing_behind(short_dir: Path) -> None:
    demo = _start(short_dir, "--once")
    output, complaints = demo.communicate(timeout=LONGEST_SECONDS)
    assert demo.returncode == 0, output + complaints
    lines = [line.split() for line in output.splitlines() if "equal to the file" in line]
    for verb in ("imported", "refreshed"):
        assert {line[1] for line in lines if line[2:3] == [verb]} == FORMATS
    assert list(short_dir.iterdir()) == []


def test_cloud_drives_are_shown_from_consent_to_revocation(short_dir: Path) -> None:
    demo = _start(short_dir, "--cloud", "--once")
    output, complaints = demo.communicate(timeout=LONGEST_SECONDS)
    assert demo.returncode == 0, output + complaints
    for drive in RUNNERS:
        lines = [line for line in output.splitlines() if line.startswith(drive)]
        assert [line.split()[1] for line in lines] == [
            "connected,", "picked", "imported", "refreshed,", "refreshed,", "refreshed,",
            "revoked:",
        ]  # fmt: skip
    assert list(short_dir.iterdir()) == []


@pytest.mark.full
def test_ctrl_c_ends_the_demo_in_order(short_dir: Path) -> None:
    demo = _start(short_dir)
    assert demo.stdout is not None
    for line in demo.stdout:
        if " refreshed " in line:
            break
    demo.send_signal(signal.SIGINT)
    output, complaints = demo.communicate(timeout=LONGEST_SECONDS)
    assert demo.returncode == 0, output + complaints
    assert list(short_dir.iterdir()) == []


def test_missing_packages_are_one_line_that_says_what_to_run(short_dir: Path) -> None:
    demo = _start(short_dir, "--once", "--packages", str(short_dir))
    _, complaints = demo.communicate(timeout=LONGEST_SECONDS)
    assert demo.returncode == 1
    assert complaints.count("\n") == 1
    assert "make dev" in complaints


def test_a_port_in_use_is_one_line_that_names_it(short_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        demo = _start(short_dir, "--once", "--port", port)
        _, complaints = demo.communicate(timeout=LONGEST_SECONDS)
    assert demo.returncode == 1
    assert complaints.count("\n") == 1
    assert port in complaints
