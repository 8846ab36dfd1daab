"""Telling which 8-bit or East Asian encoding a text is in, where it is not Unicode.

charset-normalizer alone is unsure on little text (``Espa\\xf1ola`` is as good in cp1250) and never
says that cp1252 is by far the most common. So the scripts decide first: a right encoding gives
words of one script, in plausible case, without symbols inside words. The detector's language
guess then settles what scripts cannot: which of the Latin, which of the Cyrillic ones.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from charset_normalizer import from_bytes

EASTERN_LATIN = {
    *("Polish", "Czech", "Slovak", "Hungarian", "Romanian", "Slovene", "Croatian"),
    *("Turkish", "Lithuanian"),
}
"""Languages that cp1252 cannot write."""
SAMPLE_BYTES = 64 * 1024
PLAUSIBLE = 0.9

_ENCODINGS = (
    *("cp1252", "cp1250", "cp1254", "cp1257", "cp1251", "cp1253", "cp1255", "koi8_r", "cp932"),
    *("cp949", "gb18030", "big5", "euc_jp", "cp1256", "cp866", "cp874", "mac_roman", "cp850"),
    "cp437",
)
_WORD = re.compile(r"[^\W\d_]+(?:[^\w\s\x00-\x7f]+[^\W\d_]+)*|[^\x00-\x7f\s]+")


def guess_encodings(sample: bytes) -> Iterator[str]:
    """Encodings that decode ``sample``, the most plausible first.

    ``sample`` should hold only pieces that have bytes beyond ASCII.
    """
    sample = sample[:SAMPLE_BYTES]
    scored = [(_plausibility(sample, name), name) for name in _ENCODINGS]
    plausible = [name for score, name in scored if score >= PLAUSIBLE]
    rest = [name for score, name in sorted(scored, reverse=True) if 0 <= score < PLAUSIBLE]
    yield from _settle(sample, plausible)
    yield from rest


def _settle(sample: bytes, plausible: list[str]) -> list[str]:
    """``plausible`` with the language detector's choice first, where it has a good reason."""
    if len(plausible) < 2:
        return plausible
    matches = {
        name: match
        for match in from_bytes(sample, cp_isolation=plausible, preemptive_behaviour=False)
        for name in (match.encoding, *match.could_be_from_charset)
    }
    known = [name for name in plausible if name in matches]
    if not known:
        return plausible
    usual = plausible[0]
    best = max(known, key=lambda name: (matches[name].coherence, -plausible.index(name)))
    is_latin_twin = usual == "cp1252" and best in {"cp1250", "cp1254", "cp1257"}
    if is_latin_twin and matches[best].language not in EASTERN_LATIN:
        return plausible
    base = matches[usual].coherence if usual in matches else 0.0
    if matches[best].coherence <= base + 0.1:
        return plausible
    return [best, *(name for name in plausible if name != best)]


def _plausibility(sample: bytes, encoding: str) -> float:
    """Share of words beyond ASCII that look like words; -1 where the bytes do not decode."""
    try:
        text = _decode(sample, encoding)
    except UnicodeDecodeError:
        return -1
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    if not words:
        return 0.0
    return sum(map(_looks_like_word, words)) / len(words)


def _decode(sample: bytes, encoding: str) -> str:
    """Strictly, but for a character that the end of the sample cuts."""
    try:
        return sample.decode(encoding)
    except UnicodeDecodeError as error:
        if error.start < len(sample) - 4:
            raise
        return sample[: error.start].decode(encoding)


_ODD_CASE = re.compile("[a-zß-öø-ÿ][A-ZÀ-ÖØ-Þ]{1,2}[a-zß-öø-ÿ]|[\u0430-\u0451][\u0401-\u042f]")


def _looks_like_word(word: str) -> bool:
    letters = [char for char in word if char.isalpha()]
    if not letters:
        return all(unicodedata.category(char) in _MARKS for char in word)
    scripts = {_script(char) for char in letters}
    if len(scripts) > 1 and not scripts <= _JAPANESE:
        return False
    inner = word[1:-1] if len(word) > 2 else ""
    if any(not char.isalpha() and char not in _INNER_MARKS for char in inner):
        return False
    has_odd_case = _ODD_CASE.search(word)
    accented = sum(not char.isascii() for char in letters)
    is_foreign = scripts == {"LATIN"} and len(letters) > 3 and accented > 0.75 * len(letters)
    return not has_odd_case and not is_foreign


_MARKS = {"Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sc", "So", "Zs", "Sm"}
_INNER_MARKS = "'-\u2018\u2019\u00b7"
_JAPANESE = {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "FULLWIDTH"}


def _script(char: str) -> str:
    if char.isascii() or char in "ªº":
        return "LATIN"
    name = unicodedata.name(char, "UNKNOWN").split()[0]
    return "KATAKANA" if name == "HALFWIDTH" else name
