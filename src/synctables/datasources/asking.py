"""One request to a web address: through the guard, its redirects followed by hand."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from synctables.datasources.http_errors import http_errors
from synctables.datasources.web_address import (
    WebAddress,
    WrongAddressError,
    follow_redirect,
    parse_address,
)
from synctables.errors import DownloadRefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import aiohttp

    from synctables.settings import Settings

_MAX_REDIRECTS = 10
_REDIRECTS = (301, 302, 303, 307, 308)
_FOUND = 302
_SEE_OTHER = 303
_PATIENCE = 10
"""Idle timeouts that headers may take together, and the window in which a body's pace counts."""


class Asker:
    """Asks web addresses; ``session`` comes from `create_http_session`, which guards it."""

    def __init__(self, session: aiohttp.ClientSession, settings: Settings) -> None:
        self._session = session
        self._connect_seconds = settings.connect_timeout_seconds
        self.patience_seconds = settings.idle_timeout_seconds * _PATIENCE

    @asynccontextmanager
    async def ask(
        self,
        address: WebAddress,
        headers: Mapping[str, str],
        *,
        form: Mapping[str, str] | None = None,
    ) -> AsyncIterator[tuple[aiohttp.ClientResponse, WebAddress]]:
        """The first answer that is no redirect, whatever its status, and where it came from.

        With ``form`` the request is a POST, also after a redirect, but for 303. Raises a
        `RunError` where there is no answer, or one that leads nowhere.
        """
        hop = address
        for _ in range(_MAX_REDIRECTS + 1):
            async with self._request(hop, headers, form) as response:
                location = response.headers.get("Location")
                if response.status not in _REDIRECTS or location is None:
                    yield response, hop
                    return
                hop = next_hop(hop, location, status=response.status)
                form = None if response.status == _SEE_OTHER else form
        raise DownloadRefusedError(
            f"{address.public} redirects more than {_MAX_REDIRECTS} times, perhaps in a circle.",
            http_status=_FOUND,
        )

    @asynccontextmanager
    async def _request(
        self, hop: WebAddress, headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        sent = dict(headers)
        if hop.authorization:
            sent["Authorization"] = hop.authorization
        with http_errors(hop.public):
            async with asyncio.timeout(self._connect_seconds + self.patience_seconds):
                response = await self._session.request(
                    "GET" if form is None else "POST",
                    hop.url,
                    headers=sent,
                    data=form,
                    allow_redirects=False,
                )
        async with response:
            yield response


def parse_item(item: str) -> WebAddress:
    """The address of an item; `DownloadRefusedError` if it is none."""
    try:
        return parse_address(item)
    except WrongAddressError as error:
        raise DownloadRefusedError(f"The address cannot be fetched: {error}.") from error


def next_hop(hop: WebAddress, location: str, *, status: int) -> WebAddress:
    """Where a redirect leads; `DownloadRefusedError` where it must not be followed."""
    try:
        return follow_redirect(hop, location)
    except WrongAddressError as error:
        message = f"{hop.public} redirects to an address that cannot be fetched: {error}."
        raise DownloadRefusedError(message, http_status=status) from error
