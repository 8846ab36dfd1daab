"""Children that lost their worker: how they are told from those that are at work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from synctables.cli.work_diagnosis import examine_children
from synctables.importer.orphaned_children import end_orphaned_children, find_orphaned_children
from synctables.importer.sandbox import Spare
from synctables.importer.workspace_owners import WORKSPACES, claim_workspaces, sweep_workspaces

# A real child dies with its parent; this one has only its command line.
OWNER = """
import subprocess, sys
from pathlib import Path
from synctables.importer.orphaned_children import child_command
from synctables.importer.workspace_owners import own_folder

named = child_command(own_folder(Path(sys.argv[1])))[1:]
child = subprocess.Popen(
    [sys.executable, "-c", "import time; time.sleep(120)", *named], stdout=subprocess.DEVNULL
)
print(child.pid, flush=True)
sys.stdin.readline()
"""


@contextmanager
def owner_with_child(root: Path) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """A process with a child that stays when its owner ends; it is ended with the block."""
    command = [sys.executable, "-c", OWNER, str(root)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        child = psutil.Process(int(owner.stdout.readline()))
        try:
            yield owner, child
        finally:
            owner.kill()
            if child.is_running():
                child.kill()


def test_a_child_is_an_orphan_once_its_owner_is_gone(tmp_path: Path) -> None:
    root, other = tmp_path / WORKSPACES, tmp_path / "other" / WORKSPACES
    with owner_with_child(root) as (owner, child):
        assert find_orphaned_children(root) == []
        assert examine_children(tmp_path).ok
        assert end_orphaned_children(root) == 0

        owner.kill()
        owner.wait()

        assert find_orphaned_children(root) == [child]
        assert examine_children(tmp_path).detail == "1 of workers that are gone"
        assert not examine_children(tmp_path).ok
        assert end_orphaned_children(other) == 0
        assert child.is_running()
        assert end_orphaned_children(root) == 1
        gone, _ = psutil.wait_procs([child], timeout=10)
        assert gone
        assert find_orphaned_children(root) == []


async def test_real_children_say_whose_they_are(tmp_path: Path) -> None:
    own = claim_workspaces(tmp_path / WORKSPACES)
    spare = Spare(own)
    try:
        child = psutil.Process((await spare.peek()).pid)
        assert child.cmdline()[-2:] == ["synctables.importer.child", str(own)]
        assert find_orphaned_children(own.parent) == []
    finally:
        await spare.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is only the time of day")
def test_setting_the_clock_makes_no_worker_a_dead_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = claim_workspaces(tmp_path / WORKSPACES)
    begun = psutil.boot_time()
    # What the kernel says in /proc/stat once somebody has set the clock by a day.
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: begun + 86_400)
    assert sweep_workspaces(own.parent) == 0
    assert own.is_dir()
