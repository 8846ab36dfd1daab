"""Mutations that know nothing of the format: ``(random, content, other file) -> content``."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

Edit = Callable[[Random, bytes, bytes], bytes]

_TELLING_BYTES = (0x00, 0x01, 0x7F, 0x80, 0xFF, 0x0A, 0x20, 0x22, 0x2C, 0x3C, 0x7B)
_EDGES = (0, 1, 2, 7, 127, 128, 255, 256, 32_767, 32_768, 65_535, 65_536, 2**31 - 1, 2**31)
_FAR_EDGES = (2**32 - 1, 2**32, 2**40, 2**63 - 1, 2**63, 2**64 - 1)


def flip_bits(random: Random, content: bytes, _: bytes) -> bytes:
    changed = bytearray(content)
    for _count in range(random.choice((1, 1, 1, 2, 8, 64))):
        changed[_place(random, content)] ^= 1 << random.randrange(8)
    return bytes(changed)


def set_bytes(random: Random, content: bytes, _: bytes) -> bytes:
    changed = bytearray(content)
    for _count in range(random.choice((1, 1, 2, 16))):
        changed[_place(random, content)] = random.choice(_TELLING_BYTES)
    return bytes(changed)


def cut_off(random: Random, content: bytes, _: bytes) -> bytes:
    return content[: _place(random, content)]


def cut_out(random: Random, content: bytes, _: bytes) -> bytes:
    start = _place(random, content)
    return content[:start] + content[start + _length(random) :]


def repeat(random: Random, content: bytes, _: bytes) -> bytes:
    start = _place(random, content)
    piece = content[start : start + _length(random)]
    return content[:start] + piece * random.choice((2, 2, 3, 50)) + content[start:]


def insert_noise(random: Random, content: bytes, _: bytes) -> bytes:
    start = _place(random, content)
    return content[:start] + random.randbytes(_length(random)) + content[start:]


def swap(random: Random, content: bytes, _: bytes) -> bytes:
    """Two stretches of the same length change places."""
    length = min(_length(random), len(content) // 2)
    first, second = sorted((_place(random, content), _place(random, content)))
    if second < first + length or second + length > len(content):
        return content[::-1]
    one, other = content[first : first + length], content[second : second + length]
    middle = content[first + length : second]
    return content[:first] + other + middle + one + content[second + length :]


def splice(random: Random, content: bytes, other: bytes) -> bytes:
    """This file's beginning, the other's end."""
    return content[: _place(random, content)] + other[random.randrange(len(other) + 1) :]


def set_number(random: Random, content: bytes, _: bytes) -> bytes:
    """A length, a count or an offset becomes a lie, in any width and byte order."""
    width = random.choice((1, 2, 4, 4, 8))
    values = (*_EDGES, *_FAR_EDGES, len(content), len(content) + 1, len(content) - 1)
    value = random.choice(values) % (1 << 8 * width)
    start = _place(random, content)
    number = value.to_bytes(width, random.choice(("little", "big")))
    return content[:start] + number + content[start + width :]


BYTE_EDITS: tuple[Edit, ...] = (
    *(flip_bits, flip_bits, set_bytes, cut_off, cut_out, repeat, insert_noise, swap, splice),
    *(set_number, set_number, set_number),
)


def _place(random: Random, content: bytes) -> int:
    """A position, more often near one of the ends, where headers and directories are."""
    size = max(len(content), 1)
    near = min(size, 256)
    return random.choice(
        (random.randrange(size), random.randrange(near), size - 1 - random.randrange(near))
    )


def _length(random: Random) -> int:
    return random.choice((1, 2, 4, 16, 64, 512, 4096))
