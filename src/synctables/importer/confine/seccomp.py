"""System calls that a reader of files never needs, refused from now on (seccomp(2)).

Above all ``socket``: neither a network address nor the database's unix socket can be reached then,
whoever we are and in whatever container.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from synctables.importer.confine import kernel

_SET_MODE_FILTER = 1
_ALL_THREADS = 1
_ALLOW = 0x7FFF_0000
_REFUSE = 0x0005_0000 | errno.EPERM
_X32_BIT = 0x4000_0000

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_IF_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K

_AUDIT_ARCHITECTURE = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
_SECCOMP_CALL = {"x86_64": 317, "aarch64": 277}
_REFUSED = {
    # name: (x86_64, aarch64)
    "socket": (41, 198),
    "connect": (42, 203),
    "ptrace": (101, 117),
    "execve": (59, 221),
    "execveat": (322, 281),
    "mount": (165, 40),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "setns": (308, 268),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "open_by_handle_at": (304, 265),
    "io_uring_setup": (425, 425),
    "pidfd_getfd": (438, 438),
}


def refuse_calls() -> bool:
    """Install the filter for all threads; False where this kernel or machine has none."""
    if not kernel.IS_LINUX or kernel.MACHINE not in _AUDIT_ARCHITECTURE:
        return False
    program = _program(kernel.MACHINE)
    filters = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: the number of instructions, six bytes of padding, a pointer
    count = len(program) // 8
    head = struct.pack("@HxxxxxxP", count, ctypes.addressof(filters))
    description = ctypes.create_string_buffer(head, len(head))
    try:
        kernel.system_call(
            _SECCOMP_CALL[kernel.MACHINE], _SET_MODE_FILTER, _ALL_THREADS, description
        )
    except OSError:
        return False
    return True


def _program(machine: str) -> bytes:
    """Classic BPF over ``struct seccomp_data``: the call's number, then the architecture."""
    column = 0 if machine == "x86_64" else 1
    numbers = [pair[column] for pair in _REFUSED.values()]
    lines = [
        (_LOAD, 0, 0, 4),
        (_IF_EQUAL, 1, 0, _AUDIT_ARCHITECTURE[machine]),
        (_RETURN, 0, 0, _REFUSE),
        (_LOAD, 0, 0, 0),
        (_IF_AT_LEAST, len(numbers) + 1, 0, _X32_BIT),
    ]
    for index, number in enumerate(numbers):
        lines.append((_IF_EQUAL, len(numbers) - index, 0, number))
    lines += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    return b"".join(struct.pack("<HBBI", *line) for line in lines)
