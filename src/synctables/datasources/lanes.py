"""Which server a source leads to: what shares one is asked together, and by few connections."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit
from uuid import UUID

from synctables.datasources.source import Source
from synctables.datasources.translators import translate
from synctables.object_address import is_object_address

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def lane_of(source: Source, *, account_id: UUID) -> str:
    """The host, with its port, that an address leads to; of an item, its service and account.

    What shares a lane is read by one datasource: a bucket may be called like a host.

    What an address redirects to is not known before it is asked, and does not count.
    """
    if source.service_name is not None:
        return f"{source.service_name}:{account_id}"
    return host_of(source.url or "")


@lru_cache(maxsize=10_000)
def host_of(url: str) -> str:
    """The host and port of the data that the address stands for, as users give it; of an object
    its bucket, after the store."""
    if is_object_address(url):
        store, _, place = url.partition("://")
        return f"{store}://{place.partition('/')[0]}"
    translated = translate(url)
    parts = urlsplit(translated.url if translated else url)
    host = parts.netloc.rpartition("@")[2]
    return host.removesuffix(_DEFAULT_PORTS.get(parts.scheme, ""))
