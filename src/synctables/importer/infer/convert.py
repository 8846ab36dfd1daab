"""Values that come with a type of their own (from GDAL, spreadsheets): to ours, or to text."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from synctables.importer.infer.parsed import text_bytes
from synctables.importer.infer.report import EXAMPLE_COUNT, CellMisfits
from synctables.importer.model import ColumnType

_TYPE_MARK = b"synctables:type"
_EXTENSION_MARK = b"ARROW:extension:name"
_BEYOND_ASCII = 0x80
_MOMENT = pa.timestamp("us", "UTC")
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_FIRST_SECOND = -210_866_803_200  # 4714-11-24 BC, PostgreSQL's first timestamp
_LAST_SECOND = 9_223_371_331_199  # 294246-12-31, the last year that both it and Arrow hold
_FIRST_DAY, _LAST_DAY = -2_440_588, 2_145_042_905  # 4714-11-24 BC and 5874897-12-31, PostgreSQL's
_MIDNIGHT = 24 * 60 * 60 * 10**6


def declared_type(field: pa.Field) -> ColumnType:
    """The column type that an Arrow field stands for; text where it has no other."""
    metadata = field.metadata or {}
    if metadata.get(_TYPE_MARK) == b"jsonb" or metadata.get(_EXTENSION_MARK) == b"arrow.json":
        return ColumnType.JSONB
    return _type_of_arrow(field.type)


def _type_of_arrow(arrow: pa.DataType) -> ColumnType:
    if isinstance(arrow, pa.BaseExtensionType):
        is_json = arrow.extension_name == "arrow.json"
        return ColumnType.JSONB if is_json else _type_of_arrow(arrow.storage_type)
    if pa.types.is_dictionary(arrow):
        return _type_of_arrow(arrow.value_type)
    return next((kind for test, kind in _ARROW_TESTS if test(arrow)), ColumnType.TEXT)


def _is_binary(arrow: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(arrow)
        or pa.types.is_large_binary(arrow)
        or pa.types.is_binary_view(arrow)
        or pa.types.is_fixed_size_binary(arrow)
    )


_ARROW_TESTS = (
    (pa.types.is_boolean, ColumnType.BOOLEAN),
    (pa.types.is_integer, ColumnType.BIGINT),
    (pa.types.is_floating, ColumnType.DOUBLE),
    (pa.types.is_decimal, ColumnType.NUMERIC),
    (pa.types.is_date, ColumnType.DATE),
    (pa.types.is_timestamp, ColumnType.TIMESTAMPTZ),
    (pa.types.is_time, ColumnType.TIME),
    (_is_binary, ColumnType.BYTEA),
    (pa.types.is_nested, ColumnType.JSONB),
)


def needs_digits(arrow: pa.DataType) -> bool:
    """Whether only the values tell if the declared type's counterpart can hold them."""
    return bool(pa.types.is_uint64(arrow) or pa.types.is_decimal256(arrow))


