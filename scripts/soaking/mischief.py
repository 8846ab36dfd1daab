"""What goes wrong on purpose: workers die and freeze, the database restarts, people edit tables."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import psutil
import psycopg
from psycopg import sql

from soaking.town import Town

FREEZE_SECONDS = 20.0
READ_SECONDS = 8.0
LOCK_SECONDS = 4.0

_HAND_EDITS = (
    "UPDATE {table} SET name = 'by hand' WHERE cartodb_id % 7 = 0",
    "DELETE FROM {table} WHERE cartodb_id % 5 = 0",
    "INSERT INTO {table} (id, name, value) VALUES (-1, 'by hand', 0)",
    "TRUNCATE {table}",
)


@dataclass
class Mischief:
    """Each method does one thing once, chosen and counted by `do_something`."""

    town: Town
    counts: Counter[str] = field(default_factory=Counter)
    _threads: list[Thread] = field(default_factory=list)

    def do_something(self) -> None:
        """One of them, the mild ones more often."""
        deeds: list[tuple[int, Callable[[], None]]] = [
            (40, self.edit_by_hand),
            (10, self.end_sessions),
            (10, self.read_for_long),
            (10, self.hold_a_lock),
            (10, self.kill_the_second_worker),
            (6, self.kill_the_worker_of_serve),
            (6, self.freeze_the_second_worker),
            (2, self.restart_the_database),
        ]
        weights = [weight for weight, _ in deeds]
        deed = self.town.random.choices([deed for _, deed in deeds], weights)[0]
        with suppress(psycopg.Error, psutil.Error, ProcessLookupError):
            deed()
            self.counts[deed.__name__.replace("_", " ")] += 1

    def join(self) -> None:
        """Until nobody reads, locks or is frozen any more."""
        for thread in self._threads:
            thread.join()

    def edit_by_hand(self) -> None:
        one = self.town.random.choice(self.town.followed)
        edit = self.town.random.choice(_HAND_EDITS)
        with self._connect() as connection:
            connection.execute("SET lock_timeout = '2s'")
            connection.execute(sql.SQL(edit).format(table=sql.Identifier("main", one.table)))

    def end_sessions(self) -> None:
        with self._connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE 'synctables%' AND random() < 0.3"
            )

    def read_for_long(self) -> None:
        self._in_background(self._read)

    def hold_a_lock(self) -> None:
        self._in_background(self._lock)

    def kill_the_second_worker(self) -> None:
        self.town.worker.kill()

    def kill_the_worker_of_serve(self) -> None:
        worker = self.town.served_worker()
        if worker is not None:
            worker.kill()

    def freeze_the_second_worker(self) -> None:
        self._in_background(self._freeze)

    def restart_the_database(self) -> None:
        """What `pg_ctl stop -m immediate` does; `serve` starts it again."""
        pid_file = next(Path(self.town.service.data_dir).rglob("postmaster.pid"))
        os.kill(int(pid_file.read_text().split()[0]), signal.SIGQUIT)

    def _in_background(self, deed: Callable[[], None]) -> None:
        def do() -> None:
            with suppress(psycopg.Error, ProcessLookupError):
                deed()

        thread = Thread(target=do, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _read(self) -> None:
        one = self.town.random.choice(self.town.followed)
        table = sql.Identifier("main", one.table)
        with self._connect(autocommit=False) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            count = sql.SQL("SELECT count(*) FROM {}").format(table)
            before = connection.execute(count).fetchone()
            time.sleep(READ_SECONDS)
            if connection.execute(count).fetchone() != before:
                self.counts["FAULT: a snapshot changed"] += 1

    def _lock(self) -> None:
        one = self.town.random.choice(self.town.followed)
        with self._connect(autocommit=False) as connection:
            connection.execute("SET lock_timeout = '2s'")
            connection.execute(
                sql.SQL("LOCK TABLE {} IN SHARE MODE").format(sql.Identifier("main", one.table))
            )
            time.sleep(LOCK_SECONDS)

    def _freeze(self) -> None:
        process_id = self.town.worker.process_id
        os.killpg(process_id, signal.SIGSTOP)
        time.sleep(FREEZE_SECONDS)
        os.killpg(process_id, signal.SIGCONT)

    def _connect(self, *, autocommit: bool = True) -> psycopg.Connection:
        return psycopg.connect(
            self.town.service.database_url, autocommit=autocommit, connect_timeout=5
        )
