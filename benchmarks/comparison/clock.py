"""What the clock can do: checks of unchanged sources a second, and claims among very many syncs."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from comparison import files, rows
from comparison.crowd import add_accounts, add_syncs
from comparison.ours import Ours
from comparison.targets import Verdict
from comparison.unchanging_server import ETAG
from synctables.db.pool import connect
from synctables.jobs import create_jobs_app
from synctables.syncs.claims import queue_due_syncs

if TYPE_CHECKING:
    from comparison.bench import Bench
    from comparison.cases import Plan

CHECKED_SYNCS = 10_000
HOSTS = 20
FEWEST_CHECKS_A_SECOND = 1_000

FEW_SYNCS, MANY_SYNCS = 1_000, 1_000_000
ACCOUNTS = 1_000
DUE_SYNCS = 200
MOST_TIMES_SLOWER = 2.0
CLAIMS = 30

LOOK_SECONDS = 0.05
CHECK_SECONDS = 300.0

_MAKE_DUE = """
UPDATE synctables.syncs SET run_at = now(), attempted_at = NULL
WHERE url LIKE 'http://127.0.1.%'"""
_COUNT_CHECKED = """
SELECT count(*) FROM synctables.syncs
WHERE url LIKE 'http://127.0.1.%' AND state = 'success' AND attempted_at IS NOT NULL
  AND run_at > now()"""
_MAKE_SOME_DUE = """
UPDATE syncs SET run_at = now() WHERE id IN (
    SELECT id FROM syncs WHERE state = 'success' AND run_at > now() ORDER BY run_at LIMIT %s)"""
_LET_GO = """
WITH gone AS (DELETE FROM checks), jobs AS (DELETE FROM procrastinate_jobs)
UPDATE syncs SET state = 'success', claim_id = NULL, run_at = now() + interval '2 days'
WHERE state = 'queued'"""
# Both by indexes: looking is not to be what is measured.
_IS_OPEN = """
SELECT EXISTS (SELECT FROM synctables.syncs WHERE state IN ('created', 'queued', 'syncing'))
    OR EXISTS (SELECT FROM synctables.syncs WHERE state IN ('success', 'failure')
               AND greatest(run_at, put_off_until) <= now())"""
_RUNS = "SELECT count(*) FROM synctables.runs"


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Processor seconds by kind of process, bytes of WAL, and seconds by the clock."""

    worker: float
    api: float
    database: float
    wal_bytes: int
    seconds: float

    def __sub__(self, other: Spent) -> Spent:
        return Spent(
            worker=self.worker - other.worker,
            api=self.api - other.api,
            database=self.database - other.database,
            wal_bytes=self.wal_bytes - other.wal_bytes,
            seconds=self.seconds - other.seconds,
        )


def check_unchanged(plan: Plan) -> None:
    """All of them become due in one moment; it ends when the last one's outcome is written."""
    bench = plan.bench
    ours = _make_one(plan)
    with _unchanging_server() as (server, port):
        add_syncs(
            bench.owner,
            like=ours.sync_id,
            count=CHECKED_SYNCS,
            pattern=f"http://127.0.1.%s:{port}/%s.csv",
            host_count=HOSTS,
            etag=ETAG,
        )
        bench.owner.execute("VACUUM ANALYZE synctables.syncs")
        turns = [_check_all(bench) for _ in range(plan.runs)]
        request_count = int(server.communicate("")[0])
    bench.owner.execute("DELETE FROM synctables.syncs WHERE url LIKE 'http://127.0.1.%'")
    bench.owner.execute("VACUUM ANALYZE synctables.syncs")  # or the next case pays for it
    ours.drop()
    seconds = statistics.median(turn.seconds for turn in turns)
    rate = CHECKED_SYNCS / seconds
    plan.findings.figures.append(
        Verdict(
            what=f"checks of unchanged sources, {CHECKED_SYNCS:,} syncs on {HOSTS} hosts,"
            f" all due at once, {request_count / len(turns):,.0f} requests",
            wanted=f"≥ {FEWEST_CHECKS_A_SECOND:,} a second",
            measured=f"{rate:,.0f} a second ({seconds:.1f} s; a check: {_tell_cost(turns)})",
            is_reached=rate >= FEWEST_CHECKS_A_SECOND,
        )
    )


