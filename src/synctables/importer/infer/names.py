"""Column names from headers (reference.md 3.8, version 2), legal and unique for any header.

Differences from the reference: names are cut to 63 bytes by us, not by PostgreSQL, so they cannot
collide there; the first letter of the Cyrillic alphabet is kept; a header in a script that the
reference erases is transliterated; a header without letter or digit is named by its position.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from anyascii import anyascii

from synctables.importer.model import SYSTEM_COLUMNS
from synctables.importer.reserved_words import RESERVED_WORDS

MAX_NAME_BYTES = 63
"""NAMEDATALEN - 1. Names are ASCII, so bytes are characters."""

# reference.md 3.8, completed with the letter that it lacks; anyascii knows the other letters.
_CYRILLIC = {
    "\N{CYRILLIC SMALL LETTER A}": "a",
    "\N{CYRILLIC SMALL LETTER ZHE}": "zh",
    "\N{CYRILLIC SMALL LETTER HA}": "x",
    "\N{CYRILLIC SMALL LETTER TSE}": "cz",
    "\N{CYRILLIC SMALL LETTER CHE}": "ch",
    "\N{CYRILLIC SMALL LETTER SHA}": "sh",
    "\N{CYRILLIC SMALL LETTER SHCHA}": "shh",
    "\N{CYRILLIC SMALL LETTER IO}": "yo",
    "\N{CYRILLIC SMALL LETTER YU}": "yu",
    "\N{CYRILLIC SMALL LETTER YA}": "ya",
    "\N{CYRILLIC SMALL LETTER YERU}": "y",
    "\N{CYRILLIC SMALL LETTER SHORT I}": "j",
    "\N{CYRILLIC SMALL LETTER E}": "e",
    "\N{CYRILLIC SMALL LETTER HARD SIGN}": "",
    "\N{CYRILLIC SMALL LETTER SOFT SIGN}": "",
}


def column_names(headers: Sequence[str], *, taken: Iterable[str] = ()) -> tuple[str, ...]:
    """One name for each header, in file order, unique among themselves and against ``taken``.

    The names of the system columns are always taken.
    """
    used = {*SYSTEM_COLUMNS, *taken}
    names = []
    for position, header in enumerate(headers, start=1):
        name = _first_free(column_base_name(header, position=position), used)
        used.add(name)
        names.append(name)
    return tuple(names)


def column_base_name(header: str, *, position: int) -> str:
    """The name that a header asks for, before collisions. ``position`` counts from 1."""
    name = _sanitize(_transliterate_known(header))
    if not re.search("[a-z]", name) and any(character.isalpha() for character in header):
        name = _sanitize(anyascii(header))
    if not name:
        return f"field_{position}"
    if name in RESERVED_WORDS or not re.match("[a-z_]", name):
        name = f"_{name}"
    return re.sub("__+", "_", name)[:MAX_NAME_BYTES]


def _transliterate_known(header: str) -> str:
    """Latin letters without their accents, Cyrillic by the reference's table, the rest as it is."""
    lowered = unicodedata.normalize("NFC", header).lower()
    return "".join(_transliterate_character(character) for character in lowered)


def _transliterate_character(character: str) -> str:
    if character.isascii():
        return character
    if unicodedata.combining(character):
        return ""
    if character in _CYRILLIC:
        return _CYRILLIC[character]
    script = unicodedata.name(character, "").split(" ")[0]
    return anyascii(character).lower() if script in {"LATIN", "CYRILLIC"} else character


def _sanitize(text: str) -> str:
    text = re.sub(r"<[^>]*>", "", text)
    text = re.sub(r"&#?[a-z0-9]+;", "-", text.lower())
    text = re.sub(r"[^a-z0-9 _-]", "-", text).strip(" -")
    return re.sub("__+", "_", re.sub("[ -]+", "_", text))


def _first_free(base: str, used: set[str]) -> str:
    if base not in used:
        return base
    number = 1
    while True:
        suffix = f"_{number}"
        name = base[: MAX_NAME_BYTES - len(suffix)] + suffix
        if name not in used:
            return name
        number += 1
