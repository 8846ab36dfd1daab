"""The sandbox child: what it may, how it ends, and what the worker believes of it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

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
from synctables.importer.confine import is_active
from synctables.importer.environment import scrubbed_environment
from synctables.importer.model import ReadOptions
from synctables.importer.sandbox import Sandbox, SandboxLimits, Spare
from synctables.importer.workspace import create_workspace, inside, remove_workspace
from tests.support.reading import LIMITS, fetched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from synctables.importer.child_process import ChildProcess
    from synctables.importer.model import Unpacked

IS_ROOT = os.geteuid() == 0
AMPLE = SandboxLimits(memory_bytes=2 << 30, seconds=60, max_file_bytes=1 << 30)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may enter, like a data directory (and unlike ``tmp_path``)."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def workspace(folder: Path) -> Iterator[Path]:
    workspace = create_workspace(folder / "workspaces")
    yield workspace
    remove_workspace(workspace)


async def unpack_into(sandbox: Sandbox, workspace: Path, content: bytes, name: str) -> Unpacked:
    path = workspace / "fetched"
    path.write_bytes(content)
    return await sandbox.unpack(fetched(path, name), LIMITS)


CSV = b"name,lat,lon\nOslo,59.9,10.7\nRome,41.9,12.5\n"


async def test_a_file_goes_through_all_three_stages(workspace: Path) -> None:
    heard: list[dict[str, object]] = []
    async with Sandbox.start(workspace, AMPLE, on_progress=heard.append) as sandbox:
        unpacked = await unpack_into(sandbox, workspace, CSV, "cities.csv")
        layers = await sandbox.read(unpacked, ReadOptions(), LIMITS)
        typed = await sandbox.infer(layers, ReadOptions(), LIMITS)
    assert [(layer.name, layer.row_count) for layer in typed.layers] == [("cities", 2)]
    assert typed.layers[0].path.read_bytes().startswith(b"ARROW1")
    assert {"rows": 2} in heard


async def test_the_childs_errors_are_ours_with_their_words(workspace: Path) -> None:
    rubble = b"a,b,c\n" + b"".join(b"x" + b",y" * (row % 9) + b"\n" for row in range(200))
    async with Sandbox.start(workspace, AMPLE) as sandbox:
        unpacked = await unpack_into(sandbox, workspace, rubble, "a.csv")
        with pytest.raises(MalformedCsvError, match="rows do not have"):
            await sandbox.read(unpacked, ReadOptions(), LIMITS)


async def test_the_child_and_all_it_started_end_with_the_block(workspace: Path) -> None:
    async with Sandbox.start(workspace, AMPLE) as sandbox:
        pid = sandbox.pid
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)


async def test_confinement_says_what_it_achieved(workspace: Path) -> None:
    async with Sandbox.start(workspace, AMPLE) as sandbox:
        measures = sandbox.measures
        process = psutil.Process(sandbox.pid)
        environment = process.environ() if IS_ROOT else {}
        user = process.uids().effective
    assert set(measures) == {"network", "user", "files", "calls", "limits"}
    assert not {name for name in environment if "SYNCTABLES" in name or "PG" in name}
    if IS_ROOT:
        assert measures["user"] == str(user) != "0"
    if sys.platform == "linux":
        assert measures["calls"] == "filtered (seccomp)"
        of_its_own = ["nproc"] if IS_ROOT else []
        assert measures["limits"].split() == [
            *("core", "cpu", "fsize", "nofile", "data"),
            *of_its_own,
        ]


ATTEMPTS = """
import ctypes, json, os, socket, stat, subprocess, sys, threading
from pathlib import Path
from synctables.importer.confine import confine_early, confine_late

parent, workspace, secret, address, target = json.loads(sys.argv[1])
measures = confine_early(os.getppid())
measures |= confine_late(Path(workspace), parent_pid=os.getppid(), memory_bytes=1 << 30, seconds=60,
                         max_file_bytes=1 << 20)

def attempt(what):
    try:
        what()
    except (OSError, RuntimeError) as error:
        return type(error).__name__
    return "done"

def enter_namespace():
    libc = ctypes.CDLL(None, use_errno=True)
    stack = ctypes.create_string_buffer(65536)
    end = ctypes.c_void_p(ctypes.addressof(stack) + 65536)
    nothing = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(lambda _: 0)
    if libc.clone(nothing, end, 0x10000000 | 17, None) < 0:  # CLONE_NEWUSER, SIGCHLD
        raise OSError(ctypes.get_errno(), "clone")

def start_thread(what=int):
    threading.Thread(target=what, daemon=True).start()

wait = threading.Event().wait

def unix():
    socket.socket(socket.AF_UNIX).connect(address)

