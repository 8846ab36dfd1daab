"""What the child process does to itself before it touches a file.

Every measure is best effort, since what is possible depends on who we are and where we run (root,
a plain user, a container); each says what it achieved, so that ``doctor`` can tell:

=========  =====================================================================================
network    ``none (namespace)``: one without interfaces; ``shared`` and why: ``calls`` is before it
user       the numeric id it became; ``unchanged`` and why
files      ``workspace (Landlock 7)``: it can write there only; ``unrestricted`` and why
calls      ``filtered (seccomp)``: no sockets, no processes, no tracing; ``unfiltered`` and why
limits     the resource limits that were set
=========  =====================================================================================

Order matters. `confine_early` runs while the process has one thread: namespaces belong to a
thread (``unshare(2)``), and importing Arrow starts another. `confine_late` runs when the workspace
is known.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path

from synctables.importer.confine import kernel, landlock, mounts, seccomp

_MIB = 1024 * 1024
HEADROOM_BYTES = 1024 * _MIB
"""What RLIMIT_DATA allows beyond the memory limit. Thread stacks and the allocators of Arrow and
DuckDB ask for several 100 MB more than they touch (and RLIMIT_AS would count a gigabyte of mapped
libraries and files too). The limit itself is kept by the worker, which watches the resident size;
this is the backstop between two looks."""
MAX_THREADS = 256
"""Of a user of the child's own. A login's is shared with all that it runs, and left alone."""
WALLS = ("network", "user", "files", "calls", "limits")
_NO_NETWORK = "none (namespace)"
_SHARED = "shared: no network namespace is permitted here"
_UNRESTRICTED = "unrestricted: this kernel has no Landlock, or it is off"
_UNFILTERED = "unfiltered: libseccomp is missing, or the kernel refuses its filter"
_OPEN = ("shared", "unchanged", "unrestricted", "unfiltered")


def is_active(achieved: str) -> bool:
    """Whether what was achieved of a wall is that it stands."""
    return bool(achieved) and not achieved.startswith(_OPEN)


def confine_early(parent_pid: int) -> dict[str, str]:
    """Bind this process's life to its parent's, and leave the network."""
    _die_with_parent(parent_pid)
    if os.geteuid() == 0:
        mounts.open_for_others(_program_folders())
    kernel.renounce_privileges()
    return {"network": _leave_network()}


def confine_late(
    workspace: Path, *, parent_pid: int, memory_bytes: int, seconds: int, max_file_bytes: int
) -> dict[str, str]:
    """Become the workspace's owner and accept its limits; returns what was achieved."""
    os.umask(0o077)
    user = _become_owner(workspace)
    os.chdir(workspace)
    _die_with_parent(parent_pid)  # the kernel forgets it when the user changes (prctl(2))
    limits = _limit_resources(
        memory_bytes=memory_bytes,
        seconds=seconds,
        max_file_bytes=max_file_bytes,
        has_own_user=user.isdecimal(),
    )
    version = landlock.allow_only(readable=_program_folders(), writable=[workspace])
    is_filtered = seccomp.refuse_calls()
    return {
        "user": user,
        "limits": limits,
        "files": f"workspace (Landlock {version})" if version else _UNRESTRICTED,
        "calls": "filtered (seccomp)" if is_filtered else _UNFILTERED,
    }


def _program_folders() -> list[Path]:
    """What the interpreter and this package run from."""
    package = Path(__file__).parents[2]
    entries = [Path(entry) for entry in sys.path if entry and Path(entry).is_dir()]
    folders = {Path(sys.prefix), Path(sys.base_prefix), package, *entries}
    resolved = {folder.resolve() for folder in folders}
    return sorted(
        folder for folder in resolved if not any(parent in resolved for parent in folder.parents)
    )


def _die_with_parent(parent_pid: int) -> None:
    kernel.set_parent_death_signal(signal.SIGKILL)
    if os.getppid() != parent_pid:  # it died before we asked
        os._exit(0)


def _leave_network() -> str:
    """`_NO_NETWORK` in a network namespace without interfaces, else `_SHARED`."""
    if os.geteuid() == 0:
        return _NO_NETWORK if kernel.unshare(kernel.CLONE_NEWNET) else _SHARED
    user, group = os.getuid(), os.getgid()
    if not kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET):
        return _SHARED
    # Without a map this process would own none of its files any more (user_namespaces(7)).
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return _NO_NETWORK


def _become_owner(workspace: Path) -> str:
    """As root, take the workspace owner's user id for good; else ``unchanged`` and why."""
    owner = workspace.stat().st_uid
    if os.geteuid() != 0 or owner == os.geteuid():
        return "unchanged: not root" if os.geteuid() else "unchanged: the workspace is root's"
    os.setgroups([])
    os.setegid(owner)
    os.seteuid(owner)
    closed = [path for path in (workspace, *_program_folders()) if not _is_open(path)]
    os.seteuid(0)
    os.setegid(0)
    if closed:
        return f"unchanged: others cannot read {closed[0]}"
    os.setresgid(owner, owner, owner)
    os.setresuid(owner, owner, owner)
    return str(owner)


def _is_open(path: Path) -> bool:
    return os.access(path, os.R_OK | os.X_OK, effective_ids=True)


def _limit_resources(
    *, memory_bytes: int, seconds: int, max_file_bytes: int, has_own_user: bool
) -> str:
    """Set every limit that can be set; returns their names."""
    wanted = {
        "core": 0,
        "cpu": seconds * max(os.cpu_count() or 1, 2),  # as many threads may work at once
        "fsize": max_file_bytes,
        "nofile": 512,
        "data": memory_bytes + HEADROOM_BYTES,
        **({"nproc": MAX_THREADS} if has_own_user else {}),
    }
    done = [name for name, value in wanted.items() if _set_limit(name, value)]
    return " ".join(done)


def _set_limit(name: str, value: int) -> bool:
    kind = getattr(resource, f"RLIMIT_{name.upper()}")
    _, hard = resource.getrlimit(kind)
    allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
    # At the hard limit of processor time the kernel kills, and nobody would know what for; at the
    # soft one it sends SIGXCPU (getrlimit(2)).
    most = allowed if name != "cpu" or allowed == hard else allowed + 1
    try:
        resource.setrlimit(kind, (allowed, most))
    except (ValueError, OSError):
        return False
    return True
