"""Clients that query in a loop while something is under way: what they got, and how they waited."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comparison.bench import Bench

_SCRIPT = Path(__file__).with_name("reader_script.py")
_END_SECONDS = 60.0


class WrongReadError(Exception):
    """A reader got an error, an empty or a half table."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What both readers of one case saw."""

    case: str
    kind: str
    query_count: int
    median_seconds: float
    longest_seconds: float
    """Of a look-up by primary key, waiting for a processor included."""
    longest_lock_wait_seconds: float
    """Waiting for a lock, looked at every few milliseconds."""


def read_during(
    bench: Bench,
    work: Callable[[], object],
    *,
    case: str,
    table: str,
    row_counts: set[int],
) -> list[Reading]:
    """Read ``table`` with two clients, plain and repeatable read, until ``work`` returns.

    Raises `WrongReadError` where one of them saw an error, or a table whose rows are not as many
    as one of ``row_counts``.
    """
    readers = [
        _start(bench, kind, table, row_counts) for kind in ("plain", "repeatable read", "locks")
    ]
    for reader in readers:
        assert reader.stdout is not None
        reader.stdout.readline()  # it says that it has begun
    try:
        work()
    finally:
        told = [_end(reader) for reader in readers]
    for one in told:
        if one["problems"]:
            raise WrongReadError(f"{case}: {one['problems'][0]} ({len(one['problems'])} in all)")
    waits = told.pop()["lock_waits"]
    return [
        Reading(
            case=case,
            kind=one["kind"],
            query_count=one["query_count"],
            median_seconds=one["median_seconds"],
            longest_seconds=one["longest_seconds"],
            longest_lock_wait_seconds=waits.get(one["kind"], 0.0),
        )
        for one in told
    ]


def _start(bench: Bench, kind: str, table: str, row_counts: set[int]) -> subprocess.Popen[str]:
    # A process each, so that they do not wait for each other's interpreter.
    counts = ",".join(map(str, sorted(row_counts)))
    return subprocess.Popen(
        [sys.executable, str(_SCRIPT), kind, table, counts],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=bench.libpq_environment(),
    )


def _end(reader: subprocess.Popen[str]) -> dict[str, Any]:
    output, _ = reader.communicate("", timeout=_END_SECONDS)
    told: dict[str, Any] = json.loads(output)
    return told
