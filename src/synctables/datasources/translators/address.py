"""A web address taken apart for the rules of translators, and put together again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlencode, urlsplit, urlunsplit


@dataclass(frozen=True, kw_only=True)
class Translated:
    """The address of the data itself, for an address that people copy out of their browser.

    ``file_name``: what the file is called, where its server does not say it well.
    """

    url: str
    file_name: str | None = None


@dataclass(frozen=True)
class Address:
    """A URL in its parts; path and query stay verbatim, escapes included."""

    parts: SplitResult

    @classmethod
    def of(cls, url: str) -> Address:
        return cls(urlsplit(url))

    @cached_property
    def host(self) -> str:
        """Every rule asks for it, and for each due sync."""
        return self.parts.hostname or ""

    @property
    def path(self) -> str:
        return self.parts.path

    @property
    def segments(self) -> tuple[str, ...]:
        """Of the path, unescaped, without empty ones."""
        return tuple(unquote(segment) for segment in self.path.split("/") if segment)

    def is_at(self, *domains: str) -> bool:
        """Whether the host is one of the domains or below one."""
        return any(self.host == one or self.host.endswith(f".{one}") for one in domains)

    def parameter(self, name: str) -> str | None:
        """The first value of a query parameter, whatever the case of its name."""
        return _first(self.parts.query, name)

    def fragment_parameter(self, name: str) -> str | None:
        return _first(self.parts.fragment, name)

    def at(self, path: str, query: str = "") -> str:
        """Another path (already escaped) on the same server, without fragment."""
        return urlunsplit((self.parts.scheme, self.parts.netloc, path, query, ""))

    def with_parameters(self, **changes: str | int | None) -> str:
        """The same address with query parameters set, or removed where None; the rest verbatim."""
        lowered = {name.lower() for name in changes}
        kept = [
            pair
            for pair in self.parts.query.split("&")
            if pair and unquote(pair.partition("=")[0]).lower() not in lowered
        ]
        given = {name: value for name, value in changes.items() if value is not None}
        added = [urlencode(given, quote_via=quote, safe=":,$*")] if given else []
        return self.at(self.path, "&".join([*kept, *added]))


def _first(query: str, name: str) -> str | None:
    found = parse_qs(query, keep_blank_values=True)
    values = (value for key, value in found.items() if key.lower() == name.lower())
    return next((value[0] for value in values), None)
