"""What is soaked: `synctables serve`, one more worker beside it, and hundreds of syncs."""

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

_STOP_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True)
class Followed:
    file: SoakFile
    sync_id: str
    table: str


class Worker:
    """A worker beside the one of `serve`, in a process group of its own."""

    def __init__(self, service: Service, log: IO[bytes]) -> None:
        self._service = service
        self._log = log
        self._process = self._start()

    @property
    def process_id(self) -> int:
        return self._process.pid

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
            [*synctables_command(), "worker", "--data-dir", str(self._service.data_dir)],
            env=environment | ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )


@dataclass(kw_only=True)
class Town:
    """Everything that runs, and what it should come to."""

    service: Service
    worker: Worker
    server: SoakServer
    random: Random
    followed: list[Followed] = field(default_factory=list)

    def add_syncs(self, count: int, *, seed: int) -> None:
        """Create the syncs through the API, as any client would."""
        for number in range(count):
            is_large = number % LARGE_EVERY == LARGE_EVERY - 1
            rows = LARGE_ROW_COUNT if is_large else self.random.randint(20, 300)
            file = SoakFile(number, row_count=rows, seed=seed)
            body = {
                "url": self.server.publish(file),
                "interval": INTERVAL_SECONDS,
                "table_name": f"soak_{number}",
                "on_empty": "refuse",
            }
            answer = self.service.call("POST", "/api/v1/synchronizations", body)
            self.followed.append(Followed(file=file, sync_id=answer["id"], table=f"soak_{number}"))

    def change_some(self, count: int) -> None:
        """New versions of some files."""
        for one in self.random.sample(self.followed, min(count, len(self.followed))):
            one.file.change()
            self.server.publish(one.file)

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
        (folder / "worker.log").open("wb") as log,
    ):
        worker = Worker(service, log)
        try:
            random = Random(f"{seed} town")  # noqa: S311
            town = Town(service=service, worker=worker, server=server, random=random)
            town.add_syncs(sync_count, seed=seed)
            yield town
        finally:
            worker.stop()


def wait_seconds(seconds: float) -> None:
    """The soak's own clock: it lasts as long as it was asked to."""
    time.sleep(seconds)
