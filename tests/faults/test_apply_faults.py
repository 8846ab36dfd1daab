"""Whatever happens to a worker inside apply, the table is the old one or the new one.

The next run then succeeds, and nothing is left behind. A real worker process meets each accident
at named points of apply (`tests/support/stopping_worker.py`), as the owner, who is no superuser.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from synctables.importer.apply.work_schema import sweep_work_schema
from synctables.syncs.model import SyncState
from tests.support.file_server import FileServer
from tests.support.stopping_worker import LOG, Accident, stopping_worker, wait_for_accident
from tests.support.workers import Desk, StartWorker

OLD = b"name,size\n" + b"".join(b"city %d,%d\n" % (i, i) for i in range(100))
SAME_COLUMNS = b"name,size\n" + b"".join(b"city %d,%d\n" % (i, i + i % 3) for i in range(5, 110))
NEW = b"name,size,mayor\n" + b"".join(b"city %d,%d,Anne\n" % (i, i + i % 3) for i in range(5, 110))
CONTENT = "SELECT name, size FROM alice.cities ORDER BY 1, 2"

RECORDED = "synctables.syncs.recorder:RunRecorder.imported"

CREATE = (
    "after create.copy_rows",
    "before create.remember_all",
    "after remember.write_base",
    f"after {RECORDED}",
)
DELTA = (
    "after refresh.add_columns",
    "before refresh.judge",
    "after find.read_census",
    "after delta.stage",
    "before delta.write_delta",
    "after statements._delete",
    "after delta.write_delta",
    "after delta.remember_state",
    "after remember.write_base",
    f"after {RECORDED}",
    "before synctables.importer.pipeline.publish",
)
SIGNATURES = ("after find.read_journal", "after remember.append", f"after {RECORDED}")
"""A delta of a version with the same columns: by what was kept, not by a full compare."""
REWRITE = (
    "after rewrite.copy_rows",
    "before rewrite.build_indexes",
    "after rewrite.build_indexes",
    "after swap.keep_maintenance_out",
    "after swap.keep_writers_out",
    "after remember.write_base",
    f"after {RECORDED}",
    "after swap.keep_readers_out",
    "before swap.validations",
    "before synctables.importer.pipeline.publish",
)
POINTS = [
    *(("create", point) for point in CREATE),
    *(("delta", point) for point in DELTA),
    *(("signatures", point) for point in SIGNATURES),
    *(("rewrite", point) for point in REWRITE),
]


QUICK = {"after delta.write_delta", "before rewrite.build_indexes", "after swap.keep_readers_out"}
"""Points that `make test` tries; the others are for `make test-full`."""
CASES = [
    pytest.param(way, point, marks=() if point in QUICK else pytest.mark.full)
    for way, point in POINTS
]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole processes start here, on machines that have other things to do."""
    monkeypatch.setattr("tests.support.workers.WAIT_SECONDS", 120.0)


def content_of(file: bytes) -> list[tuple[str, int]]:
    """The first two columns of the file, as the table has them."""
    lines = file.decode().splitlines()[1:]
    return sorted((line.split(",")[0], int(line.split(",")[1])) for line in lines)


@contextmanager
def worker_with_an_accident(
    database_url: str, folder: Path, *, way: str, point: str, accident: Accident
) -> Iterator[subprocess.Popen[bytes]]:
    data_dir = folder / "accident"
    with stopping_worker(
        database_url, data_dir, point=point, accident=accident, way=way
    ) as process:
        yield process


async def begin(desk: Desk, file_server: FileServer, way: str) -> tuple[UUID, UUID]:
    """The sync and the run during which the accident will be: the first, or a refresh."""
    url = file_server.put("/cities.csv", OLD if way != "create" else NEW, etag='"1"')
    if way == "create":
        sync, run_id = await desk.add_only(url)
        return sync.id, run_id
    sync, _ = await desk.add(url)
    new = SAME_COLUMNS if way == "signatures" else NEW
    file_server.put("/cities.csv", new, etag='"2"')
    await desk.force_only(sync.id)
    ((run_id,),) = await desk.rows("SELECT id FROM runs WHERE finished_at IS NULL")
    return sync.id, run_id


