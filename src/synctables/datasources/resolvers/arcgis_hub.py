"""ArcGIS Hub sites (on any host): a dataset's page, as its GeoJSON download.

Every site answers Hub's APIs under its own name: ``/api/v3/datasets`` knows the item behind the
name of a page, ``/api/download/v1`` makes the file and says when it is ready.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from synctables.datasources.page_client import read_object
from synctables.datasources.translators.address import Address, Translated
from synctables.errors import DownloadError, FileNotFoundAtSourceError

if TYPE_CHECKING:
    from synctables.datasources.page_client import PageClient

_ITEM = r"(?P<item>[0-9a-f]{32})(?:_(?P<layer>\d+))?"
_PAGE = re.compile(
    rf"/datasets/(?:{_ITEM}|(?P<slug>[\w-]+(?:::|%3[Aa]%3[Aa])[\w%.-]+))(?:/(?:about|explore))?/?"
)
_ID = re.compile(_ITEM)
_MOST_LOOKS = 40
_LONGEST_PAUSE_SECONDS = 10.0
_ACCEPTED = (200, 202)


async def resolve_arcgis_hub(address: Address, client: PageClient) -> Translated | None:
    """``/datasets/ITEM_LAYER`` and ``/datasets/OWNER::NAME``, with ``/about`` or ``/explore``."""
    match = _PAGE.fullmatch(address.path)
    if not match:
        return None
    found = match if match["item"] else await _look_up(address, client)
    query = f"redirect=false&layers={found['layer'] or 0}&spatialRefId=4326"
    url = address.at(f"/api/download/v1/items/{found['item']}/geojson", query)
    return Translated(url=await _await_download(url, client))


async def _look_up(address: Address, client: PageClient) -> re.Match[str]:
    """Item and layer of a page's name."""
    slug = next(one for one in address.segments if "::" in one)
    page = await client.ask(
        address.at("/api/v3/datasets", f"filter%5Bslug%5D={quote(slug, safe='')}")
    )
    if not page.is_ok:
        raise page.status_error()
    data = (await read_object(page)).get("data") or [{}]
    match = _ID.fullmatch(str(data[0].get("id")))
    if match is None:
        raise FileNotFoundAtSourceError("The site knows no dataset of this name.")
    return match


async def _await_download(url: str, client: PageClient) -> str:
    """Where the file is, once it was made. Raises `DownloadError` where that takes too long."""
    pause_seconds = 0.0
    for _ in range(_MOST_LOOKS):
        await client.pause(pause_seconds)
        page = await client.ask(url)
        if page.status not in _ACCEPTED:
            raise page.status_error()
        found = await read_object(page)
        if found.get("resultUrl"):
            return str(found["resultUrl"])
        if "fail" in str(found.get("status")).lower():
            break
        pause_seconds = min(pause_seconds * 2 or client.backoff_seconds, _LONGEST_PAUSE_SECONDS)
    raise DownloadError("The site did not make the download ready in time.")
