"""Answers that are read whole into memory: pages of a collection, and what portals say of data.

The same guard, the same caps and the same patience as for files: everything that comes counts to
one byte cap.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from synctables.datasources.asking import Asker, parse_item
from synctables.datasources.content_coding import coding_of
from synctables.datasources.download import Pace
from synctables.datasources.http_errors import http_errors, status_error
from synctables.datasources.sink import check_size
from synctables.errors import (
    DownloadError,
    DownloadRefusedError,
    DownloadTimeoutError,
    PartialFileError,
    RunError,
    TransientError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import aiohttp

    from synctables.datasources.base import OnBytes
    from synctables.datasources.web_address import WebAddress
    from synctables.settings import Settings

T = TypeVar("T")

JSON_TYPES = "application/geo+json, application/json;q=0.9, */*;q=0.1"
MAX_PAGE_BYTES = 64 << 20

_OK = 200
_ATTEMPTS = 4
_LONGEST_WAIT_SECONDS = 60
_STRING_OR_TOKEN = re.compile(
    rb'"(?:[^"\\]|\\.)*"|(?P<token>[-+]?\b(?:inf(?:inity)?|nan|1\.#(?:inf|qnan|ind)\w*)\b)', re.I
)


class PageTooBigError(DownloadRefusedError):
    """One page is larger than fits into memory: a smaller block may work."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """One answer, whole, whatever its status."""

    address: WebAddress
    """Where it came from in the end."""
    status: int
    content_type: str
    body: bytes
    retry_after: str | None

    @property
    def is_ok(self) -> bool:
        return self.status == _OK

    def status_error(self) -> RunError:
        """What the status says, for an answer whose body says nothing better."""
        return status_error(
            self.status,
            address=self.address.public,
            retry_after=self.retry_after,
            now=datetime.now(UTC),
        )


class PageClient:
    """Asks for pages. ``received_bytes`` counts all of them and is capped as one file would be."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        settings: Settings,
        *,
        on_bytes: OnBytes,
        backoff_seconds: float = 0.5,
    ) -> None:
        self._asker = Asker(session, settings)
        self.max_bytes = settings.max_file_bytes
        self.received_bytes = 0
        self._on_bytes = on_bytes
        self.backoff_seconds = backoff_seconds

    async def ask(
        self,
        url: str | WebAddress,
        *,
        form: Mapping[str, str] | None = None,
        accept: str = JSON_TYPES,
    ) -> Page:
        """One request, a POST with ``form``. Raises a `RunError` where no whole answer comes.

        `PageTooBigError` beyond 64 MiB, `FileTooBigError` beyond the cap of all pages.
        """
        address = parse_item(url) if isinstance(url, str) else url
        async with self._asker.ask(address, {"Accept": accept}, form=form) as (response, hop):
            with http_errors(hop.public, http_status=response.status):
                body = await self._read(response, hop)
            return Page(
                address=hop,
                status=response.status,
                content_type=response.headers.get("Content-Type", ""),
                body=_decode(body, response.headers.get("Content-Encoding")),
                retry_after=response.headers.get("Retry-After"),
            )

    async def patiently(self, action: Callable[[], Awaitable[T]]) -> T:
        """What ``action`` returns, tried again a few times after transient errors."""
        for attempt in range(1, _ATTEMPTS):
            try:
                return await action()
            except TransientError as error:
                await self.wait_after(error, attempt=attempt)
        return await action()

    async def wait_after(self, error: RunError, *, attempt: int) -> None:
        """Pause before the next attempt; raises ``error`` where the server asks for too long."""
        asked = getattr(error, "retry_after_seconds", None)
        if asked is not None and asked > _LONGEST_WAIT_SECONDS:
            raise error
        own = self.backoff_seconds * 2 ** (attempt - 1)
        await self.pause(own if asked is None else asked)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, _LONGEST_WAIT_SECONDS))

    async def _read(self, response: aiohttp.ClientResponse, hop: WebAddress) -> bytes:
        body = bytearray()
        pace = Pace(self._asker.patience_seconds, now=time.monotonic())
        async for chunk in response.content.iter_any():
            body += chunk
            self.received_bytes += len(chunk)
            check_size(self.received_bytes, self.max_bytes)
            _check_page_size(len(body), hop)
            self._on_bytes(self.received_bytes, None)
            if pace.is_too_slow(len(chunk), now=time.monotonic()):
                raise DownloadTimeoutError(f"{hop.public} sends too slowly.")
        return bytes(body)


async def read_json(page: Page) -> Any:
    """The JSON in a page; `DownloadError` where there is none.

    NaN is nothing (None); infinities, which JSON has no word for either, become text.
    """
    try:
        return await asyncio.to_thread(parse_json, page.body)
    except (ValueError, RecursionError) as error:
        message = f"{page.address.public} did not answer with JSON."
        raise DownloadError(message, http_status=page.status) from error


async def read_object(page: Page) -> dict[str, Any]:
    """The JSON object in a page; `DownloadError` where there is none."""
    found = await read_json(page)
    if not isinstance(found, dict):
        raise DownloadError(f"{page.address.public} answered with something unexpected.")
    return found


def parse_json(body: bytes) -> Any:
    """JSON as servers write it; ValueError where it is none."""
    text = body.removeprefix(b"\xef\xbb\xbf")
    try:
        return json.loads(text, parse_constant=_constant)
    except ValueError:
        return json.loads(_STRING_OR_TOKEN.sub(_as_json, text), parse_constant=_constant)


def _as_json(match: re.Match[bytes]) -> bytes:
    token = match["token"]
    if token is None:
        return match[0]
    if b"nan" in token.lower() or b"ind" in token.lower():
        return b"null"
    return b'"-Infinity"' if token.startswith(b"-") else b'"Infinity"'


def _constant(name: str) -> str | None:
    return None if name == "NaN" else name


def _check_page_size(size_bytes: int, hop: WebAddress) -> None:
    if size_bytes > MAX_PAGE_BYTES:
        raise PageTooBigError(f"{hop.public} answers with more than {MAX_PAGE_BYTES:,} bytes.")


def _decode(body: bytes, content_encoding: str | None) -> bytes:
    """The body without its coding, for servers that compress although asked not to."""
    coding = coding_of(content_encoding)
    if coding is None or (coding == "gzip" and not body.startswith(b"\x1f\x8b")):
        return body
    try:
        inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)
        decoded = inflater.decompress(body, MAX_PAGE_BYTES + 1)
    except zlib.error as error:
        raise PartialFileError("The server's compressed answer is broken.") from error
    if len(decoded) > MAX_PAGE_BYTES:
        raise PageTooBigError(f"One answer unpacks to more than {MAX_PAGE_BYTES:,} bytes.")
    if not inflater.eof:
        raise PartialFileError("The server's compressed answer ends too early.")
    return decoded
