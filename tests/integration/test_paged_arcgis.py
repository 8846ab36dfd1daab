"""Layers of ArcGIS come in blocks of ids: whole, in order, or an error; at a real local server."""

from __future__ import annotations

import json
import zipfile
from typing import Any

import pytest
from aiohttp import web

from synctables.datasources.base import Fetched, NotModified
from synctables.errors import (
    ArcgisQueryError,
    ArcgisVersionError,
    BlockedAddressError,
    DownloadError,
    DownloadRefusedError,
    FileNotFoundAtSourceError,
    FileTooBigError,
    ForbiddenSourceError,
    PartialFileError,
    RunError,
    UnknownSridError,
)
from tests.support.arcgis_server import ArcgisServer, error, trees
from tests.support.paging import Paging


def ids(features: list[dict[str, Any]]) -> list[int]:
    return [feature["properties"]["OBJECTID"] for feature in features]


@pytest.mark.parametrize("formats", ["JSON, geoJSON, PBF", "JSON, AMF"])
async def test_a_layer_arrives_whole_and_in_the_order_of_its_ids(
    paging: Paging, arcgis_server: ArcgisServer, formats: str
) -> None:
    arcgis_server.layers[0] = trees(750)
    arcgis_server.formats = formats
    fetched = await paging.file(arcgis_server.layer_url)
    assert (fetched.file_name, fetched.content_type) == ("Trees.geojson", "application/geo+json")
    features = json.loads(fetched.path.read_bytes())["features"]
    assert ids(features) == sorted(row["attributes"]["OBJECTID"] for row in trees(750))
    first = features[0]
    assert first["properties"]["planted"] == "1970-01-01T00:00:00Z"
    assert first["geometry"]["coordinates"] == [first["properties"]["OBJECTID"] / 1000, 50.5]
    assert {query["outSR"] for query in arcgis_server.queries()} == {"4326"}


