"""Public web addresses: conditional, resumable, guarded downloads.

One fetch is: ask (with what is known of the last version), follow redirects by hand, take the
body to disk, and go on where a broken connection stopped, as long as the server vouches that the
file is still the same.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from synctables.datasources.asking import Asker, parse_item
from synctables.datasources.base import Fetched, Item, NotModified, OnBytes, SourceVersion
from synctables.datasources.content_coding import decode_in_place
from synctables.datasources.download import Download, Whole
from synctables.datasources.file_names import choose_file_name
from synctables.datasources.http_errors import status_error
from synctables.datasources.representation import Representation, condition_headers, confirms
from synctables.errors import (
    DownloadError,
    DownloadTimeoutError,
    PartialFileError,
    TooManyNodesError,
    UnknownServerError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import aiohttp

    from synctables.datasources.web_address import WebAddress
    from synctables.settings import Settings

_FILES = (200, 203, 204)
_NOT_MODIFIED = 304
_TOO_LARGE_AN_AREA = re.compile(r"too many nodes|maximum bbox size", re.IGNORECASE)
"""In the header ``Error`` of OpenStreetMap's API."""
_RANGE_ANSWERS = (206, 412, 416)
_MENDABLE = (DownloadError, PartialFileError, DownloadTimeoutError, UnknownServerError)


class UrlDatasource:
    """Files at http and https addresses; an item is a URL.

    ``session`` comes from `create_http_session`, which guards every connection.
    ``backoff_seconds``: the pause before the first of a few attempts to go on with a broken
    download; each fruitless one doubles it.
    """

    def __init__(
        self, session: aiohttp.ClientSession, settings: Settings, *, backoff_seconds: float = 0.5
    ) -> None:
        self._asker = Asker(session, settings)
        self._max_bytes = settings.max_file_bytes
        self._backoff_seconds = backoff_seconds

    async def probe(self, item: str, *, known: SourceVersion | None) -> Item | NotModified:
        """Ask whether the file at the URL ``item`` still is ``known``; a body is not waited for.

        Raises a `RunError`.
        """
        address = parse_item(item)
        headers = condition_headers(known)
        async with self._asker.ask(address, headers) as (response, hop):
            _check_status(response, hop, headers)
            if known and response.status == _NOT_MODIFIED and confirms(response.headers, known):
                return NotModified(version=known, http_status=_NOT_MODIFIED)
            representation = Representation.of(response.headers)
            name = choose_file_name(
                content_disposition=representation.content_disposition,
                final_url=str(hop.url),
                first_url=str(address.url),
            )
        return Item(
            id=item,
            title=name,
            file_name=name,
            version=representation.version,
            size_bytes=None if representation.coding else representation.total_bytes,
            web_link=item,
        )

    async def list(self, *, search: str | None = None, folder: str | None = None) -> list[Item]:
        """Nothing: an address has no neighbours that one could ask for."""
        return []

    async def fetch(
        self, item: str, *, known: SourceVersion | None, into: Path, on_bytes: OnBytes
    ) -> Fetched | NotModified:
        """Bring the file at the URL ``item`` into the folder ``into``, unless it is ``known``.

        Not modified is what the server says (304, with ``known`` as the version) or what the
        content shows (the same sha-256, with the validators of this answer as the version: a
        server that stopped sending them clears them). Raises a `RunError`; ``http_status`` is
        set where an answer was received.
        """
        address = parse_item(item)
        download = Download(
            first_url=str(address.url),
            into=into,
            max_bytes=self._max_bytes,
            pace_seconds=self._asker.patience_seconds,
            on_bytes=on_bytes,
        )
        try:
            confirmed = await self._bring(address, download, known)
        finally:
            download.close()
        return confirmed or await self._judge(download.whole(), known)

    async def _bring(
        self, address: WebAddress, download: Download, known: SourceVersion | None
    ) -> NotModified | None:
        """Bring the whole body to disk, or nothing where the server confirms what is known."""
        headers = condition_headers(known)
        while True:
            try:
                async with self._asker.ask(address, headers) as (response, hop):
                    _check_status(response, hop, headers)
                    if known and response.status == _NOT_MODIFIED:
                        if confirms(response.headers, known):
                            return NotModified(version=known, http_status=_NOT_MODIFIED)
                        headers = {}
                        continue
                    await download.take(response, hop)
                    return None
            except _MENDABLE as error:
                if getattr(error, "retry_after_seconds", None) or not download.may_go_on():
                    raise
            await asyncio.sleep(self._backoff_seconds * 2 ** (download.fruitless_attempts - 1))
            headers = download.resume_headers()

    async def _judge(self, whole: Whole, known: SourceVersion | None) -> Fetched | NotModified:
        """Decode the body where it was coded, and tell by its hash whether it is new."""
        representation, size_bytes, sha256 = whole.representation, whole.size_bytes, whole.sha256
        if representation.coding:
            size_bytes, sha256 = await asyncio.to_thread(
                decode_in_place, whole.path, coding=representation.coding, max_bytes=self._max_bytes
            )
        version = replace(representation.version, content_sha256=sha256)
        if known and known.content_sha256 == sha256:
            whole.path.unlink()
            return NotModified(version=version, http_status=whole.http_status)
        return Fetched(
            path=whole.path,
            file_name=whole.file_name,
            content_type=representation.content_type,
            size_bytes=size_bytes,
            version=version,
            http_status=whole.http_status,
        )


def _check_status(
    response: aiohttp.ClientResponse, hop: WebAddress, headers: Mapping[str, str]
) -> None:
    """Raise unless the answer is a file, or one that the request's own headers provoked."""
    is_conditional = "If-None-Match" in headers or "If-Modified-Since" in headers
    accepted = (
        *_FILES,
        *((_NOT_MODIFIED,) if is_conditional else ()),
        *(_RANGE_ANSWERS if "Range" in headers else ()),
    )
    if response.status not in accepted:
        if _TOO_LARGE_AN_AREA.search(response.headers.get("Error", "")):
            raise TooManyNodesError(http_status=response.status)
        raise status_error(
            response.status,
            address=hop.public,
            retry_after=response.headers.get("Retry-After"),
            now=datetime.now(UTC),
        )
