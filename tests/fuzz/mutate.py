"""One seed in, one hostile file out: the same every time."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from synctables.importer.model import ReadOptions
from tests.fuzz.byte_edits import BYTE_EDITS, Edit
from tests.fuzz.inner_edits import (
    edit_compressed,
    edit_database,
    edit_member,
    edit_members,
    pack,
    pack_odd_tar,
)
from tests.fuzz.text_edits import JSON_EDITS, MARKUP_EDITS, TEXT_EDITS

if TYPE_CHECKING:
    from tests.fuzz.corpus import Original

MAX_BYTES = 8 << 20
_SUFFIXES = (
    *(".csv", ".geojson", ".zip", ".xlsx", ".kml", ".gpkg", ".shp", ".vrt", ".parquet", ".gz", ""),
    *(".gml", ".fgb", ".json", ".ods", ".xls", ".tab", ".osm", ".kmz", ".txt", ".gdb.zip", ".7z"),
)


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A file, how it came about, and what is asked of the reader."""

    seed: str
    name: str
    content: bytes
    edits: tuple[str, ...]
    options: ReadOptions


def make_mutant(seed: str, corpus: list[Original]) -> Mutant:
    """The file of that seed."""
    random = Random(seed)
    original, other = _pick(random, corpus), _pick(random, corpus)
    content, edits = original.content, list[str]()
    for _count in range(random.choice((1, 1, 1, 2, 2, 4))):
        edit = _choose(random, content)
        content = edit(random, content or b"\n", other.content or b"\n")[:MAX_BYTES]
        edits.append(edit.__name__)
    options = ReadOptions(
        type_guessing=random.random() < 0.9,
        quoted_fields_guessing=random.random() < 0.9,
        every_layer=random.random() < 0.5,
        accept_html=random.random() < 0.1,
    )
    return Mutant(
        seed=seed,
        name=_choose_name(random, original.name, other.name),
        content=content,
        edits=(original.name, *edits),
        options=options,
    )


def edit_by_content(random: Random, content: bytes, other: bytes) -> bytes:
    """An edit that makes sense for what the content is, inside its archive too."""
    return _choose(random, content)(random, content, other)


_EDITS_OF: tuple[tuple[bytes, tuple[Edit, ...]], ...] = (
    (b"PK", (edit_members, *[edit_member(edit_by_content)] * 4)),
    (b"\x1f\x8b", (edit_compressed(edit_by_content),)),
    (b"BZh", (edit_compressed(edit_by_content),)),
    (b"\xfd7zXZ", (edit_compressed(edit_by_content),)),
    (b"SQLite", (edit_database,)),
)


def _choose(random: Random, content: bytes) -> Edit:
    """One that suits the content; each fifth time one that does not ask."""
    if random.random() < 0.2:
        return random.choice(BYTE_EDITS)
    if random.random() < 0.04:
        return random.choice((pack, pack_odd_tar))
    for magic, edits in _EDITS_OF:
        if content.startswith(magic):
            return random.choice(edits)
    return random.choice(_of_text(content) or BYTE_EDITS)


def _of_text(content: bytes) -> tuple[Edit, ...]:
    head = content[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"<"):
        return MARKUP_EDITS
    if head.startswith((b"{", b"[")):
        return JSON_EDITS
    return () if b"\0" in head else TEXT_EDITS


def _pick(random: Random, corpus: list[Original]) -> Original:
    """Packed files are many and much alike: one of them each fourth time."""
    is_packed = random.random() < 0.25
    return random.choice([one for one in corpus if ("_packed." in one.name) == is_packed])


def _choose_name(random: Random, own: str, other: str) -> str:
    """Mostly its own name; sometimes one that lies."""
    if random.random() < 0.75:
        return own
    return random.choice((other, own.partition(".")[0] + random.choice(_SUFFIXES)))
