"""Mutations of text: markup, JSON, delimited lines, numbers. Same shape as `byte_edits`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from random import Random
from typing import Any

from tests.fuzz.byte_edits import Edit

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
_TAG = re.compile(rb"<[^<>]{1,400}>")
_TEXT_BETWEEN_TAGS = re.compile(rb"(?<=>)[^<>]+(?=<)")
_ATTRIBUTE = re.compile(rb"""(?<==)(["'])[^"'<>]*\1""")
_NUMBERS = (
    *(b"0", b"-0", b"-1", b"1e5", b"1e999", b"-1e999", b"NaN", b"Infinity", b"0x10", b"1_000"),
    *(b"9223372036854775808", b"1" * 400, b"0." + b"3" * 400, b"1,5", b"99999", b"\xd9\xa1"),
    *(b"65536", b"2147483648", b"1048577", b"16385", b"1.7976931348623157e308", b"4.9e-324"),
)
_TEXTS = (
    *(b"", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"&", b"&#0;", b"&#xD800;", b"]]>", b"<![CDATA["),
    *(
        b"x" * 70_000,
        b"\xe2\x80\xae",
        b"'; DROP TABLE",
        b"=1+1",
        b"../../etc/passwd",
        b"\r",
        b"\x1a",
    ),
    *(b"file:///etc/passwd", b"http://127.0.0.1/", b"/vsicurl/http://127.0.0.1/", b"2026-02-30"),
    *(
        b"\x1a",
        b"0001-01-01",
        b"294277-01-01",
        b"24:00:00",
        b"POLYGON((0 0,1 1,0 0))",
        b"\xf0\x9f\x97\xba",
    ),
)
_DOCTYPES = (
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
    b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    b'<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd">',
    b'<?xml version="1.0" encoding="UTF-16"?>',
    b'<?xml version="1.0" encoding="nonsense"?>',
    b'<?xml-stylesheet href="file:///etc/passwd"?>',
)
_ENCODINGS = ("utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "cp037", "utf-7", "utf-8-sig")
_NESTING = (2, 50, 400, 5_000, 100_000)


def change_number(random: Random, content: bytes, _: bytes) -> bytes:
    return _replace_one(random, content, _NUMBER, lambda _found: random.choice(_NUMBERS))


def insert_text(random: Random, content: bytes, _: bytes) -> bytes:
    start = random.randrange(len(content) + 1)
    return content[:start] + random.choice(_TEXTS) + content[start:]


def recode(random: Random, content: bytes, _: bytes) -> bytes:
    text = content.decode("utf-8", "replace")
    return text.encode(random.choice(_ENCODINGS), "replace")


def drop_tag(random: Random, content: bytes, _: bytes) -> bytes:
    return _replace_one(random, content, _TAG, lambda _found: b"")


def repeat_tag(random: Random, content: bytes, _: bytes) -> bytes:
    count = random.choice((2, *_NESTING))
    return _replace_one(random, content, _TAG, lambda found: found * min(count, 1 << 20))


def change_tag_text(random: Random, content: bytes, _: bytes) -> bytes:
    values = (*_TEXTS, *_NUMBERS)
    return _replace_one(random, content, _TEXT_BETWEEN_TAGS, lambda _found: random.choice(values))


def change_attribute(random: Random, content: bytes, _: bytes) -> bytes:
    values = (*_TEXTS, *_NUMBERS)
    return _replace_one(random, content, _ATTRIBUTE, lambda _: b'"' + random.choice(values) + b'"')


def declare(random: Random, content: bytes, _: bytes) -> bytes:
    """Entities, foreign documents and false encodings at the head of a page."""
    rest = re.sub(rb"^\s*<\?xml[^>]*>", b"", content)
    return random.choice(_DOCTYPES) + _replace_one(
        random, rest, _TEXT_BETWEEN_TAGS, lambda found: random.choice((b"&a;", b"&b;", found))
    )


def change_json(random: Random, content: bytes, _: bytes) -> bytes:
    """A node of the document becomes something else, goes, or comes twice."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return insert_text(random, content, _)
    nodes = list(_nodes(document))
    if not nodes:
        return change_number(random, content, _)
    for _count in range(random.choice((1, 1, 2, 5))):
        holder, key = random.choice(nodes)
        if _holds(holder, key):
            holder[key] = _odd_value(random, holder[key])
    return json.dumps(document, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")


def nest_json(random: Random, content: bytes, _: bytes) -> bytes:
    """Some value stands inside thousands of lists or objects."""
    depth = random.choice(_NESTING)
    before, after = random.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"[[", b"]"), (b"[", b"")))
    return _replace_one(
        random, content, _NUMBER, lambda found: before * depth + found + after * depth
    )


def repeat_key(random: Random, content: bytes, _: bytes) -> bytes:
    pair = re.compile(rb'"[^"]{1,40}"\s*:\s*(?:"[^"]*"|-?[\d.]+)')
    return _replace_one(random, content, pair, lambda found: found + b", " + found)


def change_marks(random: Random, content: bytes, _: bytes) -> bytes:
    """Delimiters, quotes and line ends become others."""
    marks = (b",", b";", b"\t", b'"', b"'", b"\n", b"\r\n", b"\r", b"|", b"\\", b"\0")
    old, new = random.sample(marks, 2)
    return content.replace(old, new, random.choice((1, 3, -1)))


def change_line(random: Random, content: bytes, other: bytes) -> bytes:
    lines = content.split(b"\n")
    index = random.randrange(len(lines))
    choices = (
        *(b"", lines[index] * 2, lines[index][::-1], b'"' + lines[index], b"," * 2_000),
        *(b"# note", other[:200], random.choice(_TEXTS), lines[index] + random.choice(_TEXTS)),
    )
    lines[index] = random.choice(choices)
    return b"\n".join(lines)


TEXT_EDITS: tuple[Edit, ...] = (change_number, insert_text, recode, change_marks, change_line)
MARKUP_EDITS: tuple[Edit, ...] = (
    *(change_number, drop_tag, repeat_tag, change_tag_text, change_attribute, declare, recode),
    insert_text,
)
JSON_EDITS: tuple[Edit, ...] = (
    *(change_json, change_json, change_json, nest_json, repeat_key, change_number, insert_text),
)


def _replace_one(
    random: Random, content: bytes, pattern: re.Pattern[bytes], by: Callable[[bytes], bytes]
) -> bytes:
    found = list(pattern.finditer(content))
    if not found:
        return insert_text(random, content, b"")
    match = random.choice(found)
    return content[: match.start()] + by(match[0]) + content[match.end() :]


def _nodes(value: Any) -> list[tuple[Any, Any]]:
    """Every place in the document: what holds it and its key there."""
    found, waiting = list[tuple[Any, Any]](), [value]
    while waiting:
        holder = waiting.pop()
        if not isinstance(holder, dict | list):
            continue
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        found += [(holder, key) for key in keys]
        waiting += [holder[key] for key in keys]
    return found


def _holds(holder: Any, key: Any) -> bool:
    return key in holder if isinstance(holder, dict) else key < len(holder)


def _odd_value(random: Random, value: Any) -> Any:
    deep: Any = 1
    for _count in range(random.choice((5, 200))):
        deep = [deep] if random.random() < 0.5 else {"a": deep}
    return random.choice(
        (
            *(None, True, 0, -1, 2**63, 10**400, 1.5e308, float("nan"), float("-inf"), "", "\0"),
            *("x" * 70_000, "\ud800", [], {}, [value], {"a": value}, [[[]]], deep, [value] * 300),
            *({"type": "Point"}, {"type": "Polygon", "coordinates": [[]]}, [None, "a", 1]),
            *({f"k{n}": n for n in range(40)}, {"type": "name", "properties": {"name": "EPSG:0"}}),
        )
    )
