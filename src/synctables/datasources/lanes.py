"""Which server a source leads to: what shares one is asked together, and by few connections."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit
from uuid import UUID

from synctables.datasources.source import Source
from synctables.datasources.translators import translate


def lane_of(source: Source, *, account_id: UUID) -> str:
    """The host, with its port, that an address leads to; of an item, its service and account.

    What an address redirects to is not known before it is asked, and does not count.
    """
    if source.service_name is not None:
        return f"{source.service_name}:{account_id}"
    return host_of(source.url or "")


@lru_cache(maxsize=10_000)
def host_of(url: str) -> str:
    """The host and port of the data that the address stands for, as users give it."""
    translated = translate(url)
    return urlsplit(translated.url if translated else url).netloc.rpartition("@")[2]
