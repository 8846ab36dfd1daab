"""A row's hash of 128 bits, by which a refresh tells rows that stayed from rows that changed.

Two lanes of 64 bits, ``#hash_low`` and ``#hash_high``. Each is the sum modulo 2^64, over the row's
non-NULL columns, of a hash of (the column's name and type, the value). A sum, because then neither
the order of columns nor a column that is NULL in every row matters (refresh.md 5); the name within
the hash keeps values that change places apart, the type keeps ``1`` and ``'1'`` apart.

Values are hashed in a canonical form, so that equal values of equal types hash alike whatever file
and chunk they came in: numbers, dates and times as 64 bits, doubles by their bits with one NaN,
numeric at one scale, text and jsonb as the UTF-8 that is sent. Of a geometry the *source* is
hashed, with its coordinate system: reprojected and repaired coordinates depend on libraries'
versions (refresh.md 6).

The mixing is integer arithmetic in NumPy and, for long values, BLAKE2b: no library's version can
change a hash, so the tag names the algorithm alone. Why not DuckDB's ``hash``, and what two equal
hashes may mean: docs/decisions/0013.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

SIGNATURE_TAG = "rows-1"
"""Changes with anything that changes a hash; signatures of another tag are not compared."""

Words: TypeAlias = NDArray[np.uint64]

_BLOCK_ROWS = 8_192
"""So many at once that all arrays of a step stay in the processor's cache, and are small enough
that malloc hands out the same memory again instead of mapping it anew (from 128 KB on)."""
_LONG_BYTES = 512
"""Longer values cost less one by one; which way a value takes depends on its length alone."""
_ONE_SCALE = pa.decimal256(76, 38)
_MASKS = np.array([2 ** (8 * count) - 1 for count in range(9)], dtype=np.uint64)
"""What a word keeps that only so many bytes are left for."""
_INTEGERS = {8: np.uint8, 32: np.int32, 64: np.int64}


@dataclass(frozen=True, kw_only=True)
class HashedColumn:
    """One chunk of what a row's hash is made of.

    ``values``: in the physical type of a column (`synctables.importer.model.TypedLayer`).
    ``kind``: the column's type, or whatever else tells apart what these values mean.
    """

    name: str
    kind: str
    values: pa.Array


class Each(Protocol):
    """``map``, or a pool's."""

    def __call__(
        self, work: Callable[[slice], Lanes], rows: Iterable[slice], /
    ) -> Iterable[Lanes]: ...


def row_hashes(columns: Sequence[HashedColumn], each: Each = map) -> list[pa.Array]:
    """The two hash columns of a chunk. ``each`` is given blocks of rows to work on."""
    row_count = len(columns[0].values)
    blocks = [slice(first, first + _BLOCK_ROWS) for first in range(0, row_count, _BLOCK_ROWS)]
    hashes = list(each(partial(_hashes_of_rows, columns), blocks))
    return [
        pa.array(np.concatenate([np.empty(0, dtype=np.uint64), *lane]))
        for lane in ([part.low for part in hashes], [part.high for part in hashes])
    ]


@dataclass(frozen=True, kw_only=True)
class Lanes:
    """Both halves of one hash for each row, mixed in place."""

    low: Words
    high: Words

    def mix(self, words: Words) -> None:
        """Take in one word for each row; two words that differ never give the same."""
        low, high = self.low, self.high
        low ^= words
        low ^= low >> np.uint64(32)
        low *= np.uint64(0x9E3779B97F4A7C15)
        low ^= low >> np.uint64(29)
        high += words
        high ^= high >> np.uint64(29)
        high *= np.uint64(0xD6E8FEB86659FD93)
        high ^= high >> np.uint64(32)

    def mix_where(self, is_due: NDArray[np.bool_], words: Words) -> None:
        """As `mix`, for some rows."""
        low, high = self.low.copy(), self.high.copy()
        self.mix(words)
        is_done = ~is_due
        np.copyto(self.low, low, where=is_done)
        np.copyto(self.high, high, where=is_done)

    def mix_lengths(self, lengths: NDArray[np.int64]) -> None:
        """Begin with values' lengths: the last word of ``a`` is that of ``a`` and a NUL."""
        words = lengths.view(np.uint64)
        low, high = self.low, self.high
        low ^= words * np.uint64(0xBF58476D1CE4E5B9)
        high += words * np.uint64(0x94D049BB133111EB)

    def finish(self) -> None:
        """Make every bit depend on all bits of the last word too."""
        low, high = self.low, self.high
        low *= np.uint64(0xFF51AFD7ED558CCD)
        low ^= low >> np.uint64(32)
        high *= np.uint64(0xC4CEB9FE1A85EC53)
        high ^= high >> np.uint64(32)


def _hashes_of_rows(columns: Sequence[HashedColumn], rows: slice) -> Lanes:
    row_count = len(columns[0].values[rows])
    sums = Lanes(low=np.zeros(row_count, np.uint64), high=np.zeros(row_count, np.uint64))
    low, high = sums.low, sums.high
    for column in columns:
        values = column.values[rows]
        if values.null_count < row_count:
            lanes = _value_hashes(column, values)
            low += lanes.low
            high += lanes.high
    return sums


