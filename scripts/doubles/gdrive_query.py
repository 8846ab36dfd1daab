"""The part of Drive's query language that the double understands ("Search query terms").

Terms: ``'ID' in parents``, ``name = | contains``, ``mimeType = | != | contains``, ``trashed``,
``sharedWithMe``; joined by ``and``, ``or``, ``not``, parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from doubles.gdrive_files import StoredFile

_TOKEN = re.compile(r"\s*(?:(?P<string>'(?:[^'\\]|\\.)*')|(?P<other>\(|\)|!=|=|\w+))")

Predicate = Callable[["StoredFile"], bool]


class InvalidQueryError(ValueError):
    """What the service answers with 400 ``invalid``."""


def parse_query(text: str) -> Predicate:
    """The query as a function of a file. Raises `InvalidQueryError`."""
    if not text.strip():
        return lambda _: True
    parser = _Parser(_tokens(text))
    predicate = parser.any_of()
    if parser.tokens:
        raise InvalidQueryError(text)
    return predicate


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if not match:
            raise InvalidQueryError(text)
        tokens.append(match["string"] or match["other"])
        at = match.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens

    def any_of(self) -> Predicate:
        parts = [self.all_of()]
        while self._take_if("or"):
            parts.append(self.all_of())
        return lambda file: any(part(file) for part in parts)

    def all_of(self) -> Predicate:
        parts = [self.one()]
        while self._take_if("and"):
            parts.append(self.one())
        return lambda file: all(part(file) for part in parts)

    def one(self) -> Predicate:
        if self._take_if("not"):
            negated = self.one()
            return lambda file: not negated(file)
        if self._take_if("("):
            inner = self.any_of()
            if not self._take_if(")"):
                raise InvalidQueryError("unbalanced")
            return inner
        return self._term()

    def _term(self) -> Predicate:
        first, operator, value = (self._take() for _ in range(3))
        if (operator, value) == ("in", "parents"):
            parent = _text(first)
            return lambda file: parent in file.all_parents
        wanted = _text(value) if value.startswith("'") else value
        try:
            return _TERMS[first, operator](wanted)
        except KeyError:
            raise InvalidQueryError(f"{first} {operator}") from None

    def _take(self) -> str:
        if not self.tokens:
            raise InvalidQueryError("cut off")
        return self.tokens.pop(0)

    def _take_if(self, token: str) -> bool:
        if self.tokens[:1] == [token]:
            self.tokens.pop(0)
            return True
        return False


def _text(token: str) -> str:
    if not token.startswith("'"):
        raise InvalidQueryError(token)
    return re.sub(r"\\(.)", r"\1", token[1:-1])


def _name_contains(wanted: str) -> Predicate:
    """Beginnings of words only, as the reference warns."""
    return lambda file: any(
        file.name.casefold()[found.start() :].startswith(wanted.casefold())
        for found in re.finditer(r"\w+", file.name.casefold())
    )


_TERMS: dict[tuple[str, str], Callable[[str], Predicate]] = {
    ("name", "="): lambda wanted: lambda file: file.name.casefold() == wanted.casefold(),
    ("name", "contains"): _name_contains,
    ("mimeType", "="): lambda wanted: lambda file: file.mime_type == wanted,
    ("mimeType", "!="): lambda wanted: lambda file: file.mime_type != wanted,
    ("mimeType", "contains"): lambda wanted: lambda file: file.mime_type.startswith(wanted),
    ("trashed", "="): lambda wanted: lambda file: file.is_trashed == (wanted == "true"),
    ("sharedWithMe", "="): lambda wanted: lambda file: file.is_shared_with_me == (wanted == "true"),
}
