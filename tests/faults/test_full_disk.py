"""The disk with the workspaces is full while a file is fetched, unpacked or typed."""

from __future__ import annotations

import io
import os
import random
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.support.aftermath import assert_is_due_soon, assert_old_or_new, assert_recovers
from tests.support.cities import OLD, PATH, force
from tests.support.file_server import FileServer
from tests.support.worker_process import worker_process
from tests.support.workers import Desk

DISK_BYTES = 4_000_000
ROWS = 100


def cities(size_bytes: int, *, is_random: bool) -> bytes:
    """A file of about this size; what is random does not get smaller by compression."""
    choice = random.Random(1)
    length = size_bytes // ROWS // 2
    rows = [
        b"city %d,%d,%s\n"
        % (i, i, (choice.randbytes(length) if is_random else bytes(length)).hex().encode())
        for i in range(ROWS)
    ]
    return b"name,size,code\n" + b"".join(rows)


def zipped(file: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as open_archive:
        open_archive.writestr("cities.csv", file)
    return archive.getvalue()


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """A file system of `DISK_BYTES` there; skips where none can be mounted."""
    place.mkdir(parents=True)
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=755"]
    done = subprocess.run(["mount", *options, "st-small", str(place)], check=False)
    if done.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def enlarge(place: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=200m", str(place)], check=True)


async def assert_ended_by_a_full_disk(desk: Desk, file_server: FileServer, body: bytes) -> None:
    """The refresh that brings ``body``, after a first run that found room."""
    ((sync_id,),) = await desk.rows("SELECT id FROM syncs")
    file_server.put(PATH, body, etag='"2"')
    run = await desk.wait_for(await force(desk, sync_id))
    assert run.error_code == 6674, run.error_message
    await assert_old_or_new(desk, old=OLD, new=OLD)
    await assert_is_due_soon(desk, sync_id)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small file system")
@pytest.mark.parametrize(
    ("body", "content"),
    [
        pytest.param(file := cities(6_000_000, is_random=False), file, id="fetching"),
        pytest.param(zipped(file), file, id="unpacking"),
        pytest.param(file := cities(3_600_000, is_random=True), file, id="typing"),
    ],
)
async def test_the_disk_is_full(
    desk: Desk,
    file_server: FileServer,
    database_url: str,
    tmp_path: Path,
    body: bytes,
    content: bytes,
) -> None:
    data_dir = tmp_path / "worker"
    disk = data_dir / "workspaces"
    with small_disk(disk), worker_process(database_url, data_dir, SYNC_NOW_SECONDS="0"):
        sync, _ = await desk.add(file_server.put(PATH, OLD, etag='"1"'))
        await assert_ended_by_a_full_disk(desk, file_server, body)
        enlarge(disk)
        await assert_recovers(desk, sync.id, new=content, data_dirs=[data_dir])


@pytest.mark.skipif(not hasattr(psutil, "RLIMIT_FSIZE"), reason="no limit can be set from outside")
async def test_a_limit_of_the_system_on_files_is_met_while_fetching(
    desk: Desk, file_server: FileServer, database_url: str, tmp_path: Path
) -> None:
    """``ulimit -f``; needs no rights."""
    data_dir = tmp_path / "worker"
    file = cities(6_000_000, is_random=False)
    with worker_process(database_url, data_dir, SYNC_NOW_SECONDS="0") as worker:
        sync, _ = await desk.add(file_server.put(PATH, OLD, etag='"1"'))
        process = psutil.Process(worker.process.pid)
        process.rlimit(psutil.RLIMIT_FSIZE, (DISK_BYTES, psutil.RLIM_INFINITY))
        await assert_ended_by_a_full_disk(desk, file_server, file)
        process.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
        await assert_recovers(desk, sync.id, new=file, data_dirs=[data_dir])
