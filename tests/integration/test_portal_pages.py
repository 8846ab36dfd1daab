"""Pages of open-data portals whose data only the portal itself can name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from synctables.datasources._http import create_http_session
from synctables.datasources.base import Fetched, NotModified, SourceVersion
from synctables.datasources.public_url import PublicUrlDatasource
from synctables.datasources.resolvers.ckan import best_resource
from synctables.datasources.resolvers.gist import anchor
from synctables.errors import (
    DownloadError,
    FileNotFoundAtSourceError,
    RunError,
    UnsupportedFileError,
)
from synctables.settings import Settings
from tests.support.fetching import LOOPBACK
from tests.support.portal_server import ITEM, TABLE, PortalServer

if TYPE_CHECKING:
    from pathlib import Path


async def fetch(url: str, into: Path, known: SourceVersion | None = None) -> Fetched | NotModified:
    settings = Settings.model_validate({"allowed_networks": LOOPBACK})
    async with create_http_session(settings) as session:
        source = PublicUrlDatasource(session, settings, backoff_seconds=0)
        return await source.fetch(url, known=known, into=into, on_bytes=lambda *_: None)


async def name_of(url: str, into: Path) -> str:
    fetched = await fetch(url, into)
    assert isinstance(fetched, Fetched)
    assert fetched.path.read_bytes() == TABLE
    return fetched.file_name


@pytest.mark.parametrize("site", ["", "/en"])
async def test_a_ckan_dataset_is_its_best_resource(
    portal_server: PortalServer, tmp_path: Path, site: str
) -> None:
    portal_server.resources = [
        {"format": "PDF", "url": portal_server.url("/files/about.pdf")},
        {"format": "CSV", "url": portal_server.url("/files/parks.csv"), "state": "active"},
        {"format": "CSV", "url": portal_server.url("/files/later.csv")},
    ]
    assert await name_of(portal_server.url(f"{site}/dataset/parks"), tmp_path) == "parks.csv"


async def test_an_unchanged_resource_of_a_dataset_is_not_modified(
    portal_server: PortalServer, tmp_path: Path
) -> None:
    portal_server.resources = [{"format": "CSV", "url": "/files/parks.csv"}]
    url = portal_server.url("/dataset/parks")
    first = await fetch(url, tmp_path)
    assert isinstance(await fetch(url, tmp_path, first.version), NotModified)


async def test_a_dataset_without_a_readable_resource_says_what_it_has(
    portal_server: PortalServer, tmp_path: Path
) -> None:
    portal_server.resources = [{"format": "PDF", "url": "/a.pdf"}, {"format": "", "url": "/b"}]
    with pytest.raises(UnsupportedFileError, match=r"only: \?, PDF"):
        await fetch(portal_server.url("/dataset/parks"), tmp_path)


async def test_a_page_that_only_looks_like_a_dataset_is_fetched_itself(
    portal_server: PortalServer, tmp_path: Path
) -> None:
    assert await name_of(portal_server.url("/dataset/plain"), tmp_path) == "plain"


async def test_a_portal_that_is_down_is_no_reason_to_take_its_page_for_data(
    portal_server: PortalServer, tmp_path: Path
) -> None:
    portal_server.faults = [web.Response(status=503) for _ in range(10)]
    with pytest.raises(DownloadError) as caught:
        await fetch(portal_server.url("/dataset/parks"), tmp_path)
    assert caught.value.http_status == 503


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([("CSV", "a.csv"), ("GeoJSON", "a.geojson")], "a.geojson"),
        ([("XLSX", "a.xlsx"), ("csv", "a.csv")], "a.csv"),
        ([("", "a.pdf"), ("", "a.xlsx?x=1")], "a.xlsx?x=1"),
        ([("ZIP", "a.zip"), ("SHP", "shapes.zip")], "shapes.zip"),
        ([("HTML", "a.csv")], None),
        ([("CSV", "")], None),
        ([], None),
    ],
)
def test_the_best_resource_comes_first(
    resources: list[tuple[str, str]], expected: str | None
) -> None:
    given: list[dict[str, Any]] = [{"format": kind, "url": url} for kind, url in resources]
    best = best_resource(given)
    assert (best and best["url"]) == expected


@pytest.mark.parametrize(
    ("path", "layer"),
    [
        (f"/datasets/{ITEM}", 0),
        (f"/datasets/{ITEM}_2/explore", 2),
        ("/datasets/city::parks/about", 4),
        ("/datasets/city%3A%3Aparks", 4),
    ],
)
async def test_an_arcgis_hub_page_is_its_download(
    portal_server: PortalServer, tmp_path: Path, path: str, layer: int
) -> None:
    portal_server.looks_until_ready = 2
    assert await name_of(portal_server.url(path), tmp_path) == f"layer_{layer}.csv"


async def test_a_download_that_is_never_made_is_a_transient_error(
    portal_server: PortalServer, tmp_path: Path
) -> None:
    portal_server.looks_until_ready = 1_000
    with pytest.raises(RunError) as caught:
        await fetch(portal_server.url(f"/datasets/{ITEM}"), tmp_path)
    assert type(caught.value) is DownloadError


async def test_a_hub_page_that_is_gone_is_not_found(
    portal_server: PortalServer, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundAtSourceError):
        await fetch(portal_server.url("/datasets/city::none"), tmp_path)


@pytest.mark.parametrize(
    ("file_name", "expected"),
    [("cities.csv", "cities-csv"), ("Two Cities.csv", "two-cities-csv"), ("a_b.csv", "a_b-csv")],
)
def test_a_gist_names_its_files_in_its_address(file_name: str, expected: str) -> None:
    assert anchor(file_name) == expected
