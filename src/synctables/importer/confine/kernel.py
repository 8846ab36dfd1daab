"""System calls that Python's library does not have. Linux only; elsewhere every one fails."""

from __future__ import annotations

import ctypes
import os
import sys

IS_LINUX = sys.platform == "linux"

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWNET = 0x4000_0000
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38

_libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> bool:
    """Whether it worked."""
    if not IS_LINUX:
        return False
    zero = ctypes.c_ulong(0)
    return bool(_libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero) == 0)


def set_parent_death_signal(signal_number: int) -> bool:
    return prctl(_PR_SET_PDEATHSIG, signal_number)


def renounce_privileges() -> bool:
    """No program that this process starts can have more rights than it has."""
    return prctl(_PR_SET_NO_NEW_PRIVS, 1)


def unshare(flags: int) -> bool:
    return IS_LINUX and bool(_libc.unshare(ctypes.c_int(flags)) == 0)


def mount(source: str, target: str, *, kind: str = "", flags: int = 0, options: str = "") -> None:
    """``mount(2)``; raises `OSError`."""
    arguments = [os.fsencode(text) or None for text in (source, target, kind)]
    if _libc.mount(*arguments, ctypes.c_ulong(flags), os.fsencode(options) or None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)
