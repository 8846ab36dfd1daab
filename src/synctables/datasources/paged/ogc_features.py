"""OGC API Features: a collection, page by page along its ``next`` links.

Source: OGC 17-069r4, "OGC API - Features - Part 1: Core", section 7.15. Coordinates come in CRS84,
the default.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synctables.datasources.asking import next_hop, parse_item
from synctables.datasources.page_client import PageTooBigError, read_object
from synctables.datasources.paged.block_size import BlockSize
from synctables.datasources.paged.source import FeatureFile, Spool, check_features
from synctables.datasources.translators.address import Address
from synctables.errors import (
    DownloadRefusedError,
    FileNotFoundAtSourceError,
    PartialFileError,
    RunError,
    TransientError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from synctables.datasources.base import Fetched
    from synctables.datasources.page_client import Page, PageClient
    from synctables.datasources.web_address import WebAddress

_ITEMS = re.compile(r"(?P<collection>/(?:.*/)?collections/(?P<name>[^/]+))(?:/items)?/?")
_START = 1_000
_BAD_REQUEST = 400
_TOO_LARGE = 413


class _NoCollectionError(Exception):
    """The address answers with something else."""


@dataclass(frozen=True, kw_only=True)
class OgcFeaturesSource:
    """The items of a collection. ``items`` is their address, without a limit."""

    items: str
    name: str

    async def bring(self, client: PageClient, into: Path) -> Fetched | None:
        """See `PagedSource.bring`."""
        spool = Spool(into)
        try:
            await _read_all(client, self.items, spool)
            file = FeatureFile(into, name=self.name, max_bytes=client.max_bytes)
            try:
                await spool.write_to(file)
                return await file.finish()
            finally:
                file.close()
        except _NoCollectionError:
            return None
        finally:
            spool.close()


def find_ogc_features(url: str) -> OgcFeaturesSource | None:
    """``…/collections/NAME`` and ``…/collections/NAME/items``, unless in another format."""
    address = Address.of(url)
    match = _ITEMS.fullmatch(address.path)
    asked_format = (address.parameter("f") or "").lower()
    if not match or (asked_format and "json" not in asked_format):
        return None
    whole = Address.of(address.at(f"{match['collection']}/items", address.parts.query))
    # Another reference system than the default would only have to be undone.
    items = whole.with_parameters(limit=None, offset=None, crs=None)
    return OgcFeaturesSource(items=items, name=Address.of(url).segments[_name_index(address)])


def _name_index(address: Address) -> int:
    return -2 if address.segments[-1] == "items" and address.segments[-2] != "collections" else -1


async def _read_all(client: PageClient, items: str, spool: Spool) -> None:
    page, found = await _first_page(client, items)
    matched = found.get("numberMatched")
    seen = {str(page.address.url)}
    while True:
        await spool.add(check_features(found))
        if found.get("numberMatched") != matched:
            raise PartialFileError("The collection changed while its pages came.")
        following = _next_page(found, page)
        if following is None:
            break
        if str(following.url) in seen:
            raise PartialFileError(f"The pages of {following.public} lead in a circle.")
        seen.add(str(following.url))
        page, found = await _page(client, following)
    if isinstance(matched, int) and matched != spool.count:
        raise PartialFileError(
            f"{page.address.public} brought {spool.count:,} features of {matched:,}."
        )


async def _first_page(client: PageClient, items: str) -> tuple[Page, dict[str, Any]]:
    """With the largest limit that the server takes."""
    block = BlockSize(most=_START, start=_START)
    while True:
        address = Address.of(items).with_parameters(limit=block.size)
        try:
            page = await client.ask(address)
            if not page.is_ok:
                raise page.status_error()
            found = await _collection(page)
        except FileNotFoundAtSourceError:
            raise _NoCollectionError from None
        except (TransientError, DownloadRefusedError) as error:
            if not _may_be_the_limit(error) or not block.shrink():
                raise
            await client.wait_after(error, attempt=min(block.failures_in_a_row, 4))
        else:
            return page, found


async def _page(client: PageClient, address: WebAddress) -> tuple[Page, dict[str, Any]]:
    async def ask() -> tuple[Page, dict[str, Any]]:
        page = await client.ask(address)
        if not page.is_ok:
            raise page.status_error()
        found = await read_object(page)
        check_features(found)
        return page, found

    return await client.patiently(ask)


async def _collection(page: Page) -> dict[str, Any]:
    """The first page, unless it is no FeatureCollection at all."""
    if not page.body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        raise _NoCollectionError
    found = await read_object(page)
    if found.get("type") != "FeatureCollection":
        raise _NoCollectionError
    return found


def _may_be_the_limit(error: RunError) -> bool:
    if isinstance(error, TransientError | PageTooBigError):
        return True
    return error.http_status in (_BAD_REQUEST, _TOO_LARGE)


def _next_page(found: dict[str, Any], page: Page) -> WebAddress | None:
    """Where the page says that the next one is."""
    links = [link for link in found.get("links") or [] if isinstance(link, dict)]
    following = [
        str(link["href"])
        for link in links
        if link.get("rel") == "next" and link.get("href") and _is_json(link)
    ]
    if not following:
        return None
    here = parse_item(str(page.address.url)).url
    href = following[0]
    # Behind a proxy many servers do not know that they speak https.
    plain = f"http://{here.raw_authority}/"
    if here.scheme == "https" and href.startswith(plain):
        href = f"https://{href.removeprefix('http://')}"
    return next_hop(page.address, href, status=page.status)


def _is_json(link: dict[str, Any]) -> bool:
    return "json" in str(link.get("type") or "json")