def claim_due(plan: Plan) -> None:
    """The clock's claim, every part of it, with as many due among few and among many.

    Nothing is cleaned up: the case has a cluster to itself.
    """
    bench = plan.bench
    ours = _make_one(plan)
    add_accounts(bench.owner, ACCOUNTS)
    found = {}
    for count in (FEW_SYNCS, MANY_SYNCS):
        (present,) = bench.owner.execute("SELECT count(*) FROM synctables.syncs").fetchone() or (0,)
        add_syncs(
            bench.owner,
            like=ours.sync_id,
            count=count - int(present),
            pattern="http://h%s.example/%s.csv",
            host_count=FEW_SYNCS,
            etag=ETAG,
        )
        bench.owner.execute("VACUUM ANALYZE synctables.syncs")
        bench.settle()
        with _without_worker(bench):
            found[count] = asyncio.run(_claim(bench.service.database_url))
    few, many = (statistics.median(found[count]) for count in (FEW_SYNCS, MANY_SYNCS))
    plan.findings.figures.append(
        Verdict(
            what=f"claim of {DUE_SYNCS} due syncs with {MANY_SYNCS:,} registered, against"
            f" {FEW_SYNCS:,}",
            wanted=f"≤ {MOST_TIMES_SLOWER:g}×",
            measured=f"{many / few:.2f}× ({many * 1000:.1f} ms against {few * 1000:.1f} ms)",
            is_reached=many <= MOST_TIMES_SLOWER * few,
        )
    )


async def _claim(database_url: str) -> list[float]:
    """Seconds of each claim, its COMMIT included."""
    jobs_app = create_jobs_app()
    found = []
    async with await connect(database_url, application_name="bench") as connection:
        for _ in range(CLAIMS):
            async with connection.transaction():
                await connection.execute(_MAKE_SOME_DUE, [DUE_SYNCS])
            began_at = time.perf_counter()
            async with connection.transaction():
                claimed = await queue_due_syncs(connection, jobs_app, limit=5000, runs_at_once=3)
            found.append(time.perf_counter() - began_at)
            if claimed.checks != DUE_SYNCS:
                raise RuntimeError(f"{claimed} of {DUE_SYNCS} were claimed")
            async with connection.transaction():
                await connection.execute(_LET_GO)
    return found


@contextmanager
def _without_worker(bench: Bench) -> Iterator[None]:
    """The service's own clock stands still while the block runs."""
    service = psutil.Process(bench.service.process.pid)
    workers = [one for one in service.children(recursive=True) if "worker" in one.cmdline()]
    for worker in workers:
        worker.suspend()
    try:
        yield
    finally:
        for worker in workers:
            worker.resume()


def _check_all(bench: Bench) -> Spent:
    """What it took until all were checked."""
    bench.settle()
    runs_before = bench.owner.execute(_RUNS).fetchone()
    before = _read_spent(bench)
    bench.owner.execute(_MAKE_DUE)
    while bench.owner.execute(_IS_OPEN).fetchone() == (True,):
        if time.perf_counter() - before.seconds > CHECK_SECONDS:
            raise RuntimeError(f"not all were checked within {CHECK_SECONDS:.0f} s")
        bench.service.ensure_running()
        time.sleep(LOOK_SECONDS)
    spent = _read_spent(bench) - before
    if bench.owner.execute(_COUNT_CHECKED).fetchone() != (CHECKED_SYNCS,):
        raise RuntimeError("not every check succeeded")
    if bench.owner.execute(_RUNS).fetchone() != runs_before:
        raise RuntimeError("an unchanged source got a run")
    return spent


def _read_spent(bench: Bench) -> Spent:
    """Until now, since the processes began."""
    serve = psutil.Process(bench.service.process.pid)
    postmaster = psutil.Process(bench.postmaster_pid)
    database = {postmaster, *postmaster.children(recursive=True)}
    return Spent(
        worker=_sum_seconds(set(serve.children(recursive=True)) - database),
        api=_own_seconds(serve),
        database=_sum_seconds(database),
        wal_bytes=bench.wal_position(),
        seconds=time.perf_counter(),
    )


def _sum_seconds(processes: Iterable[psutil.Process]) -> float:
    """Of these, and of children of theirs that have ended."""
    total = 0.0
    for process in processes:
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def _own_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _tell_cost(turns: Sequence[Spent]) -> str:
    """Of one check, by kind of process: medians of the turns."""

    def of_one(take: Callable[[Spent], float]) -> float:
        return statistics.median(map(take, turns)) / CHECKED_SYNCS

    worker, api = of_one(lambda spent: spent.worker), of_one(lambda spent: spent.api)
    database, wal = of_one(lambda spent: spent.database), of_one(lambda spent: spent.wal_bytes)
    return (
        f"{1000 * worker:.2f} ms of processor time of the worker, {1000 * database:.2f} ms of"
        f" PostgreSQL, {1000 * api:.2f} ms of the API; {wal:,.0f} bytes of WAL"
    )


def _make_one(plan: Plan) -> Ours:
    """A sync with a small table, for the others to be copies of."""
    ours = Ours(plan.bench, label="standing")
    ours.create(plan.write(rows.make_points(1_000), "standing.csv", files.write_csv))
    return ours


@contextmanager
def _unchanging_server() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The server in a process of its own, and its port."""
    script = Path(__file__).with_name("unchanging_server.py")
    process: subprocess.Popen[Any] = subprocess.Popen(
        [sys.executable, str(script), str(HOSTS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
