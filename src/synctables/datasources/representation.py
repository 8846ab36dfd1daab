"""What an answer says of the body it carries, and whether two answers speak of the same body."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from synctables.datasources.base import SourceVersion
from synctables.datasources.content_coding import coding_of
from synctables.datasources.http_errors import parse_http_date

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_MAX_VALIDATOR_CHARACTERS = 1_000


@dataclass(frozen=True, kw_only=True)
class Representation:
    """One version of a file as one answer (200) announces it (RFC 9110 section 3.2)."""

    version: SourceVersion
    """Without the content's hash, which is not known yet."""
    if_range: str | None
    """The validator that makes a range request safe; None: none is strong enough."""
    total_bytes: int | None
    """Length of the body on the wire; None: the server does not say."""
    coding: str | None
    content_type: str | None
    content_disposition: str | None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Representation:
        """Raises `DownloadRefusedError` for a body coded in a way that cannot be undone."""
        last_modified = _validator(headers.get("Last-Modified"))
        version = SourceVersion(
            etag=_validator(headers.get("ETag")),
            last_modified=last_modified,
            modified_at=parse_http_date(last_modified),
        )
        length = headers.get("Content-Length", "")
        return cls(
            version=version,
            if_range=_strong_validator(version, headers),
            total_bytes=int(length) if length.isascii() and length.isdigit() else None,
            coding=coding_of(headers.get("Content-Encoding")),
            content_type=_text(headers.get("Content-Type")),
            content_disposition=headers.get("Content-Disposition"),
        )

    def continues_at(self, position: int, headers: Mapping[str, str]) -> bool:
        """Whether a 206 with these headers goes on with this very body from that byte.

        Servers that honour Range but not If-Range exist, hence the second look at the validators.
        """
        found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
        if not found or int(found[1]) != position:
            return False
        if self.total_bytes is not None and found[3] not in ("*", str(self.total_bytes)):
            return False
        if self.version.etag:
            # A 206 repeats the ETag of its 200 in any case (RFC 9110 section 15.3.7).
            return headers.get("ETag") == self.version.etag
        return headers.get("Last-Modified") in (None, self.version.last_modified)


def condition_headers(known: SourceVersion | None) -> dict[str, str]:
    """The headers that ask for the file only if it changed; validators go back verbatim."""
    given = {
        "If-None-Match": known.etag if known else None,
        "If-Modified-Since": known.last_modified if known else None,
    }
    return {name: value for name, value in given.items() if value}


def confirms(headers: Mapping[str, str], known: SourceVersion) -> bool:
    """Whether a 304 speaks of the known version, as far as it says.

    A server that compares If-Modified-Since with "not later than" calls a file that was put back
    to an older version unmodified, yet its 304 shows the older date.
    """
    etag, last_modified = headers.get("ETag"), headers.get("Last-Modified")
    if etag and known.etag:
        return etag.removeprefix("W/") == known.etag.removeprefix("W/")
    if last_modified and known.last_modified:
        return parse_http_date(last_modified) == parse_http_date(known.last_modified)
    return True


def _strong_validator(version: SourceVersion, headers: Mapping[str, str]) -> str | None:
    """What If-Range may hold (RFC 9110 section 13.1.5).

    A date is strong only if the file could not change again within its second: it must lie
    before the answer's own Date (section 8.8.2.2).
    """
    if version.etag:
        return version.etag if version.etag.startswith('"') else None
    answered_at = parse_http_date(headers.get("Date"))
    if version.modified_at is None or answered_at is None:
        return None
    is_old_enough = answered_at - version.modified_at >= timedelta(seconds=1)
    return version.last_modified if is_old_enough else None


def _validator(value: str | None) -> str | None:
    """A validator that can be stored and sent back; ``*`` as an ETag would match anything."""
    text = (value or "").strip()
    is_usable = text.isascii() and text.isprintable() and len(text) <= _MAX_VALIDATOR_CHARACTERS
    return text if text and is_usable and text != "*" else None


def _text(value: str | None) -> str | None:
    """A header as clean text: bytes that were no UTF-8 are replaced."""
    if value is None:
        return None
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
