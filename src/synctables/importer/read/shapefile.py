"""A shapefile's parts, and the encoding of its text.

The encoding is said by a ``.cpg`` or ``.cst`` file or by the DBF's language driver byte; where
none says it, or where what is said cannot be, the bytes themselves decide (reference, 3.5).
"""

from __future__ import annotations

import codecs
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from synctables.errors import InvalidShapefileError
from synctables.importer.model import Decision
from synctables.importer.read.charset import guess_encodings

MAX_SAMPLE_CELLS = 20_000
_CHUNK_RECORDS = 4_096
_HIGH_BYTES = bytes(range(128, 256))
_DEFAULT_DRIVERS = {0x00, 0x57}
"""No language driver, and "ANSI", which most programs write whatever the encoding."""
_LANGUAGE_DRIVERS = {
    0x01: "cp437", 0x02: "cp850", 0x03: "cp1252", 0x13: "cp932", 0x4D: "cp936", 0x4E: "cp949",
    0x4F: "cp950", 0x50: "cp874", 0x58: "cp1252", 0x59: "cp1252", 0x64: "cp852", 0x65: "cp866",
    0x66: "cp865", 0x6A: "cp737", 0x6B: "cp857", 0x78: "cp950", 0x79: "cp949", 0x7A: "cp936",
    0x7B: "cp932", 0x7C: "cp874", 0x7D: "cp1255", 0x7E: "cp1256", 0xC8: "cp1250", 0xC9: "cp1251",
    0xCA: "cp1254", 0xCB: "cp1253", 0xCC: "cp1257",
}  # fmt: skip


def inspect(path: Path) -> tuple[str, tuple[Decision, ...]]:
    """The encoding of the text in ``path`` (a .shp), and notes for the report.

    Raises `InvalidShapefileError` where the .shx or .dbf is missing or the .dbf is broken.
    """
    missing = [suffix for suffix in (".shx", ".dbf") if not path.with_suffix(suffix).exists()]
    if missing:
        raise InvalidShapefileError(f"The archive lacks the {' and the '.join(missing)} file.")
    encoding, reason = _find_encoding(path)
    notes = [Decision(subject="encoding", choice=encoding, reason=reason)]
    return encoding, tuple(notes)


def _find_encoding(path: Path) -> tuple[str, str]:
    driver, cells = _read_text(path.with_suffix(".dbf"))
    for suffix in (".cpg", ".cst"):
        said = path.with_suffix(suffix)
        encoding = _to_codec(said.read_bytes()[:100]) if said.exists() else None
        if encoding and _fits(cells, encoding):
            return encoding, f"the {suffix} file says so"
    if driver in _LANGUAGE_DRIVERS and _fits(cells, _LANGUAGE_DRIVERS[driver]):
        return _LANGUAGE_DRIVERS[driver], "the DBF's language driver says so"
    if _fits(cells, "utf-8"):
        return "utf-8", "every byte is valid"
    if driver not in _DEFAULT_DRIVERS or not cells:
        return "cp1252", "the usual one; nothing says otherwise"
    return _detect(cells), "detected from the bytes"


def _detect(cells: list[bytes]) -> str:
    found = (name for name in guess_encodings(b"\n".join(cells)) if _fits(cells, name))
    return next(found, "latin-1")


def _to_codec(said: bytes) -> str | None:
    """Python's name of the encoding that a .cpg file names, which has many habits.

    ``UTF-8``, ``1252``, ``ANSI 1252``, ``CP1252``, ``65001``, ``88591``, ``8859_15``, ``LDID/87``.
    """
    text = said.removeprefix(b"\xef\xbb\xbf").decode("ascii", "ignore").strip().lower()
    if text in {"65001", "utf8", "utf-8"}:
        return "utf-8"
    latin = re.fullmatch(r"(?:iso[ _-]?)?8859[_-]?(\d{1,2})", text)
    page = re.fullmatch(r"(?:ansi|oem|cp|ibm|windows|win)?[ _-]?(\d{3,4})", text)
    name = f"iso8859_{latin[1]}" if latin else f"cp{page[1]}" if page else text
    try:
        "".encode(name)  # unlike lookup, it refuses codecs that are none of text (hex, bz2)
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        return None


def _fits(cells: list[bytes], encoding: str) -> bool:
    try:
        for cell in cells:
            cell.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _read_text(path: Path) -> tuple[int, list[bytes]]:
    """The language driver byte, and the cells of text columns that hold bytes beyond ASCII."""
    with path.open("rb") as file:
        head = file.read(32)
        if len(head) < 32:
            raise InvalidShapefileError("The .dbf file is broken.")
        header_size, record_size = struct.unpack("<HH", head[8:12])
        spans = _text_spans(file.read(max(header_size - 32, 0)))
        file.seek(header_size)
        cells = list[bytes]()
        while len(cells) < MAX_SAMPLE_CELLS and record_size and spans:
            chunk = file.read(record_size * _CHUNK_RECORDS)
            if len(chunk) < record_size:
                break
            cells += _cells_beyond_ascii(chunk, record_size, spans)
    return head[29], cells


def _text_spans(descriptors: bytes) -> list[tuple[int, int]]:
    """Begin and end of the text columns in a record, whose first byte is a deletion mark."""
    spans, begin = [], 1
    for start in range(0, len(descriptors) - 31, 32):
        if descriptors[start] == 0x0D:
            break
        kind, width = descriptors[start + 11 : start + 12], descriptors[start + 16]
        if kind == b"C":
            width += descriptors[start + 17] * 256
            spans.append((begin, begin + width))
        begin += width
    return spans


def _cells_beyond_ascii(
    chunk: bytes, record_size: int, spans: list[tuple[int, int]]
) -> Iterator[bytes]:
    count = len(chunk) // record_size
    records = np.frombuffer(chunk, np.uint8, count * record_size).reshape(count, record_size)
    for begin, end in spans:
        part = records[:, begin:end]
        for row in np.flatnonzero((part > 127).any(axis=1)):
            cell = part[row].tobytes()
            text = cell.rstrip(b" \0")
            # A value as wide as its column may end in half a character.
            yield text if len(text) < len(cell) else text.rstrip(_HIGH_BYTES)
