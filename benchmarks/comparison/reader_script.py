"""One reader, or the one who looks at their locks; runs until its standard input ends.

    python reader_script.py "plain"|"repeatable read"|"locks" TABLE ROW_COUNT,ROW_COUNT

Says "began" on standard output, and at the end what it saw, as JSON.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from threading import Event, Thread
from typing import Any

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]

LOOK_SECONDS = 0.005
PAUSE_SECONDS = 0.002
COUNT_EVERY = 200
"""One query of so many counts the whole table."""

ROWS_OF_A_LOOK_UP = 100

_LOCK_WAITS = """
    SELECT application_name FROM pg_stat_activity
    WHERE application_name LIKE 'reader: %' AND wait_event_type = 'Lock'"""


class Reader:
    """Queries and what came of them."""

    def __init__(self, connection: Connection, table: str, row_counts: set[int]) -> None:
        self._connection = connection
        self._table = table
        self._row_counts = row_counts
        self._random = random.Random(1)
        self.seconds: list[float] = []
        self.problems: list[str] = []

    def read_plain(self, number: int) -> None:
        self._query(number)

    def read_twice(self, number: int) -> None:
        """Both queries of a repeatable-read transaction must see the same."""
        with self._connection.transaction():
            self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            state = self._random.getstate()
            first = self._query(number)
            self._random.setstate(state)
            if self._query(number) != first:
                self.problems.append("two reads in one transaction differ")

    def _query(self, number: int) -> int:
        if number % COUNT_EVERY == 0:
            count = self._value(f"SELECT count(*) FROM {self._table}")
            if count not in self._row_counts:
                self.problems.append(f"a table of {count:,} rows")
            return count
        first = self._random.randrange(1, min(self._row_counts) - ROWS_OF_A_LOOK_UP)
        began_at = time.perf_counter()
        count = self._value(
            f"SELECT count(*) FROM {self._table}"
            f" WHERE cartodb_id BETWEEN {first} AND {first + ROWS_OF_A_LOOK_UP - 1}"
        )
        self.seconds.append(time.perf_counter() - began_at)
        if not count:
            self.problems.append("no rows where there must be some")
        return count

    def _value(self, query: str) -> int:
        (value,) = self._connection.execute(query).fetchone() or (0,)
        return int(value)


def read(kind: str, table: str, row_counts: set[int], ended: Event) -> dict[str, Any]:
    with psycopg.connect(autocommit=True, application_name=f"reader: {kind}") as connection:
        reader = Reader(connection, table, row_counts)
        work = reader.read_plain if kind == "plain" else reader.read_twice
        number = 0
        while not ended.wait(PAUSE_SECONDS):
            number += 1
            try:
                work(number)
            except psycopg.Error as error:
                reader.problems.append(" ".join(str(error).split()))
        return {
            "kind": kind,
            "problems": reader.problems,
            "query_count": len(reader.seconds),
            "median_seconds": statistics.median(reader.seconds),
            "longest_seconds": max(reader.seconds),
        }


def watch_locks(ended: Event) -> dict[str, Any]:
    """The longest time for which each reader was seen waiting for a lock without a break."""
    longest: dict[str, float] = {}
    since: dict[str, float] = {}
    with psycopg.connect(autocommit=True) as connection:
        while not ended.wait(LOOK_SECONDS):
            looked_at = time.perf_counter()
            waiting = {str(name) for (name,) in connection.execute(_LOCK_WAITS)}
            since = {name: since.get(name, looked_at) for name in waiting}
            for name, began_at in since.items():
                kind = name.removeprefix("reader: ")
                waited = looked_at - began_at + LOOK_SECONDS
                longest[kind] = max(longest.get(kind, 0.0), waited)
    return {"problems": [], "lock_waits": longest}


def main() -> None:
    kind, table, counts = sys.argv[1:]
    ended = Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        ended.set()

    Thread(target=wait_for_end, daemon=True).start()
    print("began", flush=True)
    if kind == "locks":
        told = watch_locks(ended)
    else:
        told = read(kind, table, {int(count) for count in counts.split(",")}, ended)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
