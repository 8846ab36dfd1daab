"""What is soaked: `synctables serve`, two more workers beside it, and hundreds of syncs.

One of the two is like a worker on another machine, with a data directory of its own. Nobody kills
or freezes it, so that what it loses in memory has the whole soak to show.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import IO

import psutil

from demonstration.service import ENVIRONMENT, Service, run_service, synctables_command
from soaking.files import SoakFile
from soaking.server import SoakServer

INTERVAL_SECONDS = 5
LARGE_ROW_COUNT = 20_000
LARGE_EVERY = 50
"""One file in so many is large."""
HUGE_ROW_COUNT = 60_000
HUGE_COUNT = 4
"""Beyond the 50,000 rows from which a new table is made aside, and, where every row changes, the
20,000 from which one is written anew."""

_STOP_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True)
class Followed:
    file: SoakFile
    sync_id: str
    table: str


class Worker:
    """A worker beside the one of `serve`, in a process group of its own.

    ``data_dir`` is the service's, or another one, as on another machine.
    """

    def __init__(self, service: Service, log: IO[bytes], *, data_dir: Path) -> None:
        self._service = service
        self._log = log
        self.data_dir = data_dir
        self._process = self._start()

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it lives."""
        return self._process.poll()

    def kill(self) -> None:
        """SIGKILL for it and all its children, and a new one in its place."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = self._start()

    def stop(self) -> None:
        """In order."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("SYNCTABLES_")
        }
        return subprocess.Popen(
            [*synctables_command(), "worker", "--data-dir", str(self.data_dir)],
            env=environment | ENVIRONMENT | self._address(),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def _address(self) -> dict[str, str]:
        if self.data_dir == self._service.data_dir:
            return {}
        return {"SYNCTABLES_DATABASE_URL": self._service.database_url}


@dataclass(kw_only=True)
class Town:
    """Everything that runs, and what it should come to."""

    service: Service
    worker: Worker
    """The second one, to which things happen."""
    lasting_worker: Worker
    """The third one, to which nothing does."""
    server: SoakServer
    random: Random
    followed: list[Followed] = field(default_factory=list)

    def add_syncs(self, count: int, *, seed: int) -> None:
        """Create the syncs through the API, as any client would."""
        for number in range(count):
            file = self._new_file(number, seed=seed)
            body = {
                "url": self.server.publish(file),
                "interval": INTERVAL_SECONDS,
                "table_name": f"soak_{number}",
                "on_empty": "refuse",
            }
            answer = self.service.call("POST", "/api/v1/synchronizations", body)
            self.followed.append(Followed(file=file, sync_id=answer["id"], table=f"soak_{number}"))

    @property
    def data_dirs(self) -> list[Path]:
        """Each once."""
        return [Path(self.service.data_dir), self.lasting_worker.data_dir]

    @property
    def huge(self) -> list[Followed]:
        return self.followed[:HUGE_COUNT]

    def change_some(self, count: int) -> None:
        """New versions of some files."""
        for one in self.random.sample(self.followed, min(count, len(self.followed))):
            self._change(one)

    def change_a_huge_one(self) -> None:
        self._change(self.random.choice(self.huge))

    def _change(self, one: Followed) -> None:
        one.file.change()
        self.server.publish(one.file)

    def _new_file(self, number: int, *, seed: int) -> SoakFile:
        if number < HUGE_COUNT:
            return SoakFile(number, row_count=HUGE_ROW_COUNT, seed=seed, is_restless=True)
        is_large = number % LARGE_EVERY == LARGE_EVERY - 1
        rows = LARGE_ROW_COUNT if is_large else self.random.randint(20, 300)
        return SoakFile(number, row_count=rows, seed=seed, is_restless=is_large)

    def served_worker(self) -> psutil.Process | None:
        """The worker that `serve` keeps; None in the moments when there is none."""
        try:
            serve = psutil.Process(self.service.process.pid)
            for child in serve.children():
                if "worker" in child.cmdline():
                    return child
        except psutil.Error:
            return None
        return None


@contextmanager
def run_town(folder: Path, *, sync_count: int, seed: int, server: SoakServer) -> Iterator[Town]:
    """A service with its syncs; its logs stay in ``folder``."""
    data_dir = folder / "data"
    with (
        run_service(data_dir, port=0) as service,
        _run_worker(service, folder / "worker.log", data_dir=data_dir) as worker,
        _run_worker(
            service, folder / "lasting_worker.log", data_dir=folder / "elsewhere"
        ) as lasting_worker,
    ):
        town = Town(
            service=service,
            worker=worker,
            lasting_worker=lasting_worker,
            server=server,
            random=Random(f"{seed} town"),  # noqa: S311
        )
        town.add_syncs(sync_count, seed=seed)
        yield town


@contextmanager
def _run_worker(service: Service, log_path: Path, *, data_dir: Path) -> Iterator[Worker]:
    with log_path.open("wb") as log:
        worker = Worker(service, log, data_dir=data_dir)
        try:
            yield worker
        finally:
            worker.stop()


def wait_seconds(seconds: float) -> None:
    """The soak's own clock: it lasts as long as it was asked to."""
    time.sleep(seconds)
