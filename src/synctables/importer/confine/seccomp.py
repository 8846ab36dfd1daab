"""System calls that a reader of files never needs, refused from now on (seccomp(2)).

Above all ``socket``: neither a network address nor the database's unix socket can be reached then,
whoever we are and in whatever container. And no process can be started, so a child has no
children, and no namespace in which it would be somebody.

libseccomp makes the filter: it knows the numbers of the calls on every machine, and refuses what
comes by another machine's numbers (32 bits, x32). Python's bindings to it are not kept (decision
0017), so these are the five functions that are needed.
"""

from __future__ import annotations

import ctypes
import errno

from synctables.importer.confine import kernel

_LIBRARY = "libseccomp.so.2"
_ALLOW = 0x7FFF_0000
_ERRNO = 0x0005_0000
_ALL_THREADS = 4  # SCMP_FLTATR_CTL_TSYNC
_UNKNOWN_CALL = -1
_MASKED_EQUAL = 7
_CLONE_THREAD = 0x0001_0000

_REFUSED = (
    *("socket", "socketpair", "connect", "bind", "listen", "accept", "accept4"),
    *("execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev"),
    *("mount", "umount2", "move_mount", "open_tree", "fsopen", "fsmount", "pivot_root", "chroot"),
    *("unshare", "setns", "add_key", "request_key", "keyctl", "bpf", "perf_event_open"),
    *("userfaultfd", "open_by_handle_at", "io_uring_setup", "pidfd_open", "pidfd_getfd"),
    *("mknod", "mknodat", "kexec_load", "init_module", "finit_module", "delete_module"),
)


class _Argument(ctypes.Structure):
    """``struct scmp_arg_cmp``: a condition on one argument of a call."""

    _fields_ = (
        ("number", ctypes.c_uint),
        ("comparison", ctypes.c_int),
        ("mask", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
    )


_STARTS_NO_THREAD = _Argument(0, _MASKED_EQUAL, _CLONE_THREAD, 0)


def refuse_calls() -> bool:
    """Install the filter for all threads; False where kernel or library are not there."""
    library = _load_library()
    if library is None:
        return False
    context = library.seccomp_init(_ALLOW)
    if not context:
        return False
    try:
        return _fill(library, context) and library.seccomp_load(context) == 0
    finally:
        library.seccomp_release(context)


def _load_library() -> ctypes.CDLL | None:
    if not kernel.IS_LINUX:
        return None
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        return None
    pointer, number = ctypes.c_void_p, ctypes.c_uint32
    library.seccomp_init.restype = pointer
    library.seccomp_init.argtypes = [number]
    library.seccomp_release.argtypes = [pointer]
    library.seccomp_load.argtypes = [pointer]
    library.seccomp_attr_set.argtypes = [pointer, ctypes.c_int, number]
    library.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    library.seccomp_rule_add_array.argtypes = [
        *(pointer, number, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Argument)),
    ]
    return library


def _fill(library: ctypes.CDLL, context: int) -> bool:
    """Whether every rule was taken; a call that this version of the library does not know is left
    out, since its kernel has none or the caller could not be stopped from it anyway."""
    if library.seccomp_attr_set(context, _ALL_THREADS, 1) != 0:
        return False

    def refuse(name: str, number: int, *conditions: _Argument) -> bool:
        call = library.seccomp_syscall_resolve_name(name.encode())
        if call == _UNKNOWN_CALL:
            return True
        given = (_Argument * len(conditions))(*conditions)
        action = _ERRNO | number
        result = library.seccomp_rule_add_array(context, action, call, len(conditions), given)
        return bool(result == 0)

    done = [refuse(name, errno.EPERM) for name in _REFUSED]
    done.append(refuse("clone", errno.EPERM, _STARTS_NO_THREAD))
    # Its flags stand in memory, where a filter cannot look; libc takes "not there" for an answer
    # and starts its threads by clone.
    done.append(refuse("clone3", errno.ENOSYS))
    return all(done)
