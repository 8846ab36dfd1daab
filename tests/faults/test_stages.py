"""Death at the boundary of any stage: of the worker, and of the child that reads files."""

from __future__ import annotations

from pathlib import Path

import pytest

from synctables.importer.model import Stage
from tests.support.aftermath import (
    assert_is_due_soon,
    assert_old_or_new,
    assert_recovers,
    presume_dead,
)
from tests.support.cities import NEW, OLD, begin_run
from tests.support.file_server import FileServer
from tests.support.stopping_worker import Accident, stopping_worker, wait_for_accident
from tests.support.workers import Desk, StartWorker

FIRST_IMPORT, REFRESH = "create", "delta"
OLD_OF = {FIRST_IMPORT: None, REFRESH: OLD}

BEGINS = "after synctables.syncs.recorder:RunRecorder.stage {}"
"""The stage before has ended, and that this one begins is written down."""
COMMANDED = "before synctables.importer.sandbox:Sandbox._call {}"
"""The child is about to be told to unpack, read or infer."""

SANDBOXED = (Stage.UNPACK, Stage.READ, Stage.INFER)
QUICK = {(FIRST_IMPORT, Stage.READ), (REFRESH, Stage.FETCH), (REFRESH, Stage.PUBLISH)}
QUICK_FOR_CHILD = {(REFRESH, Stage.UNPACK)}


def cases(stages: tuple[Stage, ...], quick: set[tuple[str, Stage]]) -> list[object]:
    """First import and refresh by each stage; what is not quick is for `make test-full`."""
    return [
        pytest.param(way, stage, marks=() if (way, stage) in quick else pytest.mark.full)
        for way in (FIRST_IMPORT, REFRESH)
        for stage in stages
    ]


@pytest.mark.parametrize(("way", "stage"), cases(tuple(Stage), QUICK))
async def test_a_worker_is_killed_as_a_stage_begins(
    desk: Desk,
    file_server: FileServer,
    database_url: str,
    short_dir: Path,
    start_worker: StartWorker,
    way: str,
    stage: Stage,
) -> None:
    accident, data_dir = Accident.KILLED, short_dir
    with stopping_worker(
        database_url, data_dir, point=BEGINS.format(stage), accident=accident, way=way
    ) as process:
        sync_id, _ = await begin_run(desk, file_server, old=OLD_OF[way])
        wait_for_accident(process, accident)
    await assert_old_or_new(desk, old=OLD_OF[way], new=NEW)
    await presume_dead(desk)
    await start_worker()
    await assert_recovers(desk, sync_id, new=NEW, data_dirs=[data_dir])


@pytest.mark.parametrize(("way", "stage"), cases(SANDBOXED, QUICK_FOR_CHILD))
async def test_the_child_that_reads_the_file_is_killed(
    desk: Desk,
    file_server: FileServer,
    database_url: str,
    short_dir: Path,
    way: str,
    stage: Stage,
) -> None:
    accident, data_dir = Accident.CHILDLESS, short_dir / "childless"
    with stopping_worker(
        database_url, data_dir, point=COMMANDED.format(stage), accident=accident, way=way
    ):
        sync_id, run_id = await begin_run(desk, file_server, old=OLD_OF[way])
        run = await desk.wait_for(run_id)
        assert run.error_code == 6675
        await assert_old_or_new(desk, old=OLD_OF[way], new=NEW)
        await assert_is_due_soon(desk, sync_id)
        await assert_recovers(desk, sync_id, new=NEW, data_dirs=[data_dir])
