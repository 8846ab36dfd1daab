"""Lengths and distances of time, in words."""

from __future__ import annotations

from datetime import datetime, timedelta

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def format_seconds(seconds: int) -> str:
    """The largest unit that divides it: ``1 h``, ``90 min``, ``45 s``."""
    for unit, length in _UNITS:
        if seconds >= length and seconds % length == 0:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def format_distance(at: datetime, *, now: datetime) -> str:
    """How far away a moment is, in its largest unit: ``12 s ago``, ``in 59 min``, ``now``."""
    seconds = int(abs(at - now).total_seconds())
    for unit, length in _UNITS:
        if seconds >= length:
            words = f"{seconds // length} {unit}"
            return f"in {words}" if at - now > timedelta(0) else f"{words} ago"
    return "now"
