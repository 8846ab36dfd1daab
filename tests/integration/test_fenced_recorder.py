"""What a run tells while it goes on is told by its owner alone."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from synctables.errors import FencedError
from synctables.importer.model import Stage
from synctables.syncs.recorder import RunRecorder
from synctables.syncs.run_story import RunStory
from synctables.syncs.runs import Begun, begin
from tests.support.file_server import FileServer
from tests.support.workers import Desk

TOLD = "SELECT state, progress, (SELECT count(*) FROM log_entries) FROM runs"


@pytest.fixture
async def owners(desk: Desk, file_server: FileServer) -> tuple[RunRecorder, RunRecorder]:
    """The recorders of a worker that was presumed dead and of the one that owns its run now."""
    _, run_id = await desk.add_only(file_server.put("/a.csv", b"name,size\nOslo,1\n"))
    return recorder(desk, await begun(desk, run_id)), recorder(desk, await begun(desk, run_id))


async def begun(desk: Desk, run_id: UUID) -> Begun:
    async with desk.pool.connection() as connection:
        owner = await begin(connection, run_id)
    assert owner is not None
    return owner


def recorder(desk: Desk, owner: Begun) -> RunRecorder:
    story = RunStory(owner.run)
    return RunRecorder(desk.pool, owner.account, owner.run, owner.token, story=story)


async def told(desk: Desk) -> tuple[Any, ...]:
    """Stage and progress of the only run, and how long its log is."""
    ((state, progress, line_count),) = await desk.rows(TOLD)
    return state, progress, line_count


async def test_who_was_fenced_begins_no_stage(
    desk: Desk, owners: tuple[RunRecorder, RunRecorder]
) -> None:
    fenced, owner = owners
    await owner.stage(Stage.UNPACK)
    before = await told(desk)
    assert before[:2] == ("unpacking", {"stage": "unpack"})

    with pytest.raises(FencedError):
        await fenced.stage(Stage.APPLY)
    assert await told(desk) == before

    await owner.stage(Stage.APPLY)
    assert await told(desk) == ("importing", {"stage": "apply"}, before[2] + 1)


async def test_who_was_fenced_writes_no_progress(
    desk: Desk, owners: tuple[RunRecorder, RunRecorder]
) -> None:
    fenced, owner = owners
    await owner.stage(Stage.FETCH)
    before = await told(desk)

    fenced.progress({"bytes": 7})
    await fenced.close()
    assert await told(desk) == before

    owner.progress({"bytes": 8})
    await owner.close()
    assert (await told(desk))[1] == {"stage": "fetch", "bytes": 8}
