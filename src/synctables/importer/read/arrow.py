"""Arrow arrays from GDAL in the few types that a layer's stream may have."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from synctables.errors import EncodingError

JSON_MARK = {b"ARROW:extension:name": b"arrow.json"}
"""Field metadata of a text column that holds JSON: it becomes jsonb."""
MOMENT = pa.timestamp("us", tz="UTC")

_OFFSET = r"(Z|[+-]\d\d(:?\d\d)?)$"


def target_type(field: pa.Field) -> pa.DataType:
    """The type that a GDAL field has in a layer's stream."""
    kind = field.type
    if (field.metadata or {}).get(b"GDAL:OGR:type") == b"DateTime":
        return MOMENT
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_time(kind):
        return pa.time64("us")
    if pa.types.is_boolean(kind) or pa.types.is_date(kind):
        return kind
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.binary()
    return pa.string()


def convert(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """``array`` as ``kind``, exactly. Raises `EncodingError` for text that is not UTF-8."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_nested(array.type):
        return pa.array([_to_json(value) for value in array.to_pylist()], kind)
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        array = _require_utf8(array)
    return _to_moment(array) if kind == MOMENT else array.cast(kind)


def nested_only(batches: Iterable[pa.RecordBatch], indexes: list[int]) -> list[int]:
    """Those columns of which every value is a JSON object or array."""
    left = set(indexes)
    for batch in batches:
        for index in list(left):
            array = convert(batch.column(index), pa.string())
            starts = pc.match_substring_regex(array, r"^\s*[\[{]")
            if pc.all(starts, min_count=0).as_py() is False:
                left.discard(index)
    return sorted(left)


def _to_json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _require_utf8(array: pa.Array) -> pa.Array:
    """``array``, without half characters at the end of values, where a DBF's width cuts them."""
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        values = array.cast(pa.binary()).to_pylist()
        return pa.array([_decode(value) for value in values], pa.string())
    return array


def _decode(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            return value[: error.start].decode()
        raise EncodingError("The file holds text that is not valid in its encoding.") from None


def _to_moment(text: pa.Array) -> pa.Array:
    """ISO 8601 text as GDAL writes it; no zone means UTC."""
    has_offset = pc.match_substring_regex(text, _OFFSET)
    with_zone = pc.if_else(has_offset, text, pc.binary_join_element_wise(text, "Z", ""))
    return with_zone.cast(MOMENT)
