"""Only the workspace may be written, only the workspace and the system's own files read.

Landlock (Linux 5.13) needs no rights at all, so it also holds for a plain user, whose other files
the child could read otherwise. https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

from synctables.importer.confine import kernel

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_GET_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | 1 << 14
"""What makes sense for a file that is no folder; 1 << 14 is truncation."""
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/opt", "/proc", "/sys", "/etc/ld.so.cache")
_MORE = ("/etc/localtime", "/etc/nsswitch.conf", "/dev/urandom", "/dev/random", "/dev/zero")


def allow_only(*, readable: list[Path], writable: list[Path]) -> bool:
    """Restrict this thread, and all that it starts; False where the kernel cannot."""
    if not kernel.IS_LINUX:
        return False
    try:
        version = kernel.system_call(_CREATE_RULESET, None, 0, _GET_VERSION)
        handled = _rights_of(version)
        attributes = _attributes(version, handled)
        ruleset = kernel.system_call(_CREATE_RULESET, attributes, len(attributes), 0)
        for path in (*map(Path, (*_SYSTEM, *_MORE)), *readable):
            _allow(ruleset, path, _READ)
        for path in (*writable, Path("/dev/null")):
            _allow(ruleset, path, handled)
        kernel.system_call(_RESTRICT_SELF, ruleset, 0)
        os.close(ruleset)
    except OSError:
        return False
    return True


def _rights_of(version: int) -> int:
    """All rights over files that this version knows: 13 at first, then one or none each time."""
    count = {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)
    return (1 << count) - 1


def _attributes(version: int, handled: int) -> ctypes.Array[ctypes.c_char]:
    """``struct landlock_ruleset_attr``: files; TCP from 4 on; signals and sockets from 6 on."""
    values = [handled]
    if version >= 4:
        values.append(0b11)
    if version >= 6:
        values.append(0b11)
    packed = struct.pack(f"<{len(values)}Q", *values)
    return ctypes.create_string_buffer(packed, len(packed))


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    allowed = rights if path.is_dir() else rights & _ON_FILES
    rule = struct.pack("<Qi", allowed, handle)
    kernel.system_call(
        _ADD_RULE, ruleset, _PATH_BENEATH, ctypes.create_string_buffer(rule, len(rule)), 0
    )
    os.close(handle)
