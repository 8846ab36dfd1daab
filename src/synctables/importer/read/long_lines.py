"""A line too long to hold, told before anything tries to hold it.

DuckDB gives up on such lines in several ways, one of which is to leave the row out in silence.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO

from synctables.errors import MalformedCsvError

MAX_LINE_BYTES = 16 * 1024 * 1024
_WINDOW_BYTES = 1024 * 1024
_LOOK_BYTES = 16 * 1024


def refuse_long_line(path: Path) -> None:
    """Raise `MalformedCsvError` for a line of more than `MAX_LINE_BYTES` and a megabyte.

    Looks into each megabyte until it finds a line's end, so that a usual file is hardly read.
    """
    without_end = 0
    with path.open("rb") as file:
        for start in range(0, path.stat().st_size, _WINDOW_BYTES):
            file.seek(start)
            without_end = 0 if _has_line_end(file) else without_end + 1
            if without_end * _WINDOW_BYTES > MAX_LINE_BYTES:
                number = _count_lines(file, start - MAX_LINE_BYTES) + 1
                raise MalformedCsvError(
                    f"The rows cannot be told apart: line {number:,} is longer than 16 MB."
                )


def _has_line_end(file: IO[bytes]) -> bool:
    for _ in range(_WINDOW_BYTES // _LOOK_BYTES):
        block = file.read(_LOOK_BYTES)
        if b"\n" in block or b"\r" in block:
            return True
    return False


def _count_lines(file: IO[bytes], end: int) -> int:
    """Line ends before ``end``."""
    file.seek(0)
    found = 0
    for start in range(0, end, _WINDOW_BYTES):
        block = file.read(min(_WINDOW_BYTES, end - start))
        found += block.count(b"\n") or block.count(b"\r")
    return found
