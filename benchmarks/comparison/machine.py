"""What the figures were measured on, and with."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from comparison.bench import Bench
from comparison.peers.dlthub import PYTHON

FULL_ROWS = 2_000_000
FULL_RUNS = 5

BUSY_LOAD = 0.5
"""Before the run begins, on any number of cores: somebody else is at work."""

ROOT = Path(__file__).resolve().parents[2]

SERVER_SETTINGS = (
    "wal_level",
    "full_page_writes",
    "fsync",
    "shared_buffers",
    "maintenance_work_mem",
    "max_wal_size",
)

_DLT_VERSION = "from importlib.metadata import version; print(version('dlt'))"


def describe_run(*, rows: int, runs: int) -> dict[str, str]:
    """When, what, and how much of it."""
    changed = _output("git", "-C", str(ROOT), "status", "--porcelain", "--", "src")
    commit = _output("git", "-C", str(ROOT), "rev-parse", "HEAD")
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit + (" and changes that are not committed" if changed else ""),
        "ROWS": f"{rows:,}",
        "RUNS": str(runs),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def doubts(*, rows: int, runs: int) -> list[str]:
    """Why figures of this run are not the ones that the targets speak of."""
    found = []
    load = os.getloadavg()[0]
    if load > BUSY_LOAD:
        found.append(f"The machine had other work when this began (load {load:.1f}).")
    if rows < FULL_ROWS:
        found.append(f"The targets speak of {FULL_ROWS:,} rows; this run had {rows:,}.")
    if runs < FULL_RUNS:
        found.append(f"The targets speak of medians of {FULL_RUNS}; this run had {runs} each.")
    return found


def describe_machine(bench: Bench) -> dict[str, str]:
    """Cores, memory, and the version of everything that takes part."""
    (postgresql, postgis) = bench.owner.execute(
        "SELECT current_setting('server_version'), postgis_lib_version()"
    ).fetchone() or ("", "")
    return {
        "cores": str(psutil.cpu_count()),
        "processor": _processor(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": platform.platform(terse=True),
        "Python": platform.python_version(),
        "PostgreSQL": str(postgresql),
        "PostGIS": str(postgis),
        "ogr2ogr": _output("ogr2ogr", "--version"),
        "dlt": _output(str(PYTHON), "-c", _DLT_VERSION),
        **{name: version(name) for name in ("duckdb", "pyarrow", "pyogrio", "psycopg")},
        **{name: bench.setting(name) for name in SERVER_SETTINGS},
    }


def _processor() -> str:
    if sys.platform == "linux":
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
        if names:
            return names[0]
    return platform.processor() or platform.machine()


def _output(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout.strip()
