"""Children that read files and have lost their worker: how they are known, found and ended.

On Linux the kernel ends a child with its parent; elsewhere, or where that fails, it may stay. A
parent with process id 1 tells nothing: a container's first process or a user's service manager may
inherit orphans too. So each child is told on its command line whose it is.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import psutil

from synctables.importer.workspace_owners import has_live_owner, own_folder

_MODULE = "synctables.importer.child"
_NO_WORKSPACES = Path()


def child_command(workspaces: Path | None) -> list[str]:
    """How this process starts a child: the last argument is its owner, for those who look.

    ``workspaces`` is the owner's folder (`workspace_owners.claim_workspaces`); without one, it is
    named by the process alone.
    """
    owner = workspaces or own_folder(_NO_WORKSPACES)
    return [sys.executable, "-I", "-m", _MODULE, str(owner)]


def find_orphaned_children(root: Path) -> list[psutil.Process]:
    """Children whose owner is gone and that no other process of ours has for a child.

    ``root`` holds the workspaces of a data directory.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            owner = _owner(process.cmdline())
            if owner is None or owner.parent != root:
                continue
            if not has_live_owner(owner.name) and not _has_worker_above(process):
                found.append(process)
    return found


def end_orphaned_children(root: Path) -> int:
    """Kill those of this data directory. Returns how many."""
    found = find_orphaned_children(root)
    for process in found:
        with suppress(psutil.Error):
            process.kill()
    return len(found)


def _owner(command: list[str]) -> Path | None:
    """The owner's folder on a child's command line; None: this is no child."""
    if _MODULE not in command[:-1]:
        return None
    return Path(command[command.index(_MODULE) + 1])


def _has_worker_above(process: psutil.Process) -> bool:
    """Whether its parent may be at work with it, or cannot be seen.

    Numbers of processes differ from one container to another: a living worker in one of them may
    seem gone from here, but then it is still the parent. `serve` starts no children that read, yet
    inherits those of its worker where it is a container's first process.
    """
    parent = process.parent()
    if parent is None:
        return True
    try:
        command = parent.cmdline()
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True
    is_ours = any(Path(part).name == "synctables" for part in command)
    return is_ours and "serve" not in command
