"""An ArcGIS server, as far as the public specification of feature layers goes.

Rows are ``{"attributes": …, "geometry": …}`` in EPSG:4326. Answers are Esri JSON or GeoJSON;
object ids come in no order; at most ``max_record_count`` features come at once, whatever is asked.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from synctables.datasources.paged.esri_json import to_geometry
from tests.support.app_server import AppServer, parameters_of

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = dict[str, Any]


class ArcgisServer(AppServer):
    def __init__(self) -> None:
        super().__init__()
        self.version: float | None = 11.3
        self.capabilities = "Map,Query,Data"
        self.formats = "JSON, geoJSON, PBF"
        self.max_record_count = 1000
        self.real_limit: int | None = None
        """Enforced in place of ``max_record_count``, which then is a lie."""
        self.id_limit: int | None = None
        self.admits_id_limit = True
        self.wkid = 4326
        self.vanished: set[int] = set()
        """Ids that are listed, yet no longer there."""
        self.layers: dict[int, list[Row]] = {0: []}
        self.names: dict[int, str] = {0: "Trees"}
        self.raw_answer: str | None = None
        """Sent to every query for features, as it is."""

    def routes(self, app: web.Application) -> None:
        service = "/arcgis/rest/services/City/Trees/{kind:(?:Feature|Map)Server}"
        app.router.add_route("*", service, self._describe_service)
        app.router.add_route("*", service + "/{layer:\\d+}", self._describe)
        app.router.add_route("*", service + "/{layer:\\d+}/query", self._query)

    @property
    def service_url(self) -> str:
        return self.url("/arcgis/rest/services/City/Trees/FeatureServer")

    @property
    def layer_url(self) -> str:
        return f"{self.service_url}/0"

    def queries(self) -> list[dict[str, str]]:
        """The requests for features."""
        return [parameters for _, parameters in self.requests if "objectIds" in parameters]

    async def _describe_service(self, _: web.Request) -> web.Response:
        layers = [
            {"id": number, "name": name, "type": "Feature Layer"}
            for number, name in self.names.items()
        ]
        group = {"id": 99, "name": "All", "type": "Group Layer", "subLayerIds": [0]}
        return _json({"currentVersion": self.version, "layers": [*layers, group], "tables": []})

    async def _describe(self, request: web.Request) -> web.Response:
        number = int(request.match_info["layer"])
        if number not in self.layers:
            return _error(400, "Invalid URL")
        found: dict[str, Any] = {
            "id": number,
            "name": self.names[number],
            "type": "Feature Layer",
            "capabilities": self.capabilities,
            "maxRecordCount": self.max_record_count,
            "supportedQueryFormats": self.formats,
            "fields": [
                {"name": "OBJECTID", "type": "esriFieldTypeOID"},
                {"name": "planted", "type": "esriFieldTypeDate"},
            ],
        }
        if self.version is not None:
            found["currentVersion"] = self.version
        return _json(found)

    async def _query(self, request: web.Request) -> web.Response:
        asked = await parameters_of(request)
        rows = self.layers[int(request.match_info["layer"])]
        if asked.get("where", "1=1").startswith("kind"):
            kind = asked["where"].partition("'")[2].partition("'")[0]
            rows = [row for row in rows if row["attributes"].get("kind") == kind]
        if asked.get("returnCountOnly") == "true":
            return _json({"count": len(rows)})
        if asked.get("returnIdsOnly") == "true":
            return self._ids(rows, asked)
        wanted = {int(one) for one in asked["objectIds"].split(",")} - self.vanished
        found = [row for row in rows if row["attributes"]["OBJECTID"] in wanted]
        limit = self.max_record_count if self.real_limit is None else self.real_limit
        return self._features(found[:limit], asked, is_cut=len(found) > limit)

    def _ids(self, rows: list[Row], asked: dict[str, str]) -> web.Response:
        ids = [row["attributes"]["OBJECTID"] for row in rows]
        beyond = int(asked["where"].rpartition(">")[2]) if ">" in asked["where"] else -1
        ids = [one for one in ids if one > beyond]
        answer: dict[str, Any] = {"objectIdFieldName": "OBJECTID", "objectIds": ids or None}
        if self.id_limit and len(ids) > self.id_limit:
            answer = {**answer, "objectIds": sorted(ids)[: self.id_limit]}
            answer["exceededTransferLimit"] = self.admits_id_limit
        return _json(answer)

    def _features(self, rows: list[Row], asked: dict[str, str], *, is_cut: bool) -> web.Response:
        if self.raw_answer is not None:
            return web.Response(text=self.raw_answer, content_type="application/json")
        if asked["f"] == "geojson":
            crs = {"type": "name", "properties": {"name": f"EPSG:{self.wkid}"}}
            features = [
                {
                    "type": "Feature",
                    "id": row["attributes"]["OBJECTID"],
                    "properties": row["attributes"],
                    "geometry": to_geometry(row.get("geometry")),
                }
                for row in rows
            ]
            return _json({"type": "FeatureCollection", "crs": crs, "features": features})
        return _json(
            {
                "objectIdFieldName": "OBJECTID",
                "spatialReference": {"wkid": self.wkid},
                "features": rows,
                **({"exceededTransferLimit": True} if is_cut else {}),
            }
        )


def error(code: int, message: str, *, status: int = 200) -> web.Response:
    """As ArcGIS puts it: mostly inside a 200."""
    return web.Response(
        status=status,
        text=json.dumps({"error": {"code": code, "message": message, "details": []}}),
        content_type="application/json",
    )


_error = error


def _json(found: object) -> web.Response:
    return web.Response(text=json.dumps(found), content_type="application/json")


def trees(count: int) -> list[Row]:
    """Rows in no order of their ids."""
    ids = [(number * 7919) % 100_003 for number in range(1, count + 1)]
    return [
        {
            "attributes": {"OBJECTID": one, "kind": "oak" if one % 2 else "elm", "planted": 0},
            "geometry": {"x": one / 1000, "y": 50.5},
        }
        for one in ids
    ]


@pytest.fixture
def arcgis_server() -> Iterator[ArcgisServer]:
    with ArcgisServer() as server:
        yield server
