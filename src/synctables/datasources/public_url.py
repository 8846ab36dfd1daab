"""Public addresses of every kind: the one place where translators and paged sources are wired in.

What a user gives is translated where it leads to a page about data; a collection is read page by
page; anything else is one file. The user's own address stays the sync's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from synctables.datasources.base import Fetched, Item, NotModified, OnBytes, SourceVersion
from synctables.datasources.page_client import PageClient
from synctables.datasources.paged import find_paged_source
from synctables.datasources.resolvers import resolve
from synctables.datasources.translators import Translated, translate
from synctables.datasources.url import UrlDatasource

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

    from synctables.settings import Settings


class PublicUrlDatasource:
    """Data at http and https addresses; an item is a URL as a user gave it.

    ``session`` comes from `create_http_session`, which guards every connection.
    """

    def __init__(
        self, session: aiohttp.ClientSession, settings: Settings, *, backoff_seconds: float = 0.5
    ) -> None:
        self._session = session
        self._settings = settings
        self._backoff_seconds = backoff_seconds
        self._files = UrlDatasource(session, settings, backoff_seconds=backoff_seconds)

    async def probe(self, item: str, *, known: SourceVersion | None) -> Item | NotModified:
        """Ask whether the URL ``item`` still is ``known``. Raises a `RunError`.

        A paged collection is described without a version: only its content tells it.
        """
        client = PageClient(
            self._session,
            self._settings,
            on_bytes=_ignore_bytes,
            backoff_seconds=self._backoff_seconds,
        )
        source = translate(item) or await resolve(item, client) or Translated(url=item)
        if find_paged_source(source.url):
            return Item(id=item, title=item, file_name=source.file_name or "", web_link=item)
        return await self._files.probe(source.url, known=known)

    async def list(self, *, search: str | None = None, folder: str | None = None) -> list[Item]:
        """Nothing: an address has no neighbours that one could ask for."""
        return []

    async def fetch(
        self, item: str, *, known: SourceVersion | None, into: Path, on_bytes: OnBytes
    ) -> Fetched | NotModified:
        """Bring what the URL ``item`` stands for into ``into``, unless it is ``known``.

        A paged collection is told from the known one by its content. Raises a `RunError`.
        """
        client = PageClient(
            self._session,
            self._settings,
            on_bytes=on_bytes,
            backoff_seconds=self._backoff_seconds,
        )
        source = translate(item) or await resolve(item, client) or Translated(url=item)
        paged = find_paged_source(source.url)
        collection = await paged.bring(client, into) if paged else None
        if collection:
            return _judge(collection, known)
        fetched = await self._files.fetch(source.url, known=known, into=into, on_bytes=on_bytes)
        return _named(fetched, source.file_name) if isinstance(fetched, Fetched) else fetched


def _judge(collection: Fetched, known: SourceVersion | None) -> Fetched | NotModified:
    version = collection.version
    if known and known.content_sha256 == version.content_sha256:
        collection.path.unlink()
        return NotModified(version=version, http_status=collection.http_status)
    return collection


def _named(fetched: Fetched, file_name: str | None) -> Fetched:
    if file_name is None or file_name == fetched.file_name:
        return fetched
    path = fetched.path.rename(fetched.path.with_name(file_name))
    return replace(fetched, path=path, file_name=file_name)


def _ignore_bytes(received: int, total: int | None) -> None:
    """Nobody follows how a probe gets on."""
