"""What one run costs: the figures that `docs/explanation/scale.md` reckons with.

    python benchmarks/scale.py --syncs 60 --rows 1000

A real `synctables serve` imports small files and refreshes them once. Printed are processor time of
the worker (with its children) and of PostgreSQL, and bytes of WAL, for one first import and one
refresh. What a check costs is measured by `make bench ONLY=checks`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from demonstration.service import Service, run_service
from soaking.files import SoakFile
from soaking.server import run_server

SEED = 20150806
WAIT_SECONDS = 900.0
POLL_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Since the service began: seconds of processor time, and bytes of WAL."""

    worker_seconds: float
    database_seconds: float
    wal_bytes: int
    wall_seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--syncs", type=int, default=60)
    parser.add_argument("--rows", type=int, default=1000)
    arguments = parser.parse_args()
    with run_server(seed=SEED) as server, run_service(None, port=0) as service:
        files = [
            SoakFile(number, row_count=arguments.rows, seed=SEED)
            for number in range(arguments.syncs)
        ]
        before = _spent(service)
        ids = [
            service.call(
                "POST",
                "/api/v1/synchronizations",
                {"url": server.publish(file), "interval": 86_400},
            )["id"]
            for file in files
        ]
        _wait(service, runs=len(ids))
        imported = _spent(service)
        for file in files:
            file.change()
            server.publish(file)
        for sync_id in ids:
            service.call("PUT", f"/api/v1/synchronizations/{sync_id}/sync_now")
        _wait(service, runs=2 * len(ids))
        refreshed = _spent(service)
    _tell("first import", before, imported, count=len(ids))
    _tell("refresh", imported, refreshed, count=len(ids))
    return 0


def _wait(service: Service, *, runs: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        service.ensure_running()
        with psycopg.connect(service.database_url) as connection:
            row = connection.execute(
                "SELECT count(*) FROM synctables.runs WHERE outcome = 'success'"
            ).fetchone()
        if row is not None and row[0] >= runs:
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"Only {row and row[0]} of {runs} runs succeeded in time.")
        time.sleep(POLL_SECONDS)


def _spent(service: Service) -> Spent:
    serve = psutil.Process(service.process.pid)
    worker = next(child for child in serve.children() if "worker" in child.cmdline())
    with psycopg.connect(service.database_url) as connection:
        row = connection.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone()
    return Spent(
        worker_seconds=_seconds(worker),
        database_seconds=sum(map(_seconds, _database(service))),
        wal_bytes=int(row[0]) if row else 0,
        wall_seconds=time.monotonic(),
    )


def _database(service: Service) -> Iterator[psutil.Process]:
    pid_file = next(Path(service.data_dir).rglob("postmaster.pid"))
    postmaster = psutil.Process(int(pid_file.read_text().split()[0]))
    yield postmaster
    yield from postmaster.children(recursive=True)


def _seconds(process: psutil.Process) -> float:
    """Of the process, and of its children that have ended and were waited for."""
    times = process.cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def _tell(what: str, before: Spent, after: Spent, *, count: int) -> None:
    worker = (after.worker_seconds - before.worker_seconds) / count
    database = (after.database_seconds - before.database_seconds) / count
    wal = (after.wal_bytes - before.wal_bytes) / count
    wall = (after.wall_seconds - before.wall_seconds) / count
    sys.stdout.write(
        f"one {what}: worker {worker:.3f} s, PostgreSQL {database:.3f} s of processor time; "
        f"{wal / 1000:,.0f} kB of WAL; one every {wall:.2f} s\n"
    )


if __name__ == "__main__":
    sys.exit(main())
