"""Addresses in object stores, and the places there that may be read. Pure rules.

An address is ``s3://bucket/key``, ``gs://bucket/key`` or ``az://container/key``. Its key is what
the store calls the object, character by character: nothing in it is decoded. What a store, or a
proxy before it, could read as another key than the one compared here is refused: ``.`` and ``..``,
empty segments, backslashes, and escapes that stand for any of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import unquote

Store = Literal["s3", "gs", "az"]

_STORES: dict[str, Store] = {
    "s3": "s3", "gs": "gs", "az": "az", "azure": "az", "abfs": "az", "abfss": "az",
}  # fmt: skip
OBJECT_SCHEMES = tuple(_STORES)

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)/?(.*)", re.DOTALL)
_BUCKET = re.compile(r"\$?[A-Za-z0-9]([A-Za-z0-9_-]|\.(?!\.)){1,220}[A-Za-z0-9]", re.ASCII)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")
_MAX_KEY_BYTES = 1_024
"""Of all three stores; Azure counts characters."""
_MAX_DECODINGS = 3
"""As often as anybody between here and the store may decode a key that was encoded once."""


class WrongObjectAddressError(ValueError):
    """The text is no address in an object store; the message says what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class ObjectAddress:
    """One object: its store, its bucket (at Azure its container) and its key."""

    store: Store
    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises `WrongObjectAddressError`."""
        store, bucket, key = _split(text)
        if not key:
            raise WrongObjectAddressError("it names no object")
        if key.endswith("/"):
            raise WrongObjectAddressError("it ends in a slash: it must name one object")
        _check_key(key)
        return cls(store=store, bucket=bucket, key=key)

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(self.key.split("/"))

    def __str__(self) -> str:
        return f"{self.store}://{self.bucket}/{self.key}"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A bucket, or what lies in it below a prefix of whole segments; a single object as well."""

    store: Store
    bucket: str
    segments: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """``s3://bucket``, ``s3://bucket/prefix``, with or without a slash at the end.

        Raises `WrongObjectAddressError`.
        """
        store, bucket, key = _split(text)
        key = key.removesuffix("/")
        if key:
            _check_key(key)
        return cls(store=store, bucket=bucket, segments=tuple(key.split("/")) if key else ())

    def holds(self, other: ObjectAddress | Place) -> bool:
        """Whether ``other`` is this place or lies in it, segment by segment."""
        return (self.store, self.bucket) == (other.store, other.bucket) and (
            self.segments == other.segments[: len(self.segments)]
        )

    @property
    def prefix(self) -> str:
        return "/".join(self.segments)

    def __str__(self) -> str:
        return "/".join((f"{self.store}://{self.bucket}", *self.segments))


def is_object_address(text: str) -> bool:
    """Whether the text has the scheme of an object store; it may be wrong in all else."""
    return text.partition("://")[0].lower() in _STORES and "://" in text


def _split(text: str) -> tuple[Store, str, str]:
    found = _ADDRESS.fullmatch(text)
    store = _STORES.get(found[1].lower()) if found else None
    if found is None or store is None:
        schemes = ", ".join(f"{scheme}://" for scheme in OBJECT_SCHEMES)
        raise WrongObjectAddressError(f"it begins with none of {schemes}")
    if "@" in found[2] or ":" in found[2]:
        raise WrongObjectAddressError(
            "it holds an account or a password; both are settings of the operator"
        )
    if not _BUCKET.fullmatch(found[2]):
        raise WrongObjectAddressError("it names no valid bucket")
    return store, found[2], found[3]


def _check_key(key: str) -> None:
    if len(key.encode("utf-8", "surrogatepass")) > _MAX_KEY_BYTES:
        raise WrongObjectAddressError(f"its key is longer than {_MAX_KEY_BYTES:,} bytes")
    decoded = key
    for _ in range(_MAX_DECODINGS + 1):
        _check_segments(decoded, meant=key)
        decoded = unquote(decoded)


def _check_segments(key: str, *, meant: str) -> None:
    """Refuse a key that means, or once decoded would mean, another one."""
    how = "" if key == meant else ", percent-encoded"
    if _UNPRINTABLE.search(key):
        raise WrongObjectAddressError(f"it contains a control character{how}")
    if "\\" in key:
        raise WrongObjectAddressError(f"it contains a backslash{how}")
    segments = key.split("/")
    if "" in segments:
        raise WrongObjectAddressError(f"it contains an empty segment (//){how}")
    if "." in segments or ".." in segments:
        raise WrongObjectAddressError(f"it contains the segment . or ..{how}")
    if len(segments) != meant.count("/") + 1:
        raise WrongObjectAddressError("it contains a percent-encoded slash")