def _value_hashes(column: HashedColumn, values: pa.Array) -> Lanes:
    """Each value's share of its row's hash; 0 where it is NULL."""
    lanes = _begin(column, len(values))
    if pa.types.is_string(values.type) or pa.types.is_binary(values.type):
        _mix_bytes(lanes, values)
    else:
        for words in _fixed_words(values):
            lanes.mix(words)
    lanes.finish()
    if values.null_count:
        is_null = values.is_null().to_numpy(zero_copy_only=False)
        lanes.low[is_null] = lanes.high[is_null] = 0
    return lanes


def _begin(column: HashedColumn, row_count: int) -> Lanes:
    identity = "\0".join((SIGNATURE_TAG, column.name, column.kind)).encode()
    low, high = np.frombuffer(blake2b(identity, digest_size=16).digest(), dtype="<u8")
    return Lanes(low=np.full(row_count, low), high=np.full(row_count, high))


def _fixed_words(values: pa.Array) -> Iterator[Words]:
    """Values of a fixed width as one word, or four for numeric. Those of NULLs mean nothing."""
    arrow = values.type
    if pa.types.is_decimal(arrow):
        yield from _buffer(pc.cast(values, _ONE_SCALE), np.uint64, 4).reshape(-1, 4).T
    elif pa.types.is_floating(arrow):
        doubles = _buffer(values, np.float64)
        yield np.where(np.isnan(doubles), np.nan, doubles).view(np.uint64)
    else:
        integers = pc.cast(values, pa.uint8()) if pa.types.is_boolean(arrow) else values
        numbers = _buffer(integers, _INTEGERS[integers.type.bit_width])
        yield numbers.astype(np.int64, copy=False).view(np.uint64)


def _buffer(values: pa.Array, dtype: type, words: int = 1) -> NDArray[Any]:
    """An array's buffer, not copied; ``to_numpy`` makes floats of integers with NULLs."""
    start, end = values.offset * words, (values.offset + len(values)) * words
    return np.frombuffer(values.buffers()[1], dtype=dtype)[start:end]


def _mix_bytes(lanes: Lanes, values: pa.Array) -> None:
    """Take in text or binary values: how many bytes there are, then all of them."""
    _, offsets, blob = values.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32)[values.offset :][: len(values) + 1]
    content = np.frombuffer(blob or b"", dtype=np.uint8)[ends[0] : ends[-1]]
    ends = ends.astype(np.int64) - ends[0]
    lengths = np.diff(ends)
    lanes.mix_lengths(lengths)
    is_long = lengths > _LONG_BYTES
    _mix_short(lanes, content, ends[:-1], np.where(is_long, 0, lengths))
    _mix_long(lanes, content, ends, np.flatnonzero(is_long))


def _mix_short(
    lanes: Lanes, content: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> None:
    """Values word by word. ``starts``: where in ``content`` each begins."""
    aligned = np.zeros((len(content) >> 3) + 2, dtype="<u8")
    aligned.view(np.uint8)[: len(content)] = content
    shifts = ((starts & 7) << 3).astype(np.uint64)
    _mix_words(lanes, aligned, starts >> 3, shifts, lengths)


def _mix_words(
    lanes: Lanes,
    aligned: Words,
    places: NDArray[np.int64],
    shifts: Words,
    left: NDArray[np.int64],
) -> None:
    """Mix in what is ``left`` (in bytes) from ``places`` (in words) and ``shifts`` (in bits) on."""
    first = aligned.take(places)
    while count := np.count_nonzero(left > 0):
        if count * 2 <= len(left):
            few = np.flatnonzero(left > 0)
            part = Lanes(low=lanes.low[few], high=lanes.high[few])
            _mix_words(part, aligned, places[few], shifts[few], left[few])
            lanes.low[few], lanes.high[few] = part.low, part.high
            return
        places = places + 1
        second = aligned.take(places, mode="clip")
        # A shift by 64 bits does nothing or anything; two shifts, by 1 and up to 63, are defined.
        words = (second << np.uint64(1)) << (np.uint64(63) - shifts)
        words |= first >> shifts
        words &= _MASKS.take(left, mode="clip")
        if count == len(left):
            lanes.mix(words)
        else:
            lanes.mix_where(left > 0, words)
        first, left = second, left - 8


def _mix_long(
    lanes: Lanes, content: NDArray[np.uint8], ends: NDArray[np.int64], rows: NDArray[np.intp]
) -> None:
    """Values by their digests."""
    if not len(rows):
        return
    digests = b"".join(
        blake2b(content.data[ends[row] : ends[row + 1]], digest_size=16).digest() for row in rows
    )
    long_lanes = Lanes(low=lanes.low[rows], high=lanes.high[rows])
    for words in np.frombuffer(digests, dtype="<u8").reshape(-1, 2).T:
        long_lanes.mix(words)
    lanes.low[rows], lanes.high[rows] = long_lanes.low, long_lanes.high