async def assert_old_or_new(desk: Desk, way: str) -> None:
    try:
        rows = await desk.rows(CONTENT)
    except psycopg.errors.UndefinedTable:
        assert way == "create"
    else:
        assert rows in (content_of(OLD), content_of(NEW))


async def presume_dead(desk: Desk) -> None:
    """All workers that there are fell silent long ago."""
    await desk.execute(
        "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '10 minutes'"
    )


async def assert_recovers(desk: Desk, sync_id: UUID) -> None:
    """The next run, which comes by itself or is asked for, succeeds and leaves nothing behind."""

    async def is_new() -> bool | None:
        sync = await desk.sync(sync_id)
        if sync.state is SyncState.FAILURE:
            await desk.force_only(sync_id)
        return sync.state is SyncState.SUCCESS or None

    await desk.until(is_new)
    assert await desk.rows(CONTENT) == content_of(NEW)
    assert await desk.rows("SELECT count(DISTINCT cartodb_id) FROM alice.cities") == [(105,)]
    async with desk.pool.connection() as connection:
        await sweep_work_schema(connection)
    assert await desk.rows(
        "SELECT relnamespace::regnamespace::text, relname FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace IN ('alice'::regnamespace,"
        " 'synctables_work'::regnamespace)"
    ) == [("alice", "cities")]
    assert await desk.rows("SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [
        (False,)
    ]


@pytest.mark.parametrize(("way", "point"), CASES)
async def test_a_worker_is_killed(
    desk: Desk,
    file_server: FileServer,
    database_url: str,
    short_dir: Path,
    start_worker: StartWorker,
    way: str,
    point: str,
) -> None:
    accident = Accident.KILLED
    with worker_with_an_accident(
        database_url, short_dir, way=way, point=point, accident=accident
    ) as process:
        sync_id, _ = await begin(desk, file_server, way)
        wait_for_accident(process, accident)
    await assert_old_or_new(desk, way)
    await presume_dead(desk)
    await start_worker()
    await assert_recovers(desk, sync_id)


@pytest.mark.parametrize(("way", "point"), CASES)
async def test_a_worker_loses_its_connections(
    desk: Desk, file_server: FileServer, database_url: str, short_dir: Path, way: str, point: str
) -> None:
    accident = Accident.DISCONNECTED
    with worker_with_an_accident(database_url, short_dir, way=way, point=point, accident=accident):
        sync_id, _ = await begin(desk, file_server, way)
        await assert_old_or_new(desk, way)
        await assert_recovers(desk, sync_id)


@pytest.mark.parametrize(
    ("way", "point"),
    [
        ("delta", "before refresh.judge"),
        ("delta", "after delta.write_delta"),
        ("rewrite", "before rewrite.build_indexes"),
        ("rewrite", "after swap.keep_writers_out"),
    ],
)
async def test_a_worker_that_was_frozen_and_given_up_wakes(
    desk: Desk,
    file_server: FileServer,
    database_url: str,
    short_dir: Path,
    start_worker: StartWorker,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    point: str,
) -> None:
    monkeypatch.setattr("synctables.importer.apply.columns.PATIENCE", "200ms")
    accident = Accident.FROZEN
    with worker_with_an_accident(
        database_url, short_dir, way=way, point=point, accident=accident
    ) as process:
        sync_id, run_id = await begin(desk, file_server, way)
        wait_for_accident(process, accident)
        await assert_old_or_new(desk, way)
        await presume_dead(desk)
        await start_worker()
        await desk.wait_for(run_id)  # by the successor, who may find the table locked
        await assert_old_or_new(desk, way)

        process.send_signal(signal.SIGCONT)

        async def is_fenced() -> bool | None:
            return "run_fenced" in (short_dir / "accident" / LOG).read_text() or None

        await desk.until(is_fenced)
        await assert_recovers(desk, sync_id)