async def test_a_layer_of_a_map_server_is_read_like_one_of_a_feature_server(
    paging: Paging, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(150)
    url = arcgis_server.layer_url.replace("FeatureServer", "MapServer")
    assert ids(await paging.features(url)) == ids(await paging.features(arcgis_server.layer_url))
    assert any("/MapServer/0/query" in path for path, _ in arcgis_server.requests)


async def test_both_formats_of_a_server_give_the_same_file(
    paging: Paging, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(20)
    one = await paging.file(arcgis_server.layer_url)
    arcgis_server.formats = "JSON"
    outcome = await paging.fetch(arcgis_server.layer_url, one.version)
    assert isinstance(outcome, NotModified)


async def test_an_unchanged_layer_is_not_modified_though_its_server_mixes_the_order(
    paging: Paging, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(30)
    first = await paging.file(arcgis_server.layer_url)
    arcgis_server.layers[0].reverse()
    assert isinstance(await paging.fetch(arcgis_server.layer_url, first.version), NotModified)
    arcgis_server.layers[0][3]["attributes"]["kind"] = "ash"
    assert isinstance(await paging.fetch(arcgis_server.layer_url, first.version), Fetched)


async def test_an_empty_layer_is_a_valid_file(paging: Paging, arcgis_server: ArcgisServer) -> None:
    assert await paging.features(arcgis_server.layer_url) == []


async def test_blocks_never_exceed_what_the_server_allows(
    paging: Paging, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(100)
    arcgis_server.max_record_count = 30
    assert len(await paging.features(arcgis_server.layer_url)) == 100
    sizes = [len(query["objectIds"].split(",")) for query in arcgis_server.queries()]
    assert sizes == [30, 30, 30, 10]


async def test_a_server_that_sends_less_than_it_promises_is_asked_for_less(
    paging: Paging, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(100)
    arcgis_server.real_limit = 7
    assert len(await paging.features(arcgis_server.layer_url)) == 100


async def test_ids_listed_in_parts_are_all_found(
    paging: Paging, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(95)
    arcgis_server.id_limit = 20
    assert len(await paging.features(arcgis_server.layer_url)) == 95


async def test_ids_that_are_kept_back_are_a_partial_file(
    paging: Paging, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(95)
    arcgis_server.id_limit, arcgis_server.admits_id_limit = 20, False
    failure = await paging.failure(arcgis_server.layer_url)
    assert isinstance(failure, PartialFileError)
    assert "20 ids for 95 features" in str(failure)


@pytest.mark.parametrize(
    "fault",
    [
        web.Response(status=503),
        web.Response(status=429, headers={"Retry-After": "0"}),
        error(500, "Error performing query operation"),
        error(400, "Unable to complete operation."),
        web.Response(text="<html>busy</html>", content_type="text/html"),
    ],
    ids=["503", "429", "error in a 200", "400 in a 200", "html"],
)
async def test_a_page_that_fails_once_is_asked_for_again(
    paging: Paging, arcgis_server: ArcgisServer, fault: web.Response
) -> None:
    arcgis_server.layers[0] = trees(150)
    arcgis_server.formats = "JSON"
    arcgis_server.faults = [None, None, None, None, fault]
    assert len(await paging.features(arcgis_server.layer_url)) == 150


async def test_a_server_that_refuses_geojson_after_all_is_asked_for_its_own_json(
    paging: Paging, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(5)
    arcgis_server.faults = [None, None, None, error(400, "Output format not supported.")]
    assert len(await paging.features(arcgis_server.layer_url)) == 5
    assert [query["f"] for query in arcgis_server.queries()] == ["geojson", "json"]


async def test_an_id_that_does_not_come_back_is_a_partial_file(
    paging: Paging, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(10)
    arcgis_server.vanished = {arcgis_server.layers[0][4]["attributes"]["OBJECTID"]}
    failure = await paging.failure(arcgis_server.layer_url)
    assert isinstance(failure, PartialFileError)
    assert failure.transient


async def test_a_server_that_asks_to_be_left_alone_for_long_is(
    paging: Paging, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(5)
    arcgis_server.faults = [None, web.Response(status=429, headers={"Retry-After": "3600"})]
    failure = await paging.failure(arcgis_server.layer_url)
    assert isinstance(failure, DownloadError)
    assert failure.retry_after_seconds == 3600


@pytest.mark.parametrize("version", [9.3, 10, 10.05, None])
async def test_servers_before_10_1_are_refused(
    paging: Paging, arcgis_server: ArcgisServer, version: float | None
) -> None:
    arcgis_server.version = version
    failure = await paging.failure(arcgis_server.layer_url)
    assert isinstance(failure, ArcgisVersionError)
    assert failure.code == 1013


async def test_a_layer_that_cannot_be_queried_is_refused(
    paging: Paging, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.capabilities = "Map,Data"
    failure = await paging.failure(arcgis_server.layer_url)
    assert isinstance(failure, ArcgisQueryError)
    assert failure.code == 1023


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (error(400, "Requested operation is not supported by this service."), ArcgisQueryError),
        (error(499, "Token Required"), ForbiddenSourceError),
        (error(403, "You do not have permissions"), ForbiddenSourceError),
        (error(404, "Service not found"), FileNotFoundAtSourceError),
        (error(400, "Invalid URL"), FileNotFoundAtSourceError),
        (error(400, "Cannot perform query", status=400), DownloadRefusedError),
        (web.Response(status=404), FileNotFoundAtSourceError),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_an_error_inside_an_answer_becomes_ours(
    paging: Paging, arcgis_server: ArcgisServer, fault: web.Response, expected: type[RunError]
) -> None:
    arcgis_server.faults = [None, fault]
    assert type(await paging.failure(arcgis_server.layer_url)) is expected


async def test_another_projection_than_was_asked_for_is_refused(
    paging: Paging, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(2)
    arcgis_server.wkid = 25832
    assert isinstance(await paging.failure(arcgis_server.layer_url), UnknownSridError)


async def test_a_users_own_query_is_kept_and_read_to_its_end(
    paging: Paging, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(200)
    url = f"{arcgis_server.layer_url}/query?where=kind%3D%27oak%27&outFields=*&f=geojson"
    features = await paging.features(url)
    assert {feature["properties"]["kind"] for feature in features} == {"oak"}
    assert len(features) == sum(row["attributes"]["OBJECTID"] % 2 for row in trees(200))


async def test_a_service_of_several_layers_comes_as_a_zip_the_same_each_time(
    paging: Paging, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers = {0: trees(3), 1: trees(4), 2: []}
    arcgis_server.names = {0: "Trees", 1: "Benches", 2: "trees"}
    fetched = await paging.file(arcgis_server.service_url)
    with zipfile.ZipFile(fetched.path) as archive:
        assert archive.namelist() == ["Trees.geojson", "Benches.geojson", "2_trees.geojson"]
        assert len(json.loads(archive.read("Benches.geojson"))["features"]) == 4
    outcome = await paging.fetch(arcgis_server.service_url, fetched.version)
    assert isinstance(outcome, NotModified)


async def test_a_service_of_one_layer_is_that_layer(
    paging: Paging, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(3)
    assert len(await paging.features(arcgis_server.service_url)) == 3


async def test_numbers_that_json_does_not_know_are_read(
    paging: Paging, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = [{"attributes": {"OBJECTID": 1}}]
    arcgis_server.formats = "JSON"
    arcgis_server.raw_answer = (
        '{"features":[{"attributes":{"OBJECTID":1,"a":NaN,"b":INF,"c":-Inf,"d":"NaN, INF",'
        '"e":1.#QNAN},"geometry":{"x":"NaN","y":NaN}}]}'
    )
    [feature] = await paging.features(arcgis_server.layer_url)
    assert feature["geometry"] is None
    assert feature["properties"] == {
        "OBJECTID": 1,
        "a": None,
        "b": "Infinity",
        "c": "-Infinity",
        "d": "NaN, INF",
        "e": None,
    }


async def test_all_pages_count_to_the_byte_cap(paging: Paging, arcgis_server: ArcgisServer) -> None:
    arcgis_server.layers[0] = trees(500)
    paging.settings["max_file_bytes"] = 20_000
    assert isinstance(await paging.failure(arcgis_server.layer_url), FileTooBigError)


async def test_pages_go_through_the_guard(paging: Paging, arcgis_server: ArcgisServer) -> None:
    paging.settings["allowed_networks"] = ()
    assert isinstance(await paging.failure(arcgis_server.layer_url), BlockedAddressError)
