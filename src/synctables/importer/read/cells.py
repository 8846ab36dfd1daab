"""Spreadsheet cells become Arrow columns with the types that the cells themselves have.

A workbook knows doubles, booleans, moments and text, cell by cell. A column of one kind gets that
kind's type; a column of several becomes text, written so that nothing is lost.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

Cell = str | float | int | bool | datetime.date | datetime.time | datetime.timedelta

EXACT_INTEGER = 2**53
"""Beyond this a double no longer tells neighbouring integers apart."""

JOINED_ROWS = 16_384
"""Arrays of few rows are put together until they have so many."""

_TYPES: dict[type, pa.DataType] = {
    str: pa.string(),
    float: pa.float64(),
    bool: pa.bool_(),
    datetime.date: pa.date32(),
    datetime.datetime: pa.timestamp("us"),
    datetime.time: pa.time64("us"),
}
_MOMENTS = {pa.date32(), pa.timestamp("us")}


class ColumnBuilder:
    """One column, filled chunk by chunk and finished once; chunk sizes change nothing."""

    def __init__(self) -> None:
        self._chunks: list[pa.Array] = []
        self._recent: list[pa.Array] = []
        self._recent_count = 0

    @property
    def is_empty(self) -> bool:
        """Whether no cell so far holds anything."""
        return all(pa.types.is_null(chunk.type) for chunk in (*self._chunks, *self._recent))

    def add(self, cells: Sequence[Cell]) -> None:
        """Append cells; the empty string is an empty cell."""
        self._append(_to_array(cells))

    def add_empty(self, count: int) -> None:
        """Append so many empty cells."""
        self._append(pa.nulls(count))

    def finish(self, *, as_text: bool) -> pa.ChunkedArray:
        """The whole column in one type."""
        self._join()
        kind = (not as_text and _common_type(self._chunks)) or pa.string()
        column = pa.chunked_array([_cast(chunk, kind) for chunk in self._chunks], kind)
        return _to_integers(column) if kind == pa.float64() else column

    def _append(self, chunk: pa.Array) -> None:
        self._recent.append(chunk)
        self._recent_count += len(chunk)
        if self._recent_count >= JOINED_ROWS:
            self._join()

    def _join(self) -> None:
        """Make one array of the recent: each takes several times the memory of its values."""
        if self._recent:
            kind = _common_type(self._recent) or pa.null()
            self._chunks.append(pa.concat_arrays([_cast(chunk, kind) for chunk in self._recent]))
        self._recent, self._recent_count = [], 0


def render(cell: Cell) -> str:
    """A cell as text: numbers as short as they are exact, moments in ISO 8601, h:mm:ss."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        is_integer = cell.is_integer() and abs(cell) <= EXACT_INTEGER
        return str(int(cell)) if is_integer else repr(cell)
    if isinstance(cell, datetime.timedelta):
        seconds = cell.total_seconds()
        sign, whole = ("-" if seconds < 0 else ""), int(abs(seconds))
        return f"{sign}{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
    if isinstance(cell, datetime.datetime) and cell.time() == datetime.time():
        return cell.date().isoformat()  # calamine gives it as a date: it was beside moments here
    if isinstance(cell, datetime.date | datetime.time):
        return cell.isoformat()
    return str(cell)


def _common_type(chunks: list[pa.Array]) -> pa.DataType | None:
    """The type that holds all values; None where there are none."""
    kinds = {chunk.type for chunk in chunks if not pa.types.is_null(chunk.type)}
    if len(kinds) <= 1:
        return next(iter(kinds), None)
    # A moment at midnight comes as a date.
    return pa.timestamp("us") if kinds <= _MOMENTS else pa.string()


def _to_array(cells: Sequence[Any]) -> pa.Array:
    kinds = set(map(type, cells))
    if str in kinds and "" in cells:
        cells = [None if cell == "" else cell for cell in cells]
        kinds = set(map(type, cells))
    kinds.discard(type(None))
    if not kinds:
        return pa.nulls(len(cells))
    kind = _TYPES.get(next(iter(kinds))) if len(kinds) == 1 else None
    if kind is not None:
        return pa.array(cells, kind)
    if kinds <= {float, int}:
        return pa.array([None if cell is None else float(cell) for cell in cells], pa.float64())
    if kinds == {datetime.date, datetime.datetime}:
        return pa.array([_to_moment(cell) for cell in cells], pa.timestamp("us"))
    return pa.array([None if cell is None else render(cell) for cell in cells], pa.string())


def _to_moment(cell: datetime.date | None) -> datetime.datetime | None:
    if cell is None or isinstance(cell, datetime.datetime):
        return cell
    return datetime.datetime(cell.year, cell.month, cell.day)  # noqa: DTZ001 - a workbook has none


def _cast(chunk: pa.Array, kind: pa.DataType) -> pa.Array:
    if chunk.type == kind or pa.types.is_null(chunk.type):
        return chunk.cast(kind)
    if kind == pa.string():
        cells = chunk.to_pylist()
        return pa.array([None if cell is None else render(cell) for cell in cells], kind)
    return chunk.cast(kind)


def _to_integers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of integral doubles as int64: a workbook has no integers of its own."""
    is_integer = pc.and_(
        pc.equal(column, pc.trunc(column)), pc.less_equal(pc.abs(column), float(EXACT_INTEGER))
    )
    if column.null_count < len(column) and pc.all(is_integer, min_count=0).as_py():
        return column.cast(pa.int64())
    return column
