"""`make soak MINUTES=15`: hundreds of syncs, changing files, faults of every kind, three workers.

At the end the faults stop, everything is run once more, and it is judged: every table equals its
file, nothing is left over, memory is flat. Exit code 0 only then. Figures are printed in any case.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import psycopg

from soaking.judgement import Memory, find_ended, find_left_overs, settle, warm_up
from soaking.mischief import Mischief
from soaking.server import SoakServer, run_server
from soaking.town import HUGE_ROW_COUNT, Town, run_town, wait_seconds

TICK_SECONDS = 1.0
CHANGED_A_TICK = 3
FAULT_SHARE = 0.03
MISCHIEF_EVERY_TICKS = 3
MEMORY_EVERY_TICKS = 3
HUGE_EVERY_TICKS = 8

_RUNS = """
SELECT coalesce(outcome, 'not ended') || coalesce(' ' || error_code::text, ''), count(*)
FROM synctables.runs GROUP BY 1 ORDER BY 2 DESC
"""


def main() -> int:
    """Soak. Returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--syncs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=20150806)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="synctables-soak-"))
    folder.chmod(0o755)
    _say(f"Logs and data: {folder}")
    with (
        run_server(seed=arguments.seed) as server,
        run_town(folder, sync_count=arguments.syncs, seed=arguments.seed, server=server) as town,
    ):
        _say(f"{arguments.syncs} syncs are created.")
        problems = warm_up(town)
        if not problems:
            _say("Every table equals its file; now for changes and faults.")
        mischief, memory = Mischief(town), Memory()
        _soak(town, mischief, memory, minutes=arguments.minutes)
        server.fault_share = 0.0
        mischief.join()
        began = time.monotonic()
        problems += settle(town)
        settled_seconds = time.monotonic() - began
        problems += find_left_overs(town)
        problems += memory.find_growth() + find_ended(town)
        problems += [name for name in mischief.counts if name.startswith("FAULT")]
        memory.write(folder / "memory.json")
        _print_figures(town, server, mischief, memory, settled_seconds=settled_seconds)
    for problem in problems:
        _say(f"PROBLEM: {problem}")
    if problems:
        _say(f"It failed; logs and data stay in {folder}.")
        return 1
    shutil.rmtree(folder)
    _say("Every table equals its file; nothing is left over; memory is flat.")
    return 0


def _soak(town: Town, mischief: Mischief, memory: Memory, *, minutes: float) -> None:
    """Changes and faults for so many minutes."""
    town.server.fault_share = FAULT_SHARE
    until = time.monotonic() + minutes * 60
    tick = 0
    while time.monotonic() < until:
        tick += 1
        town.change_some(CHANGED_A_TICK)
        if tick % HUGE_EVERY_TICKS == 0:
            town.change_a_huge_one()
        if tick % MISCHIEF_EVERY_TICKS == 0:
            mischief.do_something()
        if tick % MEMORY_EVERY_TICKS == 0:
            memory.sample(town)
        wait_seconds(TICK_SECONDS)


def _print_figures(
    town: Town, server: SoakServer, mischief: Mischief, memory: Memory, *, settled_seconds: float
) -> None:
    versions = sum(one.file.version for one in town.followed)
    _say(f"syncs {len(town.followed)}, versions published {versions:,}")
    huge = [one.file for one in town.huge]
    _say(
        f"of {len(huge)} files of {HUGE_ROW_COUNT:,} rows: {sum(file.version for file in huge)}"
        f" versions, {sum(file.full_change_count for file in huge)} with every row changed,"
        f" {sum(file.type_change_count for file in huge)} with another type of a column"
    )
    _say(f"requests {server.request_count:,}, answered 304: {server.not_modified_count:,}")
    _say("faults of the server: " + _listed(server.faults.items()))
    _say("mischief: " + _listed(mischief.counts.items()))
    with psycopg.connect(town.service.database_url) as connection:
        _say("runs: " + _listed(connection.execute(_RUNS).fetchall()))
    for name, (first, last) in memory.quarters().items():
        _say(f"memory of {name}: {first:.0f} MB in the first quarter, {last:.0f} MB in the last")
    _say(f"settled in {settled_seconds:.0f} s")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _listed(items: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name}: {count:,}" for name, count in sorted(items)) or "none"


if __name__ == "__main__":
    sys.exit(main())
