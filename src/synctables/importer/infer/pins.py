"""Columns whose type the user pinned: what does not fit becomes NULL and is reported."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import pyarrow as pa
import pyarrow.compute as pc

from synctables.importer.infer.json_values import canonical_json
from synctables.importer.infer.report import CellMisfits
from synctables.importer.infer.text_moments import moments_in, read_times
from synctables.importer.infer.text_values import blank_as_null
from synctables.importer.infer.types import NUMERIC_DIGITS, YEAR_FIRST
from synctables.importer.model import ColumnType

_WORDS = {
    "true": True, "t": True, "yes": True, "y": True, "on": True, "1": True,
    "false": False, "f": False, "no": False, "n": False, "off": False, "0": False,
}  # fmt: skip


def pinned_array(
    values: pa.StringArray, column_type: ColumnType, arrow: pa.DataType, misfits: CellMisfits
) -> pa.Array:
    """Text as ``column_type``, read generously, for the user asked for it."""
    if column_type is ColumnType.TEXT:
        return values
    present = pc.utf8_trim_whitespace(blank_as_null(values))
    cells: list[tuple[int, str]] = []
    parts = _convert_halving(present, column_type, arrow, 0, cells)
    misfits.add(f"not {column_type}", cells)
    return pa.chunked_array(parts, type=arrow).combine_chunks()


def scale_of(values: pa.StringArray) -> int:
    """The most digits after the point among the plain decimals of a chunk."""
    fractions = pc.extract_regex(values, r"\A\s*[+-]?[0-9]*\.(?P<digits>[0-9]*?)0*\s*\z")
    longest = pc.max(pc.binary_length(fractions.field("digits"))).as_py() or 0
    return min(int(longest), NUMERIC_DIGITS)


def _convert_halving(
    values: pa.StringArray,
    column_type: ColumnType,
    arrow: pa.DataType,
    start: int,
    cells: list[tuple[int, str]],
) -> list[pa.Array]:
    """Convert at once what converts at once; halve what does not, down to the single misfit."""
    try:
        return [_convert(values, column_type, arrow)]
    except (pa.ArrowException, ValueError, InvalidOperation):
        pass
    if len(values) == 1:
        cells.append((start, values[0].as_py()))
        return [pa.nulls(1, arrow)]
    middle = len(values) // 2
    return [
        *_convert_halving(values.slice(0, middle), column_type, arrow, start, cells),
        *_convert_halving(values.slice(middle), column_type, arrow, start + middle, cells),
    ]


def _convert(values: pa.StringArray, column_type: ColumnType, arrow: pa.DataType) -> pa.Array:
    if column_type in (ColumnType.BIGINT, ColumnType.DOUBLE):
        return pc.cast(pc.utf8_ltrim(values, "+"), arrow)
    if column_type is ColumnType.NUMERIC:
        return _numerics(values, arrow)
    if column_type is ColumnType.BOOLEAN:
        return _booleans(values)
    if column_type in (ColumnType.DATE, ColumnType.TIMESTAMPTZ):
        moments = moments_in(values, YEAR_FIRST)
        return pc.cast(_or_raise(moments), arrow)
    if column_type is ColumnType.TIME:
        parsed = read_times(values)
        return _or_raise(parsed.array if parsed else None)
    if column_type is ColumnType.JSONB:
        texts = values.to_pylist()
        return pa.array([None if text is None else canonical_json(text) for text in texts], arrow)
    return pc.cast(values, arrow)


def _or_raise(array: pa.Array | None) -> pa.Array:
    if array is None:
        raise ValueError("not a moment")
    return array


def _numerics(values: pa.StringArray, arrow: pa.DataType) -> pa.Array:
    numbers = [None if text is None else Decimal(text) for text in values.to_pylist()]
    if any(
        number is not None and len(number.as_tuple().digits) > NUMERIC_DIGITS for number in numbers
    ):
        raise ValueError("too many digits")
    return pa.array(numbers, arrow)


def _booleans(values: pa.StringArray) -> pa.BooleanArray:
    words = [None if text is None else text.lower() for text in values.to_pylist()]
    if any(word is not None and word not in _WORDS for word in words):
        raise ValueError("not a boolean")
    return pa.array([None if word is None else _WORDS[word] for word in words], pa.bool_())
