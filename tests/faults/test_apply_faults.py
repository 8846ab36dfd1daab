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

import pytest

from tests.support.aftermath import assert_old_or_new, assert_recovers, presume_dead
from tests.support.cities import NEW, OLD, PATH, begin_run
from tests.support.file_server import FileServer
from tests.support.stopping_worker import (
    FIRST_IMPORTS,
    LOG,
    Accident,
    find_point,
    stopping_worker,
    wait_for_accident,
)
from tests.support.workers import Desk, StartWorker

SAME_COLUMNS = b"name,size\n" + b"".join(b"city %d,%d\n" % (i, i + i % 3) for i in range(5, 110))

RECORDED = "synctables.syncs.recorder:RunRecorder.imported"

CREATE = (
    "after create.copy_rows",
    "before first_import.remember_all",
    "after remember.write_base",
    f"after {RECORDED}",
)
CREATE_ASIDE = (
    "after create._fill",
    "before create._index_on_another",
    "after create._build_index",
    "after create._index_on_another",
    "after create._fill_aside",
    "before create._settle",
    "after create._settle",
    "before first_import.remember_all",
    f"after {RECORDED}",
    "before synctables.importer.pipeline.publish",
)
"""Of a big table, whose rows and indexes are committed before it is in its place."""
DELTA = (
    "before refresh._add_columns",
    "after refresh.add_columns",
    "after refresh.remember_columns",
    "before refresh.judge",
    "after find.read_census",
    "after full_compare._send_version",
    "after find.load_in_full",
    "after delta.stage",
    "before delta.write_delta",
    "after statements._delete",
    "after statements._update",
    "after statements._insert",
    "after delta.write_delta",
    "after delta.verify",
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
    "after swap._take_place",
    "before swap.validations",
    "before synctables.importer.pipeline.publish",
)
POINTS = [
    *(("create", point) for point in CREATE),
    *(("create aside", point) for point in CREATE_ASIDE),
    *(("delta", point) for point in DELTA),
    *(("signatures", point) for point in SIGNATURES),
    *(("rewrite", point) for point in REWRITE),
]

QUICK = {
    ("create aside", "before create._index_on_another"),
    ("delta", "after delta.write_delta"),
    ("rewrite", "after swap.keep_readers_out"),
}
"""Points that `make test` tries; the others are for `make test-full`."""
FROZEN = [
    ("create", "before create._settle"),
    ("create aside", "before create._index_on_another"),
    ("create aside", "before create._settle"),
    ("delta", "before refresh._add_columns"),
    ("delta", "before refresh.judge"),
    ("delta", "after find.load_in_full"),
    ("delta", "after delta.write_delta"),
    ("rewrite", "before rewrite.build_indexes"),
    ("rewrite", "after swap.keep_writers_out"),
]
QUICK_FROZEN = {("create", "before create._settle"), ("rewrite", "after swap.keep_writers_out")}


def cases(points: list[tuple[str, str]], quick: set[tuple[str, str]]) -> list[object]:
    return [
        pytest.param(*point, marks=() if point in quick else pytest.mark.full) for point in points
    ]


@pytest.mark.parametrize("point", sorted({point for _, point in POINTS}))
def test_every_point_is_one_of_the_program(point: str) -> None:
    owner, name = find_point(point)
    assert callable(getattr(owner, name))


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
    return await begin_run(desk, file_server, old=old_of(way), new=new_of(way))


def old_of(way: str) -> bytes | None:
    return None if way in FIRST_IMPORTS else OLD


def new_of(way: str) -> bytes:
    return SAME_COLUMNS if way == "signatures" else NEW


async def assert_untorn(desk: Desk, way: str) -> None:
    await assert_old_or_new(desk, old=old_of(way), new=new_of(way))


@pytest.mark.parametrize(("way", "point"), cases(POINTS, QUICK))
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
    await assert_untorn(desk, way)
    await presume_dead(desk)
    await start_worker()
    await assert_recovers(desk, sync_id, new=new_of(way))


@pytest.mark.parametrize(("way", "point"), cases(POINTS, QUICK))
async def test_a_worker_loses_its_connections(
    desk: Desk, file_server: FileServer, database_url: str, short_dir: Path, way: str, point: str
) -> None:
    accident = Accident.DISCONNECTED
    with worker_with_an_accident(database_url, short_dir, way=way, point=point, accident=accident):
        sync_id, _ = await begin(desk, file_server, way)
        await assert_untorn(desk, way)
        await assert_recovers(desk, sync_id, new=new_of(way))


@pytest.mark.parametrize(("way", "point"), cases(FROZEN, QUICK_FROZEN))
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
        await assert_untorn(desk, way)
        await presume_dead(desk)
        await start_worker()
        await desk.wait_for(run_id)  # by the successor, who may find the table locked
        await assert_untorn(desk, way)

        await wake_and_see_it_fenced(desk, process, short_dir)
        await assert_recovers(desk, sync_id, new=new_of(way))


async def test_a_worker_that_was_given_up_adds_no_columns(
    desk: Desk,
    file_server: FileServer,
    database_url: str,
    short_dir: Path,
    start_worker: StartWorker,
) -> None:
    """It wakes with a version whose columns its successor, who read a later one, knows nothing of.

    They are added before the rows come, in a transaction that does not record the run.
    """
    accident = Accident.FROZEN
    with worker_with_an_accident(
        database_url, short_dir, way="delta", point="before refresh._add_columns", accident=accident
    ) as process:
        sync_id, run_id = await begin_run(desk, file_server, old=OLD, new=NEW)
        wait_for_accident(process, accident)
        file_server.put(PATH, SAME_COLUMNS, etag='"3"')
        await presume_dead(desk)
        await start_worker()
        await desk.wait_for(run_id)

        await wake_and_see_it_fenced(desk, process, short_dir)
        await assert_recovers(desk, sync_id, new=SAME_COLUMNS)


async def wake_and_see_it_fenced(
    desk: Desk, process: subprocess.Popen[bytes], folder: Path
) -> None:
    process.send_signal(signal.SIGCONT)

    async def is_fenced() -> bool | None:
        return "run_fenced" in (folder / "accident" / LOG).read_text() or None

    await desk.until(is_fenced)
