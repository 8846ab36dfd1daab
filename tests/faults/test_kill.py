"""kill -9 in the middle of an import: the table comes all the same, and nothing is left behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import requests

from tests.support.file_server import FileServer
from tests.support.scratch import short_directory
from tests.support.serve_process import ServeProcess

CSV = b"name,size\n" + b"".join(b"city %d,%d\n" % (i, i) for i in range(1000))
HEAL_SECONDS = 60


class Site:
    """A data directory with the ``serve`` that runs on it at the moment."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "data"
        self._log = folder / "serve.log"
        self.start()
        self._key = self.serve.api_key

    def start(self) -> None:
        self.serve = ServeProcess.start(
            self.data_dir, log=self._log, ALLOWED_NETWORKS="127.0.0.0/8"
        )

    def call(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        answer = requests.request(
            method,
            f"{self.serve.address}/api/v1/{path}",
            headers={"Authorization": f"Bearer {self._key}"},
            json=body or None,
            timeout=30,
        )
        answer.raise_for_status()
        return dict(answer.json())

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        url = self.serve.command("database-url").stdout.strip()
        with psycopg.connect(url) as connection:
            return connection.execute(statement.encode()).fetchall()

    def wait_for_success(self, sync_id: str) -> None:
        deadline = time.monotonic() + HEAL_SECONDS
        while (state := self.call("GET", f"synchronizations/{sync_id}/sync_now")["state"]) != (
            "success"
        ):
            assert time.monotonic() < deadline, f"still {state}:\n{self._log.read_text()[-4000:]}"
            time.sleep(0.2)  # asked as a client asks; HTTP has no event to wait for


@pytest.fixture
def site() -> Iterator[Site]:
    with short_directory() as folder:
        opened = Site(folder)
        try:
            yield opened
        finally:
            opened.serve.end()


def kill_worker(site: Site) -> None:
    site.serve.worker().kill()


def kill_serve(site: Site) -> None:
    """The worker must not outlive it; the cluster does, and the next ``serve`` takes it over."""
    worker = site.serve.worker()
    site.serve.process.kill()
    site.serve.process.wait()
    site.serve.end()
    psutil.wait_procs([worker], timeout=10)
    assert not worker.is_running()
    site.start()


def stop_and_start(site: Site) -> None:
    assert site.serve.stop() == 0
    site.start()


@pytest.mark.parametrize(
    "accident", [kill_worker, kill_serve, pytest.param(stop_and_start, marks=pytest.mark.full)]
)
def test_an_import_survives(
    site: Site, file_server: FileServer, accident: Callable[[Site], None]
) -> None:
    url = file_server.put("/cities.csv", CSV, etag='"v1"', hold_after_bytes=1000)
    created = site.call("POST", "synchronizations", url=url, interval=900)
    file_server.wait_until_held("/cities.csv")

    accident(site)
    file_server.put("/cities.csv", CSV, etag='"v1"')

    site.wait_for_success(created["id"])
    item = site.call("GET", f"imports/{created['data_import']['item_queue_id']}")
    assert item["state"] == "complete"
    assert site.query("SELECT count(*), max(cartodb_id) FROM main.cities") == [(1000, 1000)]
    assert site.query("SELECT count(*) FROM synctables.runs") == [(1,)]
