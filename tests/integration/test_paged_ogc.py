"""Collections of OGC API Features and WFS come page by page: whole, in order, or an error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from synctables.datasources.base import NotModified
from synctables.errors import (
    DownloadError,
    DownloadRefusedError,
    FileNotFoundAtSourceError,
    PartialFileError,
    RunError,
)
from tests.support.ogc_server import OgcServer, exception_report, parks
from tests.support.paging import Paging

# --- OGC API Features ----------------------------------------------------------------------------


@pytest.mark.parametrize("is_relative", [True, False])
@pytest.mark.parametrize("says_matched", [True, False])
async def test_a_collection_is_read_along_its_links(
    paging: Paging, ogc_server: OgcServer, is_relative: bool, says_matched: bool
) -> None:
    ogc_server.features = parks(35)
    ogc_server.next_is_relative, ogc_server.says_matched = is_relative, says_matched
    fetched = await paging.file(ogc_server.items_url + "?limit=5&bbox=1,2,3,4")
    assert fetched.file_name == "parks.geojson"
    found = json.loads(fetched.path.read_bytes())["features"]
    assert sorted(one["id"] for one in found) == sorted(one["id"] for one in parks(35))
    assert len(ogc_server.requests) == 4


async def test_the_address_of_a_collection_means_its_items(
    paging: Paging, ogc_server: OgcServer
) -> None:
    ogc_server.features = parks(3)
    assert len(await paging.features(ogc_server.items_url.removesuffix("/items"))) == 3


async def test_an_empty_collection_is_a_valid_file(paging: Paging, ogc_server: OgcServer) -> None:
    assert await paging.features(ogc_server.items_url) == []


async def test_an_unchanged_collection_is_not_modified_in_any_order(
    paging: Paging, ogc_server: OgcServer
) -> None:
    ogc_server.features = parks(35)
    ogc_server.reverses = True
    first = await paging.file(ogc_server.items_url)
    ogc_server.features = parks(35)[::-1]
    assert isinstance(await paging.fetch(ogc_server.items_url, first.version), NotModified)


async def test_a_limit_that_the_server_refuses_is_halved(
    paging: Paging, ogc_server: OgcServer
) -> None:
    ogc_server.features = parks(25)
    ogc_server.refuses_limit_above = 100
    assert len(await paging.features(ogc_server.items_url)) == 25


@pytest.mark.parametrize("which", [0, 1, 3])
async def test_a_page_of_a_collection_that_fails_once_is_asked_for_again(
    paging: Paging, ogc_server: OgcServer, which: int
) -> None:
    ogc_server.features = parks(35)
    ogc_server.faults = [*([None] * which), web.Response(status=502)]
    assert len(await paging.features(ogc_server.items_url)) == 35


@pytest.mark.parametrize(
    "faults",
    [{"overlap": 1}, {"matched_drift": 1}, {"circles": True}, {"has_next": False}],
    ids=lambda faults: next(iter(faults)),
)
async def test_pages_that_do_not_fit_together_are_a_partial_file(
    paging: Paging, ogc_server: OgcServer, faults: dict[str, Any]
) -> None:
    ogc_server.features = parks(35)
    vars(ogc_server).update(faults)
    assert isinstance(await paging.failure(ogc_server.items_url), PartialFileError)


@pytest.mark.parametrize("path", ["/shop/collections/summer", "/shop/collections/winter/items"])
async def test_an_address_that_only_looks_like_a_collection_is_a_file(
    paging: Paging, ogc_server: OgcServer, path: str
) -> None:
    fetched = await paging.file(ogc_server.url(path))
    assert fetched.path.read_bytes() == b"name,price\nhat,3\n"


# --- WFS -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("further", [{}, {"version": "1.1.0"}, {"count": "3", "startIndex": "9"}])
async def test_a_feature_type_is_read_page_by_page(
    paging: Paging, ogc_server: OgcServer, further: dict[str, str]
) -> None:
    ogc_server.features = parks(35)
    fetched = await paging.file(ogc_server.wfs_url(**further))
    assert fetched.file_name == "parks.geojson"
    assert len(json.loads(fetched.path.read_bytes())["features"]) == 35
    assert len(ogc_server.requests) == 4
    assert all(parameters["srsName"] == "EPSG:4326" for _, parameters in ogc_server.requests)


async def test_without_a_total_pages_are_read_until_one_is_empty(
    paging: Paging, ogc_server: OgcServer
) -> None:
    ogc_server.features = parks(30)
    ogc_server.says_matched = False
    assert len(await paging.features(ogc_server.wfs_url())) == 30


async def test_an_empty_feature_type_is_a_valid_file(paging: Paging, ogc_server: OgcServer) -> None:
    assert await paging.features(ogc_server.wfs_url()) == []


@pytest.mark.parametrize(
    "faults",
    [
        {"ignores_start": True},
        {"refuses_start": True},
        {"ignores_start": True, "makes_up_ids": True, "says_matched": False},
    ],
    ids=["ignores the start", "refuses a start", "ignores the start and makes up ids"],
)
async def test_a_server_without_pages_is_asked_for_everything_at_once(
    paging: Paging, ogc_server: OgcServer, faults: dict[str, Any]
) -> None:
    ogc_server.features = parks(35)
    vars(ogc_server).update(faults)
    assert len(await paging.features(ogc_server.wfs_url())) == 35


async def test_ids_that_a_server_makes_up_do_not_make_a_change(
    paging: Paging, ogc_server: OgcServer
) -> None:
    ogc_server.features = parks(25)
    ogc_server.makes_up_ids = True
    first = await paging.file(ogc_server.wfs_url())
    assert isinstance(await paging.fetch(ogc_server.wfs_url(), first.version), NotModified)


async def test_the_first_format_that_a_server_speaks_is_used(
    paging: Paging, ogc_server: OgcServer
) -> None:
    ogc_server.features = parks(3)
    ogc_server.formats = ("geojson",)
    assert len(await paging.features(ogc_server.wfs_url())) == 3


async def test_another_projection_is_said_in_the_file(
    paging: Paging, ogc_server: OgcServer
) -> None:
    ogc_server.features = parks(3)
    ogc_server.crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::25832"}}
    fetched = await paging.file(ogc_server.wfs_url())
    assert json.loads(fetched.path.read_bytes())["crs"] == ogc_server.crs


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (
            ("InvalidParameterValue", "typeName", "Feature type x unknown"),
            FileNotFoundAtSourceError,
        ),
        (("NoApplicableCode", "", "java.lang.OutOfMemoryError"), DownloadError),
        (("MissingParameterValue", "bbox", "needed &amp; missing"), DownloadRefusedError),
    ],
    ids=["unknown type", "server fault", "wrong request"],
)
async def test_an_exception_report_inside_a_200_becomes_our_error(
    paging: Paging, ogc_server: OgcServer, report: tuple[str, str, str], expected: type[RunError]
) -> None:
    ogc_server.faults = [exception_report(*report) for _ in range(30)]
    failure = await paging.failure(ogc_server.wfs_url())
    assert isinstance(failure, expected)
    assert report[2].replace("&amp;", "&") in str(failure)


async def test_features_that_are_added_midway_are_noticed(
    paging: Paging, ogc_server: OgcServer
) -> None:
    ogc_server.features = parks(35)
    ogc_server.faults = [
        web.json_response({"type": "FeatureCollection", "features": parks(10), "numberMatched": 34})
    ]
    assert isinstance(await paging.failure(ogc_server.wfs_url()), PartialFileError)
