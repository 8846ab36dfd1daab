"""Plain JSON: a list of objects, or one object a line, as one layer.

The columns are the keys of all objects, in the order in which they first appear. A column whose
values are all of one JSON type has that type; of several it is text, written so that nothing is
lost. Objects and lists are jsonb.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from synctables.errors import EncodingError, TooManyColumnsError
from synctables.importer.model import Decision, Field, Layer, Limits, Member, Misfit, ReadOptions
from synctables.importer.read.arrow import JSON_MARK
from synctables.importer.read.encoding import decode_file
from synctables.importer.read.json_rows import iterate
from synctables.importer.read.names import stem_of
from synctables.importer.read.nested import Number, write_json

BATCH_ROWS = 16_384
EXAMPLES = 3
_EXACT_INTEGER = 2**53
_LARGEST_INTEGER = 2**63
_MAX_PLAIN_EXPONENT = 1_000

Kinds = set[str]
"""Of ``boolean``, ``integer`` (exact in a double), ``long`` (in 64 bits), ``double``, ``digits``
(any other number), ``text`` and ``nested``."""


def find_layers(member: Member, options: ReadOptions, limits: Limits) -> list[Layer]:
    """The one layer of a JSON file.

    Raises `InvalidGeoJsonError`, `EncodingDetectionError`, `EncodingError` and
    `TooManyColumnsError`.
    """
    decoded = decode_file(member.path, scratch=member.path.with_suffix(".utf8"))
    kinds, strange = _survey(decoded.path, limits)
    with _whole_characters():
        for name in kinds:
            name.encode()
    stem = stem_of(member.name)
    notes = []
    if decoded.encoding != "utf-8":
        note = Decision(subject="encoding", choice=decoded.encoding, reason=decoded.reason)
        notes.append(note)
    layer = Layer(
        name=stem,
        member=member,
        format="json",
        fields=tuple(_field(name, found) for name, found in kinds.items()),
        details={
            "path": str(decoded.path),
            "kinds": [sorted(found) for found in kinds.values()],
        },
        decisions=tuple(notes),
        misfits=decoded.misfits + tuple(_describe(strange)),
        table_name=stem,
    )
    return [layer]


def open_batches(layer: Layer) -> pa.RecordBatchReader:
    """The rows of ``layer`` in file order."""
    kinds = layer.details["kinds"]
    assert isinstance(kinds, list)  # noqa: S101 - our own detail, for the type checker
    schema = pa.schema([_arrow_field(f"f{at}", set(found)) for at, found in enumerate(kinds)])
    return pa.RecordBatchReader.from_batches(schema, _stream(layer, schema))


def _survey(path: Path, limits: Limits) -> tuple[dict[str, Kinds], list[tuple[int, str]]]:
    """What each key holds, and the rows that are no objects, with their numbers."""
    kinds = dict[str, Kinds]()
    strange = list[tuple[int, str]]()
    for number, row in enumerate(iterate(path), start=1):
        if not isinstance(row, dict):
            strange.append((number, write_json(row)[:100]))
            continue
        for name, value in row.items():
            found = kinds.setdefault(name, set())
            if value is not None:
                found.add(_kind_of(value))
        if len(kinds) > limits.max_columns:
            raise TooManyColumnsError(
                f"The objects have more than {limits.max_columns} different keys."
            )
    return kinds, strange


def _kind_of(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int() if abs(value) <= _EXACT_INTEGER:
            return "integer"
        case int() if -_LARGEST_INTEGER <= value < _LARGEST_INTEGER:
            return "long"
        case int() | Number():
            return "digits"
        case float():
            return "double"
        case str():
            return "text"
        case _:
            return "nested"


def _field(name: str, kinds: Kinds) -> Field:
    is_text = _arrow_field(name, kinds).type == pa.string() and kinds != {"nested"}
    return Field(name=name, is_text_to_guess=is_text, is_quoted="text" in kinds)


def _arrow_field(name: str, kinds: Kinds) -> pa.Field:
    if kinds == {"boolean"}:
        return pa.field(name, pa.bool_())
    if kinds and kinds <= {"integer", "long"}:
        return pa.field(name, pa.int64())
    if kinds and kinds <= {"integer", "double"}:
        return pa.field(name, pa.float64())
    mark = JSON_MARK if kinds == {"nested"} else None
    return pa.field(name, pa.string(), metadata=mark)


def _stream(layer: Layer, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    names = [field.name for field in layer.fields]
    rows = iterate(Path(str(layer.details["path"])))
    while chunk := list(islice(rows, BATCH_ROWS)):
        objects = [row if isinstance(row, dict) else {} for row in chunk]
        with _whole_characters():
            arrays = [
                _array([row.get(name) for row in objects], field.type)
                for name, field in zip(names, schema, strict=True)
            ]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema) if arrays else _rows(len(chunk))


@contextmanager
def _whole_characters() -> Iterator[None]:
    """JSON can hold half a character (``"\\ud83d"``, RFC 8259, 8.2), which no UTF-8 text can."""
    try:
        yield
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise EncodingError(f"A text of the JSON holds half a character ({half}).") from error


def _rows(count: int) -> pa.RecordBatch:
    """Objects without any key are rows without any cell."""
    return pa.RecordBatch.from_struct_array(pa.array([{}] * count, pa.struct([])))


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if kind == pa.string():
        values = [None if value is None else render(value) for value in values]
    elif kind == pa.float64():
        values = [None if value is None else float(value) for value in values]
    return pa.array(values, kind)


def render(value: Any) -> str:
    """A value as text that loses nothing; numbers without exponent."""
    match value:
        case Number() | float():
            return _plain(str(value) if isinstance(value, Number) else repr(value))
        case str():
            return value
        case _:
            return write_json(value)


def _plain(text: str) -> str:
    """A number without exponent, so that it is not taken for a code: ``1e5`` is 100000."""
    if not any(mark in text for mark in "eE"):
        return text
    number = Decimal(text)
    return format(number, "f") if abs(number.adjusted()) < _MAX_PLAIN_EXPONENT else text


def _describe(strange: list[tuple[int, str]]) -> Iterator[Misfit]:
    if strange:
        reason = "elements of the list that are no objects, kept as empty rows"
        yield Misfit(
            column="", count=len(strange), reason=reason, examples=tuple(strange[:EXAMPLES])
        )
