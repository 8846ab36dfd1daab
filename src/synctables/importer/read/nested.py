"""Nested values as JSON text, with every number as exact as it came."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

from synctables.errors import LoadError


class Number(str):
    """A number as written, where Python's own would not be as exact."""

    __slots__ = ()


def write_json(value: Any) -> str:
    """JSON text of what `json_rows` or Arrow gave. Bytes are base64, moments ISO 8601.

    Raises `LoadError` for values in hundreds of others, which no database would take either.
    """
    try:
        return _write(value)
    except RecursionError:
        raise LoadError("A value stands inside too many lists or objects.") from None


def _write(value: Any) -> str:
    match value:
        case Number():
            return str(value)
        case dict():
            return "{" + ", ".join(f"{_quote(k)}: {_write(v)}" for k, v in value.items()) + "}"
        case tuple() | list():
            return "[" + ", ".join(map(_write, value)) + "]"
        case bool() | None:
            return json.dumps(value)
        case int():
            return str(value)
        case float():
            return repr(value) if math.isfinite(value) else _quote(repr(value))
        case bytes():
            return _quote(base64.b64encode(value).decode())
        case _:
            return _quote(value.isoformat() if hasattr(value, "isoformat") else str(value))


def _quote(text: Any) -> str:
    return json.dumps(str(text), ensure_ascii=False)
