"""JSON text in the one form in which PostgreSQL keeps it as jsonb (refresh.md rule 7)."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from synctables.importer.infer.report import CellMisfits

_LARGEST_EXPONENT = 131_071
_SMALLEST_EXPONENT = -16_383
"""numeric's own limits of digits before and after the point."""


def canonical_array(texts: pa.StringArray, misfits: CellMisfits) -> pa.StringArray:
    """Each text canonical; what jsonb cannot hold becomes NULL and is reported."""
    values: list[str | None] = []
    cells: list[tuple[int, str]] = []
    for index, text in enumerate(texts.to_pylist()):
        try:
            values.append(None if text is None else canonical_json(text))
        except ValueError:
            values.append(None)
            cells.append((index, text))
    misfits.add("not jsonb", cells)
    return pa.array(values, pa.string())


def canonical_json(text: str) -> str:
    """As PostgreSQL prints the jsonb: keys by length and bytes, no duplicates, plain decimals.

    Raises ValueError for what is no JSON, for duplicate keys (one would be lost), and for NUL and
    lone surrogates, which jsonb refuses.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=_number,
            parse_int=_number,
            parse_constant=_refuse,
        )
        return _write(value)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise ValueError("a number with too many digits") from error
    exponent = number.as_tuple().exponent
    if number.adjusted() > _LARGEST_EXPONENT or int(exponent) < _SMALLEST_EXPONENT:
        raise ValueError("a number with too many digits")
    return abs(number) if number.is_zero() else number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return members


def _write(value: Any) -> str:
    match value:
        case dict():
            keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
            return "{" + ", ".join(f"{_write(key)}: {_write(value[key])}" for key in keys) + "}"
        case list():
            return "[" + ", ".join(map(_write, value)) + "]"
        case str():
            return _write_text(value)
        case Decimal():
            return format(value, "f")
        case _:
            return json.dumps(value)


def _write_text(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL character")
    text.encode()  # a lone surrogate raises UnicodeEncodeError, which is a ValueError
    return json.dumps(text, ensure_ascii=False)
