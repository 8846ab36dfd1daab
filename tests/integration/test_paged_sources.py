"""Collections that come in pages: whole, in order, or an error; against real local servers."""

from __future__ import annotations

import hashlib
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from synctables.datasources._http import create_http_session
from synctables.datasources.base import Fetched, NotModified, SourceVersion
from synctables.datasources.public_url import PublicUrlDatasource
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
from synctables.importer.fetch import fetch
from synctables.settings import Settings
from tests.support.arcgis_server import ArcgisServer, error, trees
from tests.support.fetching import LOOPBACK
from tests.support.ogc_server import OgcServer, exception_report, parks

if TYPE_CHECKING:
    from pathlib import Path


class Reader:
    """The datasource as a run uses it."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.settings: dict[str, Any] = {"allowed_networks": LOOPBACK}

    async def fetch(self, url: str, known: SourceVersion | None = None) -> Fetched | NotModified:
        settings = Settings.model_validate(self.settings)
        async with create_http_session(settings) as session:
            return await fetch(
                PublicUrlDatasource(session, settings, backoff_seconds=0),
                url,
                known=known,
                into=self.workspace,
                on_bytes=lambda received, total: None,
            )

    async def file(self, url: str) -> Fetched:
        fetched = await self.fetch(url)
        assert isinstance(fetched, Fetched)
        whole = fetched.path.read_bytes()
        assert fetched.size_bytes == len(whole)
        assert fetched.version.content_sha256 == hashlib.sha256(whole).hexdigest()
        assert [path.name for path in fetched.path.parent.iterdir()] == [fetched.file_name]
        return fetched

    async def features(self, url: str) -> list[dict[str, Any]]:
        fetched = await self.file(url)
        found = json.loads(fetched.path.read_bytes())
        assert found["type"] == "FeatureCollection"
        return list(found["features"])

    async def failure(self, url: str) -> RunError:
        with pytest.raises(RunError) as caught:
            await self.fetch(url)
        return caught.value


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


def ids(features: list[dict[str, Any]]) -> list[int]:
    return [feature["properties"]["OBJECTID"] for feature in features]


# --- ArcGIS --------------------------------------------------------------------------------------


@pytest.mark.parametrize("formats", ["JSON, geoJSON, PBF", "JSON, AMF"])
async def test_a_layer_arrives_whole_and_in_the_order_of_its_ids(
    reader: Reader, arcgis_server: ArcgisServer, formats: str
) -> None:
    arcgis_server.layers[0] = trees(750)
    arcgis_server.formats = formats
    fetched = await reader.file(arcgis_server.layer_url)
    assert (fetched.file_name, fetched.content_type) == ("Trees.geojson", "application/geo+json")
    features = json.loads(fetched.path.read_bytes())["features"]
    assert ids(features) == sorted(row["attributes"]["OBJECTID"] for row in trees(750))
    first = features[0]
    assert first["properties"]["planted"] == "1970-01-01T00:00:00Z"
    assert first["geometry"]["coordinates"] == [first["properties"]["OBJECTID"] / 1000, 50.5]
    assert {query["outSR"] for query in arcgis_server.queries()} == {"4326"}


async def test_a_layer_of_a_map_server_is_read_like_one_of_a_feature_server(
    reader: Reader, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(150)
    url = arcgis_server.layer_url.replace("FeatureServer", "MapServer")
    assert ids(await reader.features(url)) == ids(await reader.features(arcgis_server.layer_url))
    assert any("/MapServer/0/query" in path for path, _ in arcgis_server.requests)


async def test_both_formats_of_a_server_give_the_same_file(
    reader: Reader, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(20)
    one = await reader.file(arcgis_server.layer_url)
    arcgis_server.formats = "JSON"
    outcome = await reader.fetch(arcgis_server.layer_url, one.version)
    assert isinstance(outcome, NotModified)


async def test_an_unchanged_layer_is_not_modified_though_its_server_mixes_the_order(
    reader: Reader, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(30)
    first = await reader.file(arcgis_server.layer_url)
    arcgis_server.layers[0].reverse()
    assert isinstance(await reader.fetch(arcgis_server.layer_url, first.version), NotModified)
    arcgis_server.layers[0][3]["attributes"]["kind"] = "ash"
    assert isinstance(await reader.fetch(arcgis_server.layer_url, first.version), Fetched)


async def test_an_empty_layer_is_a_valid_file(reader: Reader, arcgis_server: ArcgisServer) -> None:
    assert await reader.features(arcgis_server.layer_url) == []


async def test_blocks_never_exceed_what_the_server_allows(
    reader: Reader, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(100)
    arcgis_server.max_record_count = 30
    assert len(await reader.features(arcgis_server.layer_url)) == 100
    sizes = [len(query["objectIds"].split(",")) for query in arcgis_server.queries()]
    assert sizes == [30, 30, 30, 10]


async def test_a_server_that_sends_less_than_it_promises_is_asked_for_less(
    reader: Reader, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(100)
    arcgis_server.real_limit = 7
    assert len(await reader.features(arcgis_server.layer_url)) == 100


async def test_ids_listed_in_parts_are_all_found(
    reader: Reader, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(95)
    arcgis_server.id_limit = 20
    assert len(await reader.features(arcgis_server.layer_url)) == 95


async def test_ids_that_are_kept_back_are_a_partial_file(
    reader: Reader, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(95)
    arcgis_server.id_limit, arcgis_server.admits_id_limit = 20, False
    failure = await reader.failure(arcgis_server.layer_url)
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
    reader: Reader, arcgis_server: ArcgisServer, fault: web.Response
) -> None:
    arcgis_server.layers[0] = trees(150)
    arcgis_server.formats = "JSON"
    arcgis_server.faults = [None, None, None, None, fault]
    assert len(await reader.features(arcgis_server.layer_url)) == 150


async def test_a_server_that_refuses_geojson_after_all_is_asked_for_its_own_json(
    reader: Reader, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(5)
    arcgis_server.faults = [None, None, None, error(400, "Output format not supported.")]
    assert len(await reader.features(arcgis_server.layer_url)) == 5
    assert [query["f"] for query in arcgis_server.queries()] == ["geojson", "json"]


async def test_an_id_that_does_not_come_back_is_a_partial_file(
    reader: Reader, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(10)
    arcgis_server.vanished = {arcgis_server.layers[0][4]["attributes"]["OBJECTID"]}
    failure = await reader.failure(arcgis_server.layer_url)
    assert isinstance(failure, PartialFileError)
    assert failure.transient


async def test_a_server_that_asks_to_be_left_alone_for_long_is(
    reader: Reader, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(5)
    arcgis_server.faults = [None, web.Response(status=429, headers={"Retry-After": "3600"})]
    failure = await reader.failure(arcgis_server.layer_url)
    assert isinstance(failure, DownloadError)
    assert failure.retry_after_seconds == 3600


@pytest.mark.parametrize("version", [9.3, 10, 10.05, None])
async def test_servers_before_10_1_are_refused(
    reader: Reader, arcgis_server: ArcgisServer, version: float | None
) -> None:
    arcgis_server.version = version
    failure = await reader.failure(arcgis_server.layer_url)
    assert isinstance(failure, ArcgisVersionError)
    assert failure.code == 1013


async def test_a_layer_that_cannot_be_queried_is_refused(
    reader: Reader, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.capabilities = "Map,Data"
    failure = await reader.failure(arcgis_server.layer_url)
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
    reader: Reader, arcgis_server: ArcgisServer, fault: web.Response, expected: type[RunError]
) -> None:
    arcgis_server.faults = [None, fault]
    assert type(await reader.failure(arcgis_server.layer_url)) is expected


async def test_another_projection_than_was_asked_for_is_refused(
    reader: Reader, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(2)
    arcgis_server.wkid = 25832
    assert isinstance(await reader.failure(arcgis_server.layer_url), UnknownSridError)


async def test_a_users_own_query_is_kept_and_read_to_its_end(
    reader: Reader, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(200)
    url = f"{arcgis_server.layer_url}/query?where=kind%3D%27oak%27&outFields=*&f=geojson"
    features = await reader.features(url)
    assert {feature["properties"]["kind"] for feature in features} == {"oak"}
    assert len(features) == sum(row["attributes"]["OBJECTID"] % 2 for row in trees(200))


async def test_a_service_of_several_layers_comes_as_a_zip_the_same_each_time(
    reader: Reader, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers = {0: trees(3), 1: trees(4), 2: []}
    arcgis_server.names = {0: "Trees", 1: "Benches", 2: "trees"}
    fetched = await reader.file(arcgis_server.service_url)
    with zipfile.ZipFile(fetched.path) as archive:
        assert archive.namelist() == ["Trees.geojson", "Benches.geojson", "2_trees.geojson"]
        assert len(json.loads(archive.read("Benches.geojson"))["features"]) == 4
    outcome = await reader.fetch(arcgis_server.service_url, fetched.version)
    assert isinstance(outcome, NotModified)


async def test_a_service_of_one_layer_is_that_layer(
    reader: Reader, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(3)
    assert len(await reader.features(arcgis_server.service_url)) == 3


async def test_numbers_that_json_does_not_know_are_read(
    reader: Reader, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = [{"attributes": {"OBJECTID": 1}}]
    arcgis_server.formats = "JSON"
    arcgis_server.raw_answer = (
        '{"features":[{"attributes":{"OBJECTID":1,"a":NaN,"b":INF,"c":-Inf,"d":"NaN, INF",'
        '"e":1.#QNAN},"geometry":{"x":"NaN","y":NaN}}]}'
    )
    [feature] = await reader.features(arcgis_server.layer_url)
    assert feature["geometry"] is None
    assert feature["properties"] == {
        "OBJECTID": 1,
        "a": None,
        "b": "Infinity",
        "c": "-Infinity",
        "d": "NaN, INF",
        "e": None,
    }


async def test_all_pages_count_to_the_byte_cap(reader: Reader, arcgis_server: ArcgisServer) -> None:
    arcgis_server.layers[0] = trees(500)
    reader.settings["max_file_bytes"] = 20_000
    assert isinstance(await reader.failure(arcgis_server.layer_url), FileTooBigError)


async def test_pages_go_through_the_guard(reader: Reader, arcgis_server: ArcgisServer) -> None:
    reader.settings["allowed_networks"] = ()
    assert isinstance(await reader.failure(arcgis_server.layer_url), BlockedAddressError)


# --- OGC API Features ----------------------------------------------------------------------------


@pytest.mark.parametrize("is_relative", [True, False])
@pytest.mark.parametrize("says_matched", [True, False])
async def test_a_collection_is_read_along_its_links(
    reader: Reader, ogc_server: OgcServer, is_relative: bool, says_matched: bool
) -> None:
    ogc_server.features = parks(35)
    ogc_server.next_is_relative, ogc_server.says_matched = is_relative, says_matched
    fetched = await reader.file(ogc_server.items_url + "?limit=5&bbox=1,2,3,4")
    assert fetched.file_name == "parks.geojson"
    found = json.loads(fetched.path.read_bytes())["features"]
    assert sorted(one["id"] for one in found) == sorted(one["id"] for one in parks(35))
    assert len(ogc_server.requests) == 4


async def test_the_address_of_a_collection_means_its_items(
    reader: Reader, ogc_server: OgcServer
) -> None:
    ogc_server.features = parks(3)
    assert len(await reader.features(ogc_server.items_url.removesuffix("/items"))) == 3


async def test_an_empty_collection_is_a_valid_file(reader: Reader, ogc_server: OgcServer) -> None:
    assert await reader.features(ogc_server.items_url) == []


async def test_an_unchanged_collection_is_not_modified_in_any_order(
    reader: Reader, ogc_server: OgcServer
) -> None:
    ogc_server.features = parks(35)
    ogc_server.reverses = True
    first = await reader.file(ogc_server.items_url)
    ogc_server.features = parks(35)[::-1]
    assert isinstance(await reader.fetch(ogc_server.items_url, first.version), NotModified)


async def test_a_limit_that_the_server_refuses_is_halved(
    reader: Reader, ogc_server: OgcServer
) -> None:
    ogc_server.features = parks(25)
    ogc_server.refuses_limit_above = 100
    assert len(await reader.features(ogc_server.items_url)) == 25


@pytest.mark.parametrize("which", [0, 1, 3])
async def test_a_page_of_a_collection_that_fails_once_is_asked_for_again(
    reader: Reader, ogc_server: OgcServer, which: int
) -> None:
    ogc_server.features = parks(35)
    ogc_server.faults = [*([None] * which), web.Response(status=502)]
    assert len(await reader.features(ogc_server.items_url)) == 35


@pytest.mark.parametrize(
    "faults",
    [{"overlap": 1}, {"matched_drift": 1}, {"circles": True}, {"has_next": False}],
    ids=lambda faults: next(iter(faults)),
)
async def test_pages_that_do_not_fit_together_are_a_partial_file(
    reader: Reader, ogc_server: OgcServer, faults: dict[str, Any]
) -> None:
    ogc_server.features = parks(35)
    vars(ogc_server).update(faults)
    assert isinstance(await reader.failure(ogc_server.items_url), PartialFileError)


@pytest.mark.parametrize("path", ["/shop/collections/summer", "/shop/collections/winter/items"])
async def test_an_address_that_only_looks_like_a_collection_is_a_file(
    reader: Reader, ogc_server: OgcServer, path: str
) -> None:
    fetched = await reader.file(ogc_server.url(path))
    assert fetched.path.read_bytes() == b"name,price\nhat,3\n"


# --- WFS -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("further", [{}, {"version": "1.1.0"}, {"count": "3", "startIndex": "9"}])
async def test_a_feature_type_is_read_page_by_page(
    reader: Reader, ogc_server: OgcServer, further: dict[str, str]
) -> None:
    ogc_server.features = parks(35)
    fetched = await reader.file(ogc_server.wfs_url(**further))
    assert fetched.file_name == "parks.geojson"
    assert len(json.loads(fetched.path.read_bytes())["features"]) == 35
    assert len(ogc_server.requests) == 4
    assert all(parameters["srsName"] == "EPSG:4326" for _, parameters in ogc_server.requests)


async def test_without_a_total_pages_are_read_until_one_is_empty(
    reader: Reader, ogc_server: OgcServer
) -> None:
    ogc_server.features = parks(30)
    ogc_server.says_matched = False
    assert len(await reader.features(ogc_server.wfs_url())) == 30


async def test_an_empty_feature_type_is_a_valid_file(reader: Reader, ogc_server: OgcServer) -> None:
    assert await reader.features(ogc_server.wfs_url()) == []


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
    reader: Reader, ogc_server: OgcServer, faults: dict[str, Any]
) -> None:
    ogc_server.features = parks(35)
    vars(ogc_server).update(faults)
    assert len(await reader.features(ogc_server.wfs_url())) == 35


async def test_ids_that_a_server_makes_up_do_not_make_a_change(
    reader: Reader, ogc_server: OgcServer
) -> None:
    ogc_server.features = parks(25)
    ogc_server.makes_up_ids = True
    first = await reader.file(ogc_server.wfs_url())
    assert isinstance(await reader.fetch(ogc_server.wfs_url(), first.version), NotModified)


async def test_the_first_format_that_a_server_speaks_is_used(
    reader: Reader, ogc_server: OgcServer
) -> None:
    ogc_server.features = parks(3)
    ogc_server.formats = ("geojson",)
    assert len(await reader.features(ogc_server.wfs_url())) == 3


async def test_another_projection_is_said_in_the_file(
    reader: Reader, ogc_server: OgcServer
) -> None:
    ogc_server.features = parks(3)
    ogc_server.crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::25832"}}
    fetched = await reader.file(ogc_server.wfs_url())
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
    reader: Reader, ogc_server: OgcServer, report: tuple[str, str, str], expected: type[RunError]
) -> None:
    ogc_server.faults = [exception_report(*report) for _ in range(30)]
    failure = await reader.failure(ogc_server.wfs_url())
    assert isinstance(failure, expected)
    assert report[2].replace("&amp;", "&") in str(failure)


async def test_features_that_are_added_midway_are_noticed(
    reader: Reader, ogc_server: OgcServer
) -> None:
    ogc_server.features = parks(35)
    ogc_server.faults = [
        web.json_response({"type": "FeatureCollection", "features": parks(10), "numberMatched": 34})
    ]
    assert isinstance(await reader.failure(ogc_server.wfs_url()), PartialFileError)
