"""Whose workspaces are whose: each worker process has a folder, which stays when it is killed.

A folder is named by process id and start time, so that a reused id is no excuse to keep it.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import psutil

WORKSPACES = "workspaces"
"""Below the data directory."""

_IS_LINUX = sys.platform == "linux"


def claim_workspaces(root: Path) -> Path:
    """This process's own folder for workspaces; what dead workers here left is removed."""
    root.mkdir(parents=True, exist_ok=True)
    sweep_workspaces(root)
    own = own_folder(root)
    own.mkdir(mode=0o711, exist_ok=True)
    return own


def own_folder(root: Path) -> Path:
    """Where below ``root`` this process keeps its workspaces; it need not exist."""
    return root / _owner_name(psutil.Process())


def sweep_workspaces(root: Path) -> int:
    """Remove the folders whose process is gone. Returns how many."""
    found = find_orphaned_workspaces(root)
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)
    return len(found)


def find_orphaned_workspaces(root: Path) -> list[Path]:
    """Folders whose process is gone; none where there is no such root."""
    folders = root.iterdir() if root.is_dir() else ()
    return [folder for folder in folders if not has_live_owner(folder.name)]


def has_live_owner(name: str) -> bool:
    """Whether the process lives that a folder of this name belongs to."""
    process_id = name.partition("-")[0]
    if not process_id.isdigit():
        return False
    try:
        return _owner_name(psutil.Process(int(process_id))) == name
    except (psutil.Error, OSError):
        return False


def _owner_name(process: psutil.Process) -> str:
    return f"{process.pid}-{_start(process)}"


def _start(process: psutil.Process) -> int:
    """When it started, in hundredths of a second.

    Since the machine did, where that can be had (field 22 of proc_pid_stat(5)): a time of day
    would be another one after the clock was set, and a living worker's files those of a dead one.
    """
    if _IS_LINUX:
        fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
        return int(fields.split()[19])
    return int(process.create_time() * 100)
