"""A sandbox child that waits for a run: taken, replaced, and never a dead one."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from synctables.errors import ReaderEndedError
from synctables.importer.sandbox import Sandbox, Spare
from tests.support.sandboxing import AMPLE, CSV, unpack_into


async def test_a_spare_child_is_taken_replaced_and_closed(workspace: Path) -> None:
    spare = Spare()
    spare.prepare()
    first = await spare.take()
    second = await spare.take()
    assert first.pid != second.pid
    os.kill(second.pid, signal.SIGKILL)
    async with Sandbox.start(workspace, AMPLE, spare=spare) as sandbox:
        unpacked = await unpack_into(sandbox, workspace, CSV, "a.csv")
        assert len(unpacked.members) == 1
    await asyncio.gather(first.kill(), second.kill(), spare.close())
    assert not [child for child in psutil.Process().children() if "synctables" in str(child)]


async def test_a_spare_child_that_died_while_waiting_is_not_handed_out() -> None:
    spare = Spare()
    spare.prepare()
    waiting = await spare.peek()
    os.kill(waiting.pid, signal.SIGKILL)
    taken = await spare.take()
    assert taken.pid != waiting.pid
    assert await taken.ask("nonsense", {}, on_progress=None) == {
        "error": {"class": "LoadError", "message": ""}
    }
    await asyncio.gather(taken.kill(), spare.close())


async def test_a_spare_child_that_never_started_is_not_the_next_run_s_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spare = Spare()
    with monkeypatch.context() as broken:
        broken.setattr("sys.executable", "/bin/false")
        spare.prepare()
        with pytest.raises(ReaderEndedError, match="did not start"):
            await spare.peek()
    taken = await spare.take()
    assert await taken.answers()
    await asyncio.gather(taken.kill(), spare.close())
