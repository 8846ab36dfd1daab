"""A view of the file system in which another user can read the interpreter, and no more of home.

A root-owned installation often stands below a folder that only root may enter (``/root``). In a
mount namespace of its own the child sees an empty folder there, with nothing but what it runs
from.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from synctables.importer.confine import kernel


def open_for_others(folders: list[Path]) -> bool:
    """Let every user reach ``folders``; False where this process may not change its view.

    Only root can, and only while the process has one thread.
    """
    closed = {top for folder in folders if (top := _closed_ancestor(folder)) is not None}
    if not closed:
        return True
    if not kernel.unshare(kernel.CLONE_NEWNS):
        return False
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    for top in closed:
        _replace(top, [folder for folder in folders if folder.is_relative_to(top)])
    return True


def _closed_ancestor(folder: Path) -> Path | None:
    """The topmost folder on the way that others may not enter."""
    for path in (*reversed(folder.parents), folder):
        if not path.stat().st_mode & stat.S_IXOTH:
            return path
    return None


def _replace(top: Path, kept: list[Path]) -> None:
    """An empty folder over ``top``, with ``kept`` inside where they were."""
    handles = {folder: os.open(folder, os.O_PATH) for folder in kept}
    kernel.mount("tmpfs", str(top), kind="tmpfs", options="mode=755,size=1m")
    for folder, handle in handles.items():
        folder.mkdir(parents=True, exist_ok=True)
        kernel.mount(f"/proc/self/fd/{handle}", str(folder), flags=kernel.MS_BIND | kernel.MS_REC)
        os.close(handle)
