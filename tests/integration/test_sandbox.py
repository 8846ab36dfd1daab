"""The sandbox child: what it may, what it reaches, and what the worker believes of it."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import psutil
import pytest

from synctables.errors import LoadError, MalformedCsvError
from synctables.importer.confine import is_active
from synctables.importer.environment import scrubbed_environment
from synctables.importer.model import ReadOptions
from synctables.importer.sandbox import Sandbox
from synctables.importer.workspace import create_workspace, inside, remove_workspace
from tests.support.reading import LIMITS
from tests.support.sandboxing import AMPLE, CSV, unpack_into

if TYPE_CHECKING:
    from synctables.importer.child_process import ChildProcess

IS_ROOT = os.geteuid() == 0


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
