"""How a sandbox child ends: with its block, beyond its limits, by a signal, with its worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from synctables.errors import (
    FileTooBigError,
    LoadError,
    MalformedCsvError,
    ReaderEndedError,
    ReadTimeoutError,
    RunError,
)
from synctables.importer.environment import scrubbed_environment
from synctables.importer.model import ReadOptions
from synctables.importer.sandbox import Sandbox, SandboxLimits
from tests.support.reading import LIMITS, fetched
from tests.support.sandboxing import AMPLE, CSV, unpack_into


async def test_the_child_and_all_it_started_end_with_the_block(workspace: Path) -> None:
    async with Sandbox.start(workspace, AMPLE) as sandbox:
        pid = sandbox.pid
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        pytest.param(
            SandboxLimits(memory_bytes=20 << 20, seconds=60, max_file_bytes=1 << 30),
            FileTooBigError,
            id="memory",
        ),
        pytest.param(
            SandboxLimits(memory_bytes=2 << 30, seconds=0, max_file_bytes=1 << 30),
            ReadTimeoutError,
            id="time",
        ),
    ],
)
async def test_a_child_beyond_its_limits_is_killed(
    workspace: Path, limits: SandboxLimits, error: type[RunError]
) -> None:
    async def unpack_again_and_again() -> None:
        async with Sandbox.start(workspace, limits) as sandbox:
            for _ in range(1_000):
                await unpack_into(sandbox, workspace, CSV, "a.csv")

    with pytest.raises(error):
        await unpack_again_and_again()


async def test_a_file_beyond_the_limit_is_too_big(workspace: Path) -> None:
    limits = SandboxLimits(memory_bytes=2 << 30, seconds=60, max_file_bytes=100_000)
    content = "name\nMálaga\n".encode("latin-1") + b"x" * 60 + b"\n" * 200_000
    async with Sandbox.start(workspace, limits) as sandbox:
        unpacked = await unpack_into(sandbox, workspace, content, "a.csv")
        with pytest.raises(FileTooBigError):
            await sandbox.read(unpacked, ReadOptions(), LIMITS)


@pytest.mark.full
@pytest.mark.parametrize(
    ("before", "piece", "after", "line"),
    [
        pytest.param(b"a,b\n1,2\n3,", b"x", b"\n4,5\n", 3, id="one cell"),
        pytest.param(b'a,b\n1,2\n3,"', b"x", b'"\n4,5\n', 3, id="one quoted cell"),
        pytest.param(b"a,b\n1,2\n", b"3,", b"\n4,5\n", 3, id="many cells"),
        pytest.param(b"a,b\n1,", b"\xe9", b"", 2, id="one cell of the last row, in latin-1"),
        pytest.param(b"", b"x,", b"", 1, id="nothing else"),
    ],
)
async def test_a_line_of_300_mb_is_refused_within_half_a_gigabyte(
    workspace: Path, before: bytes, piece: bytes, after: bytes, line: int
) -> None:
    path = workspace / "fetched"
    with path.open("wb") as file:
        file.write(before)
        for _ in range(300):
            file.write(piece * (1_000_000 // len(piece)))
        file.write(after)
    limits = SandboxLimits(memory_bytes=500_000_000, seconds=60, max_file_bytes=1 << 30)
    async with Sandbox.start(workspace, limits) as sandbox:
        unpacked = await sandbox.unpack(fetched(path, "a.csv"), LIMITS)
        with pytest.raises(MalformedCsvError, match=f"line {line} is longer than 16 MB"):
            await sandbox.read(unpacked, ReadOptions(), LIMITS)


@pytest.mark.parametrize(
    ("number", "error", "words"),
    [
        pytest.param(signal.SIGSEGV, LoadError, "crashed on this file .SIGSEGV", id="the file"),
        pytest.param(signal.SIGKILL, ReaderEndedError, "SIGKILL", id="somebody, or lack of memory"),
        pytest.param(signal.SIGTERM, ReaderEndedError, "SIGTERM", id="an operator"),
        pytest.param(signal.SIGXCPU, ReadTimeoutError, "took longer", id="processor time"),
    ],
)
async def test_who_ended_the_child_decides_whether_the_file_is_to_blame(
    workspace: Path, number: signal.Signals, error: type[RunError], words: str
) -> None:
    async with Sandbox.start(workspace, AMPLE) as sandbox:
        os.kill(sandbox.pid, number)
        with pytest.raises(error, match=words):
            await unpack_into(sandbox, workspace, CSV, "a.csv")


SPIN = """
import os, sys
from pathlib import Path
from synctables.importer.confine import confine_early, confine_late

workspace = Path(sys.argv[1])
confine_early(os.getppid())
confine_late(workspace, parent_pid=os.getppid(), memory_bytes=1 << 30, seconds=1, max_file_bytes=99)
while True:
    pass
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is confined")
def test_a_child_that_spins_is_told_apart_from_one_that_was_killed(workspace: Path) -> None:
    command = [sys.executable, "-I", "-c", SPIN, str(workspace)]
    finished = subprocess.run(command, env=scrubbed_environment(), check=False)
    assert finished.returncode == -signal.SIGXCPU


STARTER = """
import asyncio, sys
from pathlib import Path
from synctables.importer.sandbox import Sandbox, SandboxLimits

async def main():
    limits = SandboxLimits(memory_bytes=1 << 30, seconds=60, max_file_bytes=1 << 30)
    async with Sandbox.start(Path(sys.argv[1]), limits) as sandbox:
        print(sandbox.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_a_child_does_not_outlive_a_killed_worker(workspace: Path) -> None:
    command = [sys.executable, "-c", STARTER, str(workspace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        child = psutil.Process(int(worker.stdout.readline()))
        worker.kill()
    gone, alive = psutil.wait_procs([child], timeout=10)
    assert gone
    assert not alive


@pytest.mark.skipif(
    not Path("/proc/self/autogroup").exists(), reason="no sessions are weighed here"
)
def test_the_session_of_a_child_weighs_as_little_as_its_worker(workspace: Path) -> None:
    command = [sys.executable, "-c", f"import os; os.nice(10)\n{STARTER}", str(workspace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        child = int(worker.stdout.readline())
        assert Path(f"/proc/{child}/autogroup").read_text(encoding="ascii").endswith(" nice 10\n")
        worker.kill()
