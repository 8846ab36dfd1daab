"""``synctables worker`` as a process of its own, with a data directory of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.serve_process import environment


@dataclass(frozen=True)
class WorkerProcess:
    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it as an operator does; gives the exit code."""
        self.process.terminate()
        return self.process.wait(20)

    def events(self, name: str) -> list[dict[str, Any]]:
        """What it logged under this name so far."""
        lines = self.log.read_bytes().splitlines()
        found = [json.loads(line) for line in lines if line.startswith(b"{")]
        return [one for one in found if one["event"] == name]

    def counts(self) -> Counter[str]:
        """What became of the syncs that it checked, over all batches that it ended."""
        names = ("unchanged", "changed", "failed", "put_off")
        events = [*self.events("check_ended"), *self.events("check_handed_back")]
        return Counter({name: sum(one[name] for one in events) for name in names})


@contextmanager
def worker_process(
    database_url: str, data_dir: Path, *, prefix: str = "", **settings: str
) -> Iterator[WorkerProcess]:
    """One of them, killed at the end of the block where it still runs.

    ``prefix`` is a command that becomes the one given to it, such as ``ip netns exec``.
    """
    data_dir.mkdir(exist_ok=True)
    log = data_dir / "worker.log"
    given = {
        "DATABASE_URL": database_url,
        "ALLOWED_NETWORKS": "127.0.0.0/8",
        "LOG_JSON": "true",
        **settings,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *prefix.split(),
                sys.executable,
                "-m",
                "synctables",
                "worker",
                "--data-dir",
                str(data_dir),
            ],
            env=environment(**given),
            stdout=output,
            stderr=output,
        )
    worker = WorkerProcess(process=process, log=log)
    try:
        yield worker
    finally:
        worker.kill()
