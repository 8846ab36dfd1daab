"""Delimited text of any encoding becomes UTF-8 without a byte order mark and without NULs.

UTF-8 is decided by the validity of the whole file, never of a sample. What is not UTF-8 goes to a
detector, and its verdict must decode every byte, so that no character is replaced silently.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from synctables.errors import EncodingDetectionError
from synctables.importer.model import Misfit
from synctables.importer.read.charset import guess_encodings

CHUNK_BYTES = 1024 * 1024
SAMPLE_BYTES = 256 * 1024
_DETECTED = "detected from the bytes"

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """A UTF-8 file, the encoding it came in, why that one, and what did not fit."""

    path: Path
    encoding: str
    reason: str
    misfits: tuple[Misfit, ...] = ()
    is_quoteless: bool = False
    """For certain no double quote, no carriage return and no line longer than two chunks."""


@dataclass
class _Survey:
    """What one pass over the bytes found."""

    is_utf8: bool = True
    has_nul: bool = False
    is_quoteless: bool = True
    sample: bytes = b""
    """Bytes around the first characters beyond ASCII."""


def decode_file(path: Path, *, scratch: Path) -> Decoded:
    """``path`` itself where it is clean UTF-8, else a converted copy at ``scratch``.

    Raises `EncodingDetectionError` where no encoding decodes every byte.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return _convert(path, scratch, encoding, "byte order mark", skip=len(mark))
    bare = _bare_utf16(head)
    if bare:
        return _convert(path, scratch, bare, "every other byte is zero")
    survey = _survey(path)
    if survey.is_utf8:
        reason = "every byte is valid"
        if not survey.has_nul:
            is_quoteless = survey.is_quoteless
            return Decoded(path=path, encoding="utf-8", reason=reason, is_quoteless=is_quoteless)
        return _convert(path, scratch, "utf-8", reason)
    return _detect(path, scratch, survey.sample)


def _bare_utf16(head: bytes) -> str | None:
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if odd > 0.3 * len(head) / 2 and even == 0:
        return "utf-16-le"
    if even > 0.3 * len(head) / 2 and odd == 0:
        return "utf-16-be"
    return None


def _chunks(path: Path, *, skip: int = 0) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(skip)
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _survey(path: Path) -> _Survey:
    survey = _Survey()
    decoder = codecs.getincrementaldecoder("utf-8")()
    pending = False
    for chunk in _chunks(path):
        survey.has_nul = survey.has_nul or b"\0" in chunk
        survey.is_quoteless = survey.is_quoteless and _is_quoteless(chunk)
        if chunk.isascii() and not pending:
            continue
        if len(survey.sample) < SAMPLE_BYTES and not chunk.isascii():
            survey.sample += _lines_beyond_ascii(chunk)
        if survey.is_utf8:
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                survey.is_utf8 = False
            pending = bool(decoder.getstate()[0])
    survey.is_utf8 = survey.is_utf8 and not pending
    return survey


def _is_quoteless(chunk: bytes) -> bool:
    is_short = len(chunk) < CHUNK_BYTES or b"\n" in chunk
    return is_short and b'"' not in chunk and b"\r" not in chunk


def _lines_beyond_ascii(chunk: bytes) -> bytes:
    """The chunk's lines that can tell one encoding from another."""
    lines = (line for line in chunk.splitlines(keepends=True) if not line.isascii())
    return b"".join(lines)[:SAMPLE_BYTES]


def _detect(path: Path, scratch: Path, sample: bytes) -> Decoded:
    for encoding in guess_encodings(sample):
        try:
            return _convert(path, scratch, encoding, _DETECTED)
        except UnicodeDecodeError:
            continue
    raise EncodingDetectionError("The text is in none of the encodings that are known here.")


def _convert(path: Path, scratch: Path, encoding: str, reason: str, *, skip: int = 0) -> Decoded:
    """Write the file anew as UTF-8; NULs, which PostgreSQL cannot hold, are taken out, counted."""
    decoder = codecs.getincrementaldecoder(encoding)()
    nul_count, line, examples = 0, 1, list[tuple[int, str]]()
    try:
        with scratch.open("w", encoding="utf-8", newline="") as target:
            for chunk in _chunks(path, skip=skip):
                text = decoder.decode(chunk)
                if "\0" in text:
                    nul_count += text.count("\0")
                    examples += _find_nuls(text, line)[: 3 - len(examples)]
                    text = text.replace("\0", "")
                line += text.count("\n")
                target.write(text)
            target.write(decoder.decode(b"", final=True))
    except UnicodeDecodeError:
        if reason == _DETECTED:
            raise  # another encoding may do
        raise EncodingDetectionError(
            f"The file says that it is {encoding.upper()} but some bytes are not."
        ) from None
    misfits = _nul_misfits(nul_count, examples)
    return Decoded(path=scratch, encoding=encoding, reason=reason, misfits=misfits)


def _find_nuls(text: str, first_line: int) -> list[tuple[int, str]]:
    found = []
    for number, line in enumerate(text.split("\n")):
        if "\0" in line:
            found.append((first_line + number, line[:100].replace("\0", "\\0")))
            if len(found) == 3:
                break
    return found


def _nul_misfits(count: int, examples: list[tuple[int, str]]) -> tuple[Misfit, ...]:
    if not count:
        return ()
    reason = "zero bytes were taken out (the numbers are lines)"
    return (Misfit(column="", count=count, reason=reason, examples=tuple(examples)),)
