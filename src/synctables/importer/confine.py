"""What the child process does to itself before it touches a file.

Every measure is best effort, since what is possible depends on who we are and where we run (root,
a plain user, a container); each says what it achieved, so that ``doctor`` can tell. Order matters:

- `confine_early` runs while the process has one thread: namespaces belong to a thread
  (``unshare(2)``), and importing numpy or Arrow starts threads.
- `confine_late` runs when the workspace is known: user id, resource limits, system calls.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
CLONE_NEWNET = 0x4000_0000
CLONE_NEWUSER = 0x1000_0000

_MIB = 1024 * 1024
HEADROOM_BYTES = 1024 * _MIB
"""What RLIMIT_DATA allows beyond the memory limit: thread stacks and Arrow's and DuckDB's
allocators ask for 100 MB (idle) to 700 MB (2 M rows) more than they ever touch. The limit itself
is kept by the worker, which watches the resident size; this is the backstop between two looks."""

_libc = ctypes.CDLL(None, use_errno=True)


def confine_early(parent_pid: int) -> dict[str, str]:
    """Bind this process's life to its parent's, and leave the network."""
    _die_with_parent(parent_pid)
    _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return {"network": _leave_network()}


def confine_late(
    workspace: Path, *, parent_pid: int, memory_bytes: int, seconds: int, max_file_bytes: int
) -> dict[str, str]:
    """Become the workspace's owner and accept its limits; returns what was achieved."""
    os.chdir(workspace)
    os.umask(0o077)
    user = _become_owner(workspace)
    _die_with_parent(parent_pid)  # the kernel forgets it when the user changes (prctl(2))
    limits = _limit_resources(
        memory_bytes=memory_bytes, seconds=seconds, max_file_bytes=max_file_bytes
    )
    return {"user": user, "limits": limits}


def _die_with_parent(parent_pid: int) -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it died before we asked
        os._exit(0)


def _leave_network() -> str:
    """``none`` in a network namespace without interfaces, else ``shared``."""
    if os.geteuid() == 0:
        return "none" if _libc.unshare(CLONE_NEWNET) == 0 else "shared"
    user, group = os.getuid(), os.getgid()
    if _libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        return "shared"
    # Without a map this process would own none of its files any more (user_namespaces(7)).
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return "none"


def _become_owner(workspace: Path) -> str:
    """As root, take the workspace owner's user id for good; ``unchanged`` otherwise."""
    owner = workspace.stat().st_uid
    if os.geteuid() != 0 or owner == 0:
        return "unchanged"
    os.setgroups([])
    os.setresgid(owner, owner, owner)
    os.setresuid(owner, owner, owner)
    return str(owner)


def _limit_resources(*, memory_bytes: int, seconds: int, max_file_bytes: int) -> str:
    """Set every limit that can be set; returns their names."""
    wanted = {
        "core": 0,
        "cpu": 2 * seconds,  # two threads may work at once
        "fsize": max_file_bytes,
        "nofile": 512,
        "data": memory_bytes + HEADROOM_BYTES,
    }
    done = [name for name, value in wanted.items() if _set_limit(name, value)]
    return " ".join(done)


def _set_limit(name: str, value: int) -> bool:
    kind = getattr(resource, f"RLIMIT_{name.upper()}")
    _, hard = resource.getrlimit(kind)
    allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(kind, (allowed, allowed))
    except (ValueError, OSError):
        return False
    return True
