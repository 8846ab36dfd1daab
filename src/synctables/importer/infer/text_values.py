"""Reading a chunk of text: which kind of values it holds, and the values in a given type."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from synctables.importer.infer.parsed import Parsed, any_true
from synctables.importer.infer.text_moments import moments_in, read_moments, read_times
from synctables.importer.infer.text_numbers import read_numbers
from synctables.importer.infer.types import (
    NOTHING,
    NUMERIC_DIGITS,
    TEXT,
    Kind,
    Need,
    date_order,
)
from synctables.importer.model import ColumnType

_BOOLEAN_WORDS = pa.array(["true", "t", "false", "f"])
_FALSE_PLACE = 2
"""Words from here on are false."""
_BLANK = r"\A\s*\z"
_LOOK_ROWS = 1024
_HEAD_ROWS = 64
"""What so few values cannot be, more cannot be either: most kinds fail cheaply on them."""


def read_text(values: pa.StringArray, *, expected: Kind) -> Parsed:
    """What the non-blank values of a chunk need.

    ``expected`` is the kind of the chunks before: it is tried first, and where it is text already
    nothing is read at all. It changes the effort, never the need.
    """
    if expected is Kind.TEXT:
        return Parsed(need=TEXT, array=values)
    present = _empty_as_null(values)
    parsed = _read_present(present, expected)
    if parsed is None and any_true(pc.match_substring_regex(present, _BLANK)):
        parsed = _read_present(blank_as_null(present), expected)
    return parsed or Parsed(need=TEXT, array=values)


def _read_present(values: pa.StringArray, expected: Kind) -> Parsed | None:
    if values.null_count == len(values):
        return Parsed(need=NOTHING, array=values)
    head = values.slice(0, _HEAD_ROWS)
    can_tell = head.null_count < len(head) < len(values)
    for kind in sorted(_READERS, key=lambda kind: kind is not expected):
        read = _READERS[kind]
        parsed = None if can_tell and read(head) is None else read(values)
        if parsed is not None:
            return parsed
    return None


def _empty_as_null(values: pa.StringArray) -> pa.StringArray:
    lengths = pc.binary_length(values)
    if pc.min(lengths).as_py() != 0:
        return values
    return pc.if_else(pc.equal(lengths, 0), pa.scalar(None, pa.string()), values)


def blank_as_null(values: pa.StringArray) -> pa.StringArray:
    """Cells that are empty or hold only white space count as NULL in every type but text."""
    return pc.if_else(
        pc.match_substring_regex(values, _BLANK), pa.scalar(None, pa.string()), values
    )


def is_blank(values: pa.StringArray) -> bool:
    """Whether no cell holds anything."""
    return first_value_index(values) < 0


def first_value_index(values: pa.StringArray) -> int:
    """Where the first cell is that holds anything; -1: nowhere."""
    for start in range(0, len(values), _LOOK_ROWS):
        present = pc.is_valid(blank_as_null(values.slice(start, _LOOK_ROWS)))
        index = int(pc.index(present, value=True).as_py())
        if index >= 0:
            return start + index
    return -1


def _read_booleans(values: pa.StringArray) -> Parsed | None:
    if pc.max(pc.binary_length(values)).as_py() > len("false"):
        return None
    words = pc.utf8_lower(values)
    places = pc.index_in(words, _BOOLEAN_WORDS)
    if places.null_count > values.null_count:
        return None
    truths = pc.less(places, _FALSE_PLACE)
    return Parsed(need=Need(kind=Kind.BOOLEAN), array=truths)


_READERS: dict[Kind, Callable[[pa.StringArray], Parsed | None]] = {
    Kind.NUMBER: read_numbers,
    Kind.MOMENT: read_moments,
    Kind.TIME: read_times,
    Kind.BOOLEAN: _read_booleans,
}


def typed_array(
    parsed: Parsed, values: pa.StringArray, *, column_type: ColumnType, need: Need
) -> pa.Array:
    """A chunk in its column's physical type (`synctables.importer.model.TypedLayer`).

    ``need`` is that of the whole column, and covers the chunk's: the conversion cannot fail.
    """
    if column_type is ColumnType.TEXT:
        return values
    if parsed.need.kind is Kind.NOTHING:
        return pa.nulls(len(values), arrow_type(column_type, need))
    if column_type is ColumnType.NUMERIC:
        return pc.cast(blank_as_null(values), arrow_type(column_type, need))
    array = parsed.array
    if pa.types.is_string(array.type):
        array = moments_in(blank_as_null(values), date_order(need))
    return pc.cast(array, arrow_type(column_type, need))


def arrow_type(column_type: ColumnType, need: Need) -> pa.DataType:
    """The physical type of a column in the typed file."""
    if column_type is ColumnType.NUMERIC:
        return pa.decimal128(NUMERIC_DIGITS, min(need.scale, NUMERIC_DIGITS))
    return _ARROW_TYPES[column_type]


_ARROW_TYPES = {
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.BIGINT: pa.int64(),
    ColumnType.DOUBLE: pa.float64(),
    ColumnType.DATE: pa.date32(),
    ColumnType.TIMESTAMPTZ: pa.timestamp("us", "UTC"),
    ColumnType.TIME: pa.time64("us"),
    ColumnType.TEXT: pa.string(),
    ColumnType.JSONB: pa.string(),
    ColumnType.BYTEA: pa.binary(),
}
