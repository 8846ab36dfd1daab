"""Objects of a JSON text, one after the other: an array of them, or one a line.

Only the object at hand is in memory. Numbers that Python's float would round stay as written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from synctables.errors import InvalidGeoJsonError
from synctables.importer.read.nested import Number

CHUNK_CHARACTERS = 1024 * 1024
MAX_OBJECT_CHARACTERS = 256 * 1024 * 1024
LONGEST_NUMBER = 4096
EXACT_DIGITS = 15
"""A double keeps that many (IEEE 754)."""
MAX_INTEGER_DIGITS = 38
_SPACE = " \t\r\n\x1e"
"""With the separator of sequences (RFC 7464)."""


def iterate(path: Path) -> Iterator[Any]:
    """Each value of the array, or of the lines, in the file; which should be objects.

    Raises `InvalidGeoJsonError` with the number of the value that is broken.
    """
    with path.open(encoding="utf-8", newline="") as file:
        yield from _Texts(file).values()


def iterate_features(path: Path) -> Iterator[Any]:
    """Each feature of a GeoJSON file or sequence, in file order; a mere geometry is one too."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from _Texts(file).features()


class _Texts:
    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._buffer = ""
        self._position = 0
        self._number = 0
        self._decode = json.JSONDecoder(
            object_pairs_hook=_object, parse_int=_integer, parse_float=_real, parse_constant=Number
        ).raw_decode

    def values(self) -> Iterator[Any]:
        is_array = self._next() == "["
        if is_array:
            self._position += 1
        while (mark := self._next()) and not (is_array and mark == "]"):
            self._number += 1
            yield self._value()
            if is_array and self._next() == ",":
                self._position += 1
            elif is_array and self._next() != "]":
                raise self._broken("the list goes on without a comma")
        if is_array and mark != "]":
            raise self._broken("the list does not end")

    def features(self) -> Iterator[Any]:
        while self._next() == "{":
            self._position += 1
            members = dict[str, Any]()
            while self._next() != "}":
                key = self._read_key()
                if key == "features" and self._next() == "[":
                    yield from self._list()
                    members["type"] = None
                else:
                    members[key] = self._value()
                if self._next() == ",":
                    self._position += 1
            self._position += 1
            if members.get("type") is not None:
                self._number += 1
                yield members

    def _read_key(self) -> str:
        key = self._value()
        if not isinstance(key, str) or self._next() != ":":
            raise self._broken("a key is missing")
        self._position += 1
        return key

    def _list(self) -> Iterator[Any]:
        self._position += 1
        while self._next() != "]":
            self._number += 1
            yield self._value()
            if self._next() == ",":
                self._position += 1
        self._position += 1

    def _next(self) -> str:
        """The next character that is not blank; nothing at the end."""
        while True:
            while self._position < len(self._buffer):
                character = self._buffer[self._position]
                if character not in _SPACE:
                    return character
                self._position += 1
            if not self._fill():
                return ""

    def _value(self) -> Any:
        self._next()
        if len(self._buffer) - self._position < LONGEST_NUMBER:  # one could be cut unnoticed
            self._fill()
        while True:
            try:
                value, self._position = self._decode(self._buffer, self._position)
            except (ValueError, RecursionError) as error:
                if isinstance(error, _DuplicateKeyError) or not self._fill():
                    raise self._broken(str(error)) from error
            else:
                return value

    def _fill(self) -> bool:
        """Read on, twice as much each time one value needs it; whether there was more."""
        rest = self._buffer[self._position :]
        if len(rest) > MAX_OBJECT_CHARACTERS:
            raise self._broken("it is longer than allowed")
        more = self._file.read(max(CHUNK_CHARACTERS, len(rest)))
        self._buffer, self._position = rest + more, 0
        return bool(more)

    def _broken(self, reason: str) -> InvalidGeoJsonError:
        return InvalidGeoJsonError(f"Object {self._number} of the JSON is broken: {reason[:200]}.")


class _DuplicateKeyError(ValueError):
    """One of two values would be lost."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _DuplicateKeyError("a key stands twice in it")
    return members


def _integer(text: str) -> int | Number:
    return int(text) if len(text) <= MAX_INTEGER_DIGITS else Number(text)


def _real(text: str) -> float | Number:
    digits = text.lower().partition("e")[0].lstrip("-").replace(".", "").lstrip("0")
    value = float(text)
    if not digits.strip("0"):
        return value
    is_exact = len(digits) <= EXACT_DIGITS and 1e-300 < abs(value) < 1e300
    return value if is_exact else Number(text)
