"""Decimals in PostgreSQL's binary form of numeric, each at the scale that its digits need.

pgpq sends every value at its column's scale, so that ``1.5`` would be stored as ``1.50`` where a
neighbour has two digits, and otherwise again once that neighbour is gone (refresh.md 7). Here each
value is sent as ``trim_scale`` would store it. The form (``numeric_send`` in PostgreSQL's
``numeric.c``): four 16-bit integers (the number of digits, the first one's weight, the sign, the
scale), then the digits, base 10,000, all big-endian.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_BASE = 10_000
_GROUPS = 12
"""As many digits base 10,000 as 38 decimal ones can touch, and one to have an even number."""
_NEGATIVE = 0x4000
Digits: TypeAlias = NDArray[np.uint64]


def numeric_array(values: pa.Decimal128Array) -> pa.BinaryArray:
    """Each decimal in the binary form; NULL where it is NULL."""
    limbs, is_negative = _magnitudes(values)
    scale = values.type.scale
    digits = _digits(_times(limbs, 10 ** (-scale % 4)))
    point = _GROUPS - (scale + 3) // 4
    present = digits != 0
    first = present.argmax(axis=1)
    end = np.where(present.any(axis=1), _GROUPS - present[:, ::-1].argmax(axis=1), first)
    last = np.take_along_axis(digits, np.maximum(end - 1, 0)[:, None], axis=1)[:, 0]
    header = np.zeros((len(values), 4), dtype=np.uint16)
    header[:, 0] = end - first
    header[:, 1] = np.where(end > first, point - 1 - first, 0).astype(np.int16).view(np.uint16)
    header[:, 2] = np.where(is_negative & (end > first), _NEGATIVE, 0)
    header[:, 3] = np.where(end > point, 4 * (end - point) - _trailing_zeros(last), 0)
    return _binary(values, header, digits, first, end)


def _magnitudes(values: pa.Decimal128Array) -> tuple[Digits, NDArray[np.bool_]]:
    """Absolute values without their scale, as four 32-bit words, the highest first; and signs."""
    buffer = np.frombuffer(values.buffers()[1] or b"", dtype="<u4").astype(np.uint64)
    limbs = buffer.reshape(-1, 4)[values.offset : values.offset + len(values), ::-1].copy()
    limbs[values.is_null().to_numpy(zero_copy_only=False)] = 0
    is_negative = limbs[:, 0] >= 2**31
    limbs[is_negative] ^= np.uint64(2**32 - 1)
    limbs[is_negative, 3] += np.uint64(1)
    return _carried(limbs), is_negative


def _times(limbs: Digits, factor: int) -> Digits:
    """With one more word, since the product may need it."""
    wider = np.zeros((len(limbs), limbs.shape[1] + 1), dtype=np.uint64)
    wider[:, 1:] = limbs * np.uint64(factor)
    return _carried(wider)


def _carried(limbs: Digits) -> Digits:
    for index in range(limbs.shape[1] - 1, 0, -1):
        limbs[:, index - 1] += limbs[:, index] >> np.uint64(32)
        limbs[:, index] &= np.uint64(2**32 - 1)
    return limbs


def _digits(limbs: Digits) -> Digits:
    """Digits base 10,000, the highest first, by long division; two at a time."""
    digits = np.empty((len(limbs), _GROUPS), dtype=np.uint64)
    for group in range(_GROUPS - 2, -1, -2):
        remainder = np.zeros(len(limbs), dtype=np.uint64)
        for index in np.flatnonzero(np.logical_or.accumulate(limbs.any(axis=0))):
            remainder = (remainder << np.uint64(32)) | limbs[:, index]
            limbs[:, index], remainder = np.divmod(remainder, np.uint64(_BASE**2))
        digits[:, group], digits[:, group + 1] = np.divmod(remainder, np.uint64(_BASE))
    return digits


def _trailing_zeros(digits: Digits) -> NDArray[np.int64]:
    """How many decimal zeros end a digit base 10,000 that is not zero itself."""
    zeros = np.zeros(len(digits), dtype=np.int64)
    for power in (10, 100, 1_000):
        zeros += digits % np.uint64(power) == 0
    return zeros


def _binary(
    values: pa.Array,
    header: NDArray[Any],
    digits: Digits,
    first: NDArray[np.intp],
    end: NDArray[np.intp],
) -> pa.BinaryArray:
    """Header and the digits from ``first`` to ``end`` of each row, one after the other."""
    is_valid = values.is_valid().to_numpy(zero_copy_only=False)
    cells = np.concatenate([header, digits], axis=1, dtype=">u2", casting="unsafe")
    groups = np.arange(_GROUPS)
    is_sent = np.ones(cells.shape, dtype=bool)
    is_sent[:, 4:] = (groups >= first[:, None]) & (groups < end[:, None])
    is_sent &= is_valid[:, None]
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum(2 * is_sent.sum(axis=1), out=offsets[1:])
    return pa.BinaryArray.from_buffers(
        pa.binary(),
        len(values),
        [pa.array(is_valid).buffers()[1], pa.py_buffer(offsets), pa.py_buffer(cells[is_sent])],
    )