def plain_array(array: pa.Array) -> pa.Array:
    """The array without dictionary encoding or extension wrapper."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array


def text_array(array: pa.Array) -> pa.StringArray:
    """Any values as text, the way PostgreSQL would print them as far as that matters."""
    array = plain_array(array)
    arrow = array.type
    if pa.types.is_string(arrow):
        return array
    if pa.types.is_nested(arrow):
        return json_array(array)
    if _is_binary(arrow):
        return pa.array(
            [None if value is None else "\\x" + value.hex() for value in array.to_pylist()],
            pa.string(),
        )
    if pa.types.is_timestamp(arrow):
        return _moment_texts(array)
    if pa.types.is_floating(arrow):
        texts = pc.cast(pc.cast(array, pa.float64()), pa.string())
        return pc.replace_substring_regex(texts, r"\.0\z", "")
    try:
        return pc.cast(array, pa.string())
    except pa.ArrowNotImplementedError:
        texts = [None if value is None else str(value) for value in array.to_pylist()]
        return pa.array(texts, pa.string())


def _moment_texts(array: pa.Array) -> pa.StringArray:
    texts = pc.strftime(moment_array(array), format="%Y-%m-%d %H:%M:%S")
    texts = pc.replace_substring_regex(texts, r"(\.[0-9]*[1-9])0+\z", r"\1")
    return pc.binary_join_element_wise(pc.replace_substring_regex(texts, r"\.0+\z", ""), "+00", "")


def json_array(array: pa.Array) -> pa.StringArray:
    """Nested values as JSON text."""
    return pa.array([_json_text(value) for value in array], pa.string())


def _json_text(value: pa.Scalar) -> str | None:
    if not value.is_valid:
        return None
    try:
        plain = value.as_py(maps_as_pydicts="strict")
    except KeyError:  # a map with the same key twice is kept as a list of pairs
        plain = value.as_py()
    return json.dumps(plain, ensure_ascii=False, default=_json_word)


def _json_word(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def moment_array(array: pa.Array, misfits: CellMisfits | None = None) -> pa.Array:
    """Timestamps of any unit and zone as microseconds in UTC; without a zone they are UTC.

    What PostgreSQL cannot hold becomes NULL; nanoseconds are cut. Both are reported.
    """
    unit = array.type.unit
    if array.type.tz is None:
        array = pc.cast(array, pa.timestamp(unit, "UTC"))
    counts, per_second = pc.cast(array, pa.int64()), _PER_SECOND[unit]
    is_outside = pc.or_(
        pc.less(counts, _bounded(_FIRST_SECOND * per_second)),
        pc.greater(counts, _bounded(_LAST_SECOND * per_second)),
    )
    if misfits is not None:
        _report(misfits, "outside the range of timestamps", is_outside, array)
    held = pc.if_else(is_outside, pa.scalar(None, array.type), array)
    moments = pc.cast(held, _MOMENT, safe=False)
    if misfits is not None and unit == "ns":
        is_cut = pc.not_equal(pc.cast(moments, array.type), held)
        _report(misfits, "cut to microseconds", is_cut, array)
    return moments


def _bounded(count: int) -> pa.Scalar:
    """The nearest number that 64 bits hold."""
    return pa.scalar(max(-(2**63), min(2**63 - 1, count)), pa.int64())


def date_array(array: pa.Array, misfits: CellMisfits) -> pa.Array:
    """Dates as days; what PostgreSQL cannot hold becomes NULL and is reported."""
    is_coarse = pa.types.is_date32(array.type)
    counts = pc.cast(array.view(pa.int32() if is_coarse else pa.int64()), pa.int64())
    per_day = 1 if is_coarse else 86_400_000
    is_outside = pc.or_(
        pc.less(counts, _FIRST_DAY * per_day), pc.greater_equal(counts, (_LAST_DAY + 1) * per_day)
    )
    _report(misfits, "outside the range of dates", is_outside, array)
    held = pc.if_else(is_outside, pa.scalar(None, array.type), array)
    return pc.cast(held, pa.date32(), safe=is_coarse)


def time_array(array: pa.Array, misfits: CellMisfits) -> pa.Array:
    """Times of day of any unit as microseconds; nanoseconds are cut and reported.

    What is before or after the day becomes NULL and is reported.
    """
    times = pc.cast(array, pa.time64("us"), safe=False)
    counts = times.view(pa.int64())
    is_outside = pc.or_(pc.less(counts, 0), pc.greater(counts, _MIDNIGHT))
    _report(misfits, "outside the range of times", is_outside, times)
    if array.type == pa.time64("ns"):
        is_cut = pc.not_equal(pc.cast(times, array.type), array)
        _report(misfits, "cut to microseconds", is_cut, array)
    return pc.if_else(is_outside, pa.scalar(None, times.type), times)


def float_array(array: pa.Array) -> pa.DoubleArray:
    """Floats of any width as doubles with one NaN."""
    doubles = pc.cast(array, pa.float64())
    return pc.if_else(pc.is_nan(doubles), float("nan"), doubles)


def clean_texts(values: pa.StringArray, misfits: CellMisfits) -> pa.StringArray:
    """Text that PostgreSQL takes: valid UTF-8 without NUL. What had to go is reported."""
    blob = text_bytes(values)
    if not len(blob) or (blob.min() > 0 and blob.max() < _BEYOND_ASCII):
        return values
    values = _valid_utf8(values, misfits)
    if text_bytes(values).all():
        return values
    has_nul = pc.match_substring(values, "\0")
    _report(misfits, "NUL characters removed", has_nul, values)
    return pc.replace_substring(values, "\0", "")


def _valid_utf8(values: pa.StringArray, misfits: CellMisfits) -> pa.StringArray:
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        blobs = pc.cast(values, pa.binary()).to_pylist()
        texts = [None if blob is None else blob.decode(errors="replace") for blob in blobs]
        broken = [
            text is not None and text.encode() != blob
            for text, blob in zip(texts, blobs, strict=True)
        ]
        values = pa.array(texts, pa.string())
        _report(misfits, "bytes that are no UTF-8 replaced", pa.array(broken), values)
    return values


def _report(misfits: CellMisfits, reason: str, mask: pa.BooleanArray, values: pa.Array) -> None:
    indexes = pc.indices_nonzero(mask)
    shown = indexes[:EXAMPLE_COUNT]
    texts = pc.cast(values.take(shown), pa.string()).to_pylist()
    misfits.add(reason, list(zip(shown.to_pylist(), texts, strict=True)), count=len(indexes))
