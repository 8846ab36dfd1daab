"""Whether a JSON text may hold integers that a double would round.

Most texts hold no run of so many digits where a value begins, and to see that takes a small part
of the time of a search for each column's key.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DIGITS = 16
"""Integers of fewer digits are exact doubles (IEEE 754)."""
_STEP = DIGITS // 2
CHUNK_BYTES = 1024 * 1024
_MARGIN_BYTES = 2 * DIGITS
_BEFORE_INTEGERS = np.isin(np.arange(256), list(b": \t\r\n-"))
"""What may stand before an integer that is the value of a key (RFC 8259, section 4)."""

_Bytes = NDArray[np.uint8]
_Places = NDArray[np.intp]


def may_hold_long_integers(path: Path) -> bool:
    """Whether `DIGITS` digits or more follow each other where a key's value may begin."""
    margin = b" " * _MARGIN_BYTES
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            text = margin + chunk
            if _has_long_integer(np.frombuffer(text + b" " * _MARGIN_BYTES, dtype=np.uint8)):
                return True
            margin = text[-_MARGIN_BYTES:]
    return False


def _has_long_integer(text: _Bytes) -> bool:
    """``text`` has nothing but a margin at either end."""
    starts = _starts(text, _within_digits(text))
    starts = starts[_BEFORE_INTEGERS[text[starts - 1]]]
    return bool(_is_digit(text[starts[:, None] + np.arange(DIGITS)]).all(axis=1).any())


def _within_digits(text: _Bytes) -> _Places:
    """Multiples of `_STEP` with nothing but digits up to the next one: any long run has one."""
    is_digit = _is_digit(text[::_STEP])
    places = (np.flatnonzero(is_digit[1:-1] & is_digit[2:]) + 1) * _STEP
    for offset in range(1, _STEP):
        places = places[_is_digit(text[places + offset])]
    return places


def _starts(text: _Bytes, places: _Places) -> _Places:
    """Where the digits at ``places`` begin, or a place before which there are still more."""
    starts = places.copy()
    for _ in range(1, _STEP):
        starts -= _is_digit(text[starts - 1])
    return starts


def _is_digit(codes: _Bytes) -> NDArray[np.bool_]:
    return codes - np.uint8(ord("0")) < 10  # what comes before "0" wraps round
