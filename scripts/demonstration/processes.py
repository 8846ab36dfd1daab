"""Figures of processes that may end while one looks."""

from __future__ import annotations

import psutil


def resident_bytes(process: psutil.Process) -> int:
    """Resident memory; 0 where the process has ended meanwhile."""
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