outcome = {
    "read a secret": attempt(lambda: Path(secret).read_text()),
    "list the secrets": attempt(lambda: os.listdir(os.path.dirname(secret))),
    "write elsewhere": attempt(lambda: Path(target).write_text("x")),
    "write here": attempt(lambda: Path("mine").write_text("x")),
    "write too much": attempt(lambda: Path("big").write_bytes(bytes(2 << 20))),
    "connect to a unix socket": attempt(unix),
    "connect to the network": attempt(lambda: socket.create_connection(("127.0.0.1", parent))),
    "connect two of its own": attempt(socket.socketpair),
    "start a program": attempt(lambda: subprocess.run(["/bin/true"])),
    "start a process": attempt(lambda: os.fork() or os._exit(0)),
    "enter a namespace": attempt(enter_namespace),
    "make a device": attempt(lambda: os.mknod("device", 0o600 | stat.S_IFCHR, os.makedev(1, 3))),
    "make a pipe with a name": attempt(lambda: os.mkfifo("pipe")),
    "start a thread": attempt(start_thread),
    "start a thousand threads": attempt(lambda: [start_thread(wait) for _ in range(1000)]),
    "become root": attempt(lambda: os.setuid(0)),
}
print(json.dumps([measures, outcome]), flush=True)
os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the measures are Linux's")
def test_a_child_that_turned_against_us_reaches_nothing(workspace: Path, folder: Path) -> None:
    secret = folder / "secrets" / "key"
    secret.parent.mkdir(mode=0o700)
    secret.write_text("secret")
    with socket.socket(socket.AF_UNIX) as unix, socket.socket() as network:
        unix.bind(str(folder / "database.sock"))
        unix.listen()
        (folder / "database.sock").chmod(0o777)
        network.bind(("127.0.0.1", 0))
        network.listen()
        paths = [workspace, secret, folder / "database.sock", folder / "target"]
        arguments = [network.getsockname()[1], *map(str, paths)]
        command = [sys.executable, "-I", "-c", ATTEMPTS, json.dumps(arguments)]
        finished = subprocess.run(
            command, capture_output=True, check=True, env=scrubbed_environment(), text=True
        )
    measures, outcome = json.loads(finished.stdout)
    allowed = {what for what, how in outcome.items() if how == "done"}
    if not IS_ROOT and not is_active(measures["files"]):
        allowed -= {"read a secret", "list the secrets", "write elsewhere"}
    if not IS_ROOT:  # a login's threads are not counted
        allowed -= {"start a thousand threads"}
    assert allowed == {"write here", "start a thread"}, (measures, outcome)


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
from synctables.importer.confine import is_active
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


class LyingChild:
    """Answers what the test wants, as a child that was taken over would."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self._answer = answer

    async def ask(self, *_: object, **__: object) -> dict[str, Any]:
        return self._answer

    log = ""


def naming(path: str) -> dict[str, Any]:
    return {"value": {"members": [{"name": "a", "path": path, "size_bytes": 1}]}}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"value": {"members": "x"}}, id="of the wrong shape"),
        pytest.param({"value": None}, id="of nothing"),
        pytest.param({}, id="without a value"),
        pytest.param(naming("/etc/passwd"), id="that names a file elsewhere"),
        pytest.param(naming("link"), id="that names a link"),
        pytest.param(naming("../.."), id="that leads out"),
        pytest.param({"error": {"class": "SystemExit", "message": "x"}}, id="with a foreign error"),
        pytest.param({"error": {"class": "RunError", "message": "x"}}, id="with a bare error"),
        pytest.param({"error": {"class": ["x"]}}, id="with a nonsense error"),
        pytest.param({"error": "no"}, id="with an error that is text"),
    ],
)  # fmt: skip
async def test_an_answer_is_not_believed(workspace: Path, answer: dict[str, Any]) -> None:
    (workspace / "link").symlink_to("/etc/passwd")
    sandbox = Sandbox(cast("ChildProcess", LyingChild(answer)), workspace, None)
    with pytest.raises(LoadError):
        await unpack_into(sandbox, workspace, CSV, "a.csv")


def test_a_workspace_belongs_to_a_user_of_its_own_and_can_be_removed(tmp_path: Path) -> None:
    first, second = create_workspace(tmp_path / "w"), create_workspace(tmp_path / "w")
    assert stat.S_IMODE(first.stat().st_mode) == 0o700
    if IS_ROOT:
        assert 0 != first.stat().st_uid != second.stat().st_uid != 0
    closed = first / "closed"
    closed.mkdir()
    (closed / "file").write_text("x")
    (first / "link").symlink_to(second)
    closed.chmod(0)
    remove_workspace(first)
    remove_workspace(first)
    assert not first.exists()
    assert second.exists()


def test_only_plain_files_inside_a_workspace_count_as_inside(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "pipe")
    assert inside(tmp_path / "file", tmp_path) == tmp_path / "file"
    for wrong in ("pipe", "missing", "..", "/etc/passwd"):
        with pytest.raises(LoadError):
            inside(tmp_path / wrong, tmp_path)
