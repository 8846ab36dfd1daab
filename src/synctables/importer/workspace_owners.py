"""Whose workspaces are whose: each worker process has a folder, which stays when it is killed.

A folder is named by process id and start time, so that a reused id is no excuse to keep it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil

WORKSPACES = "workspaces"
"""Below the data directory."""


def claim_workspaces(root: Path) -> Path:
    """This process's own folder for workspaces; what dead workers here left is removed."""
    root.mkdir(parents=True, exist_ok=True)
    sweep_workspaces(root)
    own = root / _owner_name(psutil.Process())
    own.mkdir(mode=0o711, exist_ok=True)
    return own


def sweep_workspaces(root: Path) -> int:
    """Remove the folders whose process is gone. Returns how many."""
    found = find_orphaned_workspaces(root)
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)
    return len(found)


def find_orphaned_workspaces(root: Path) -> list[Path]:
    """Folders whose process is gone; none where there is no such root."""
    folders = root.iterdir() if root.is_dir() else ()
    return [folder for folder in folders if not _has_live_owner(folder.name)]


def _has_live_owner(name: str) -> bool:
    process_id = name.partition("-")[0]
    if not process_id.isdigit():
        return False
    try:
        return _owner_name(psutil.Process(int(process_id))) == name
    except psutil.Error:
        return False


def _owner_name(process: psutil.Process) -> str:
    return f"{process.pid}-{int(process.create_time() * 100)}"
