"""Workspaces: one folder per run, owned by the user that the sandbox child becomes.

A child can do what it likes inside, so what the worker finds there later is only followed after
`inside` has judged it.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from synctables.errors import LoadError

SANDBOX_USERS = range(60_600, 61_100)
"""Numeric user ids that neither Debian nor systemd assigns (systemd's UIDS-GIDS: "unused")."""


def create_workspace(root: Path) -> Path:
    """A new folder below ``root``, mode 0700, as root owned by an unprivileged user of its own."""
    root.mkdir(parents=True, exist_ok=True)
    workspace = root / uuid.uuid4().hex
    workspace.mkdir(mode=0o700)
    if os.geteuid() == 0:
        user = _choose_user(root)
        os.chown(workspace, user, user)
    return workspace


@contextmanager
def scratch_beside(workspace: Path) -> Iterator[Path]:
    """A folder beside the workspace that the child cannot reach, for the worker's own files."""
    scratch = workspace.with_name(f"{workspace.name}-scratch")
    scratch.mkdir(mode=0o700)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def give_to_sandbox(path: Path, workspace: Path) -> None:
    """Let the workspace's owner read a file that the worker put there."""
    owner = workspace.stat()
    path.chmod(0o600)
    if owner.st_uid != os.geteuid():
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def remove_workspace(path: Path) -> None:
    """Delete the folder, also where the child took away permissions; silent if it is gone."""
    for folder, names, _ in os.walk(path):
        for name in names:
            inner = Path(folder, name)
            if not inner.is_symlink():
                with suppress(OSError):  # before the walk looks inside
                    inner.chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)


def inside(path: Path, workspace: Path) -> Path:
    """``path``, if it is a plain file or folder in the workspace without links on the way.

    Raises `LoadError`: the child said something that no honest child says.
    """
    absolute = path if path.is_absolute() else workspace / path
    home = workspace.resolve()
    try:
        resolved = absolute.resolve(strict=True)
        found = absolute.lstat()
    except OSError:
        raise LoadError("The reader named a file that is not there.") from None
    is_plain = stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)
    if not is_plain or not resolved.is_relative_to(home):
        raise LoadError("The reader named a file outside its workspace.")
    return absolute


def _choose_user(root: Path) -> int:
    """A user id that no other workspace here has and that is nobody's login."""
    taken = {entry.stat().st_uid for entry in os.scandir(root)}
    free = [user for user in SANDBOX_USERS if user not in taken and not _is_login(user)]
    return secrets.choice(free or list(SANDBOX_USERS))


def _is_login(user: int) -> bool:
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True
