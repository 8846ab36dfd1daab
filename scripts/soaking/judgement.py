"""What must hold at the end: every table equals its file, nothing is left over, memory is flat."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from demonstration.processes import resident_bytes
from demonstration.service import ServiceError
from soaking import left_overs
from soaking.files import Key, Value
from soaking.town import Followed, Town

SETTLE_SECONDS = 420.0
POLL_SECONDS = 2.0
MOST_GROWTH = 1.25
"""Median memory of the last quarter against the first; what Python's allocator keeps is less."""
WARM_UP_SHARE = 0.2
"""Of the samples: until pools have the connections that many faults at once ask for."""
FEWEST_SAMPLES = 8
SERVE, WORKER, CHILDREN = "serve", "the lasting worker", "the lasting worker's children"
JUDGED = (SERVE, WORKER)
"""Children are not: each reads one file and ends, so their memory is that of the files."""


def find_differences(town: Town) -> list[str]:
    """Tables that are not equal to their files, each with what differs."""
    with psycopg.connect(town.service.database_url) as connection:
        return [text for one in town.followed if (text := _difference(connection, one))]


def settle(town: Town) -> list[str]:
    """Without faults, have every sync run until its table equals its file. Returns what does not.

    A forced run also puts right what was edited by hand.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    for one in town.followed:
        _force(town, one)
    problems = ["nothing was looked at"]
    while problems and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        try:
            problems = _look(town)
        except (psycopg.Error, ServiceError) as error:
            problems = [f"no answer: {error}"]
    return problems


def warm_up(town: Town) -> list[str]:
    """Have every file read and every huge table written anew, all at once and without faults.

    What workers need for the largest of their work they have then had once, so that memory which
    grows from here on is lost. Returns what did not come to equal its file.
    """
    for one in town.huge:
        one.file.change_every_row()
        town.server.publish(one.file)
    return settle(town)


def _look(town: Town) -> list[str]:
    """What is not well yet; what failed is asked to run again."""
    states = _states(town)
    for one in town.followed:
        if states[one.sync_id] == "failure":
            _force(town, one)
    waiting = [f"{one.table} is {state}" for one in town.followed
               if (state := states[one.sync_id]) != "success"]  # fmt: skip
    return waiting or find_differences(town)


def find_left_overs(town: Town) -> list[str]:
    """What dead workers must not leave behind, once everything has settled."""
    with psycopg.connect(town.service.database_url) as connection:
        return left_overs.find_left_overs(connection, town.data_dirs)


@dataclass
class Memory:
    """Resident memory of the processes that live throughout, sampled in megabytes."""

    samples: dict[str, list[float]] = field(default_factory=dict)

    def sample(self, town: Town) -> None:
        """The API process without its children; a worker that nobody kills; its children."""
        with suppress(psutil.Error):
            self._add(SERVE, [psutil.Process(town.service.process.pid)])
        with suppress(psutil.Error):
            worker = psutil.Process(town.lasting_worker.process_id)
            self._add(WORKER, [worker])
            self._add(CHILDREN, worker.children(recursive=True))

    def _add(self, name: str, processes: Sequence[psutil.Process]) -> None:
        size = sum(map(resident_bytes, processes))
        self.samples.setdefault(name, []).append(size / 1e6)

    def write(self, path: Path) -> None:
        """All of them in their order, for whoever asks why."""
        path.write_text(json.dumps(self.samples), encoding="utf-8")

    def quarters(self) -> dict[str, tuple[float, float]]:
        """Medians of the first quarter after the warm-up and of the last one, by process."""
        found = {}
        for name, sizes in self.samples.items():
            warm = sizes[int(len(sizes) * WARM_UP_SHARE) :]
            quarter = max(len(warm) // 4, 1)
            found[name] = (statistics.median(warm[:quarter]), statistics.median(warm[-quarter:]))
        return found

    def find_growth(self) -> list[str]:
        """What grew, or was seen too seldom to tell."""
        quarters = self.quarters()
        seen_seldom = [
            f"{name} was sampled {count} times only"
            for name in JUDGED
            if (count := len(self.samples.get(name, []))) < FEWEST_SAMPLES
        ]
        return seen_seldom + [
            f"{name} grew from {first:.0f} to {last:.0f} MB"
            for name, (first, last) in quarters.items()
            if name in JUDGED and last > first * MOST_GROWTH
        ]


def find_ended(town: Town) -> list[str]:
    """The worker that nobody kills, where it ended nevertheless."""
    code = town.lasting_worker.exit_code
    return [] if code is None else [f"{WORKER} ended with {code}"]


def _difference(connection: psycopg.Connection, one: Followed) -> str | None:
    query = sql.SQL("SELECT id, coalesce(name, ''), value FROM {}").format(
        sql.Identifier("main", one.table)
    )
    try:
        with connection.transaction():
            rows = connection.execute(query).fetchall()
    except psycopg.errors.UndefinedTable:
        return f"{one.table} does not exist"
    held: list[Key] = sorted((int(row[0]), row[1], _plain(row[2])) for row in rows)
    if held == one.file.keys:
        return None
    missing = len(set(one.file.keys) - set(held))
    surplus = len(held) - len(one.file.keys) + missing
    return f"{one.table}: {missing} rows are missing, {surplus} are too many"


def _plain(value: object) -> Value:
    """As the file has it, whether the column holds numbers or text now."""
    return value if isinstance(value, str) else float(str(value))


def _force(town: Town, one: Followed) -> None:
    try:
        town.service.call("PUT", f"/api/v1/synchronizations/{one.sync_id}/sync_now")
    except ServiceError:
        return  # it is asked again at the next look


def _states(town: Town) -> dict[str, str]:
    answer = town.service.call("GET", "/api/v1/synchronizations")
    return {sync["id"]: sync["state"] for sync in answer["synchronizations"]}
