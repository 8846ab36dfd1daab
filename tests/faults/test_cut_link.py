"""Workers on hosts of their own, one PostgreSQL over TCP, and a host whose link is cut."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.aftermath import assert_old_or_new, assert_recovers
from tests.support.cities import NEW, OLD, PATH
from tests.support.file_server import FileServer
from tests.support.hosts import Network, hosts_are_possible, network_of
from tests.support.restarting_server import RestartingServer
from tests.support.worker_process import WorkerProcess, worker_process
from tests.support.workers import Desk

ABOUT_A_MINUTE = 75.0
"""Fifteen seconds of silence and five until they are noticed, on a machine with other work."""


@pytest.fixture
def network() -> Iterator[Network]:
    if not hosts_are_possible():
        pytest.skip("no network namespaces with a bridge can be made here")
    with network_of(3) as made:
        yield made


@pytest.fixture
def database_url(network: Network, own_server: tuple[RestartingServer, str]) -> str:
    """Over TCP, from the bridge."""
    server, url = own_server
    with socket.create_server((network.address, 0)) as probe:
        port = probe.getsockname()[1]
    server.let_in(network.range)
    server.crash()
    server.start(listen_addresses=network.address, port=str(port))
    parts = urlsplit(url)
    return f"postgresql://{parts.username}:{parts.password}@{network.address}:{port}{parts.path}"


@pytest.mark.full
async def test_a_run_goes_on_elsewhere_when_its_host_is_cut_off(
    desk: Desk, network: Network, database_url: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        source = stack.enter_context(FileServer(host=network.address))
        workers = [
            stack.enter_context(
                worker_process(
                    database_url,
                    tmp_path / host.name,
                    prefix=host.prefix,
                    ALLOWED_NETWORKS=network.range,
                )
            )
            for host in network.hosts
        ]
        sync, _ = await desk.add(source.put(PATH, OLD, etag='"1"'))
        source.put(PATH, NEW, etag='"2"', hold_after_bytes=50)
        await desk.force_only(sync.id)
        await asyncio.to_thread(source.wait_until_held, PATH, timeout_seconds=60)
        ((run_id,),) = await desk.rows("SELECT id FROM runs WHERE finished_at IS NULL")
        cut = await find_worker(desk, workers, str(run_id))

        network.hosts[cut].cut()
        cut_at = time.monotonic()
        source.release(PATH)  # the rest is on its way until the link is mended
        source.put(PATH, NEW, etag='"2"')
        run = await desk.wait_for(run_id)
        assert run.error_code is None
        assert time.monotonic() - cut_at < ABOUT_A_MINUTE
        assert [bool(began(one, str(run_id))) for one in workers].count(True) == 2
        await assert_old_or_new(desk, old=None, new=NEW)

        network.hosts[cut].mend()

        async def is_back() -> bool | None:
            told = workers[cut].log.read_text()
            return "run_fenced" in told or "run_ended" in told or None

        await desk.until(is_back)
        await assert_recovers(
            desk, sync.id, new=NEW, data_dirs=[tmp_path / host.name for host in network.hosts]
        )


def began(worker: WorkerProcess, run_id: str) -> list[object]:
    return [one for one in worker.events("stage_began") if one["run_id"] == run_id]


async def find_worker(desk: Desk, workers: list[WorkerProcess], run_id: str) -> int:
    """Which of them carries the run out."""

    async def look() -> int | None:
        return next((at for at, one in enumerate(workers) if began(one, run_id)), None)

    return await desk.until(look)
