"""Only the workspace may be written, only the workspace and the system's own files read.

Landlock (Linux 5.13) needs no rights at all, so it also holds for a plain user, whose other files
the child could read otherwise. What newer kernels can refuse besides (TCP, signals, unix sockets,
UDP) is refused too, since no rule allows any of it.
https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from landlockpy import AccessFS, RestrictFlag, Ruleset, Scope, abi_version

_READ = AccessFS.EXECUTE | AccessFS.READ_FILE | AccessFS.READ_DIR
_ON_FILES = (
    AccessFS.EXECUTE
    | AccessFS.WRITE_FILE
    | AccessFS.READ_FILE
    | AccessFS.TRUNCATE
    | AccessFS.IOCTL_DEV
)
"""What makes sense for a file that is no folder."""
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/opt", "/proc", "/sys", "/etc/ld.so.cache")
_MORE = ("/etc/localtime", "/etc/nsswitch.conf", "/dev/urandom", "/dev/random", "/dev/zero")


def allow_only(*, readable: list[Path], writable: list[Path]) -> int:
    """Restrict this process, and all that it starts; returns Landlock's version, 0 where it is not.

    Up to version 7 the kernel restricts the calling thread only; others of that moment, which here
    are those that Arrow started and gave nothing to do, are held by the other walls.
    """
    version = abi_version()
    if not version:
        return 0
    scopes = Scope.ABSTRACT_UNIX_SOCKET | Scope.SIGNAL
    try:
        with Ruleset(scoped=scopes) as ruleset:
            for path in (*map(Path, (*_SYSTEM, *_MORE)), *readable):
                _allow(ruleset, path, _READ)
            for path in (*writable, Path("/dev/null")):
                _allow(ruleset, path, ruleset.handled_fs)
            ruleset.restrict(RestrictFlag.TSYNC)
    except OSError:
        return 0
    return version


def _allow(ruleset: Ruleset, path: Path, rights: AccessFS) -> None:
    with suppress(FileNotFoundError, PermissionError):
        ruleset.allow_path(path, rights if path.is_dir() else rights & _ON_FILES)
