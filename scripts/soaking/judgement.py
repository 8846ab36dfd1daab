"""What must hold at the end: every table equals its file, nothing is left over, memory is flat."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from demonstration.service import ServiceError
from soaking import left_overs
from soaking.files import Key
from soaking.town import Followed, Town

SETTLE_SECONDS = 420.0
POLL_SECONDS = 2.0
MOST_GROWTH = 1.25
"""Median memory of the last third against the first; what Python's allocator keeps is less."""


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
        return left_overs.find_left_overs(connection, [Path(town.service.data_dir)])


@dataclass
class Memory:
    """Resident memory of the processes that live throughout, sampled."""

    samples: dict[str, list[float]] = field(default_factory=dict)

    def sample(self, town: Town) -> None:
        """Megabytes of the API process, and of each worker with its children."""
        processes = {"serve": [psutil.Process(town.service.process.pid)]}
        worker = town.served_worker()
        if worker is not None:
            processes["worker of serve"] = [worker]
        for name, members in processes.items():
            try:
                size = sum(process.memory_info().rss for process in members)
            except psutil.Error:
                continue
            self.samples.setdefault(name, []).append(size / 1e6)

    def thirds(self) -> dict[str, tuple[float, float]]:
        """Median megabytes of the first and the last third, by process."""
        return {
            name: (statistics.median(sizes[: len(sizes) // 3]),
                   statistics.median(sizes[-(len(sizes) // 3) :]))
            for name, sizes in self.samples.items()
            if len(sizes) >= 6
        }  # fmt: skip

    def find_growth(self) -> list[str]:
        return [
            f"{name} grew from {first:.0f} to {last:.0f} MB"
            for name, (first, last) in self.thirds().items()
            if last > first * MOST_GROWTH
        ]


def _difference(connection: psycopg.Connection, one: Followed) -> str | None:
    query = sql.SQL("SELECT id, coalesce(name, ''), value FROM {}").format(
        sql.Identifier("main", one.table)
    )
    try:
        with connection.transaction():
            rows = connection.execute(query).fetchall()
    except psycopg.errors.UndefinedTable:
        return f"{one.table} does not exist"
    held: list[Key] = sorted((int(row[0]), row[1], float(row[2])) for row in rows)
    if held == one.file.keys:
        return None
    missing = len(set(one.file.keys) - set(held))
    surplus = len(held) - len(one.file.keys) + missing
    return f"{one.table}: {missing} rows are missing, {surplus} are too many"


def _force(town: Town, one: Followed) -> None:
    try:
        town.service.call("PUT", f"/api/v1/synchronizations/{one.sync_id}/sync_now")
    except ServiceError:
        return  # it is asked again at the next look


def _states(town: Town) -> dict[str, str]:
    answer = town.service.call("GET", "/api/v1/synchronizations")
    return {sync["id"]: sync["state"] for sync in answer["synchronizations"]}
