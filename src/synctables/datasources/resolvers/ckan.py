"""CKAN portals (on any host): a dataset's page, as the best of its resources.

Source: CKAN's "API guide", ``package_show``. Which is best: formats with geometry before tables
before archives of unknown contents; among equals the publisher's order.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin

from synctables.datasources.file_names import has_known_extension
from synctables.datasources.page_client import read_json
from synctables.datasources.translators.address import Address, Translated
from synctables.errors import DownloadError, UnsupportedFileError

if TYPE_CHECKING:
    from synctables.datasources.page_client import Page, PageClient

_DATASET = re.compile(r"(?P<site>(?:/[^/]+)*?)/dataset/(?P<name>[^/]+)/?")
_NO_DATASETS = ("new", "edit", "groups", "activity")
_TRANSIENT_FROM = 500
_TOO_MANY_REQUESTS = 429

_BEST_FIRST = (
    ("gpkg", "geopackage"),
    ("geojson",),
    ("fgb", "flatgeobuf"),
    ("geoparquet",),
    ("shp", "shapefile", "esri shapefile", "zipped shapefile", "shp (zip)"),
    ("gdb", "fgdb", "fgdb/gdb", "esri file geodatabase"),
    ("kml", "kmz"),
    ("gml", "gpx", "topojson", "tab", "mif"),
    ("parquet",),
    ("csv", "tsv", "text/csv"),
    ("xlsx", "xlsm", "xls", "ods"),
    ("json", "ndjson", "jsonl"),
    ("zip",),
)


async def resolve_ckan(address: Address, client: PageClient) -> Translated | None:
    """``…/dataset/NAME``; None where the server is no CKAN, or does not know the dataset."""
    match = _DATASET.fullmatch(address.path)
    if not match or match["name"] in _NO_DATASETS or has_known_extension(match["name"]):
        return None
    query = f"id={quote(address.segments[-1], safe='')}"
    url = address.at(f"{match['site']}/api/3/action/package_show", query)
    page = await client.patiently(lambda: _ask(client, url))
    package = await _package(page)
    if package is None:
        return None
    resources = [one for one in package.get("resources") or [] if isinstance(one, dict)]
    best = best_resource(resources)
    if best is None:
        formats = ", ".join(sorted({str(one.get("format") or "?") for one in resources}))
        message = f"The dataset has no resource in a supported format, only: {formats or 'none'}."
        raise UnsupportedFileError(message)
    return Translated(url=urljoin(str(page.address.url), str(best["url"]).strip()))


def best_resource(resources: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The first of the best format that this service reads; None where there is none."""
    usable = [
        (rank, place, one)
        for place, one in enumerate(resources)
        if one.get("url")
        and one.get("state", "active") == "active"
        and (rank := _rank(one)) is not None
    ]
    return min(usable, key=lambda entry: entry[:2])[2] if usable else None


def _rank(resource: dict[str, Any]) -> int | None:
    said = str(resource.get("format") or "").strip().lower().lstrip(".")
    extension = str(resource["url"]).partition("?")[0].rpartition(".")[2].lower()
    for word in (said, extension) if not said else (said,):
        for rank, words in enumerate(_BEST_FIRST):
            if word in words:
                return rank
    return None


async def _ask(client: PageClient, url: str) -> Page:
    page = await client.ask(url)
    if page.status >= _TRANSIENT_FROM or page.status == _TOO_MANY_REQUESTS:
        raise page.status_error()
    return page


async def _package(page: Page) -> dict[str, Any] | None:
    """What the API says of the dataset; None for whatever is no answer of a CKAN."""
    if not page.is_ok:
        return None
    try:
        found = await read_json(page)
    except DownloadError:
        return None
    is_package = isinstance(found, dict) and found.get("success") is True
    package = found.get("result") if is_package else None
    return package if isinstance(package, dict) else None
