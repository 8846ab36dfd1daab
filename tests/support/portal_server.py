"""Open-data portals: a CKAN and an ArcGIS Hub site, as far as resolving their pages goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from tests.support.app_server import AppServer

if TYPE_CHECKING:
    from collections.abc import Iterator

ITEM = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
TABLE = b"name,trees\nNorth,3\nSouth,5\n"


class PortalServer(AppServer):
    def __init__(self) -> None:
        super().__init__()
        self.resources: list[dict[str, Any]] = []
        self.looks_until_ready = 0
        """How often the download is still being made."""

    def routes(self, app: web.Application) -> None:
        app.router.add_get("/{site:(en/)?}api/3/action/package_show", self._package)
        app.router.add_get("/api/v3/datasets", self._datasets)
        app.router.add_get(f"/api/download/v1/items/{ITEM}/geojson", self._download)
        app.router.add_get("/files/{name}", self._file)
        app.router.add_get("/dataset/plain", self._file)

    async def _package(self, request: web.Request) -> web.Response:
        if request.query["id"] != "parks":
            answer = {"success": False, "error": {"__type": "Not Found Error"}}
            return web.json_response(answer, status=404)
        return web.json_response({"success": True, "result": {"resources": self.resources}})

    async def _datasets(self, request: web.Request) -> web.Response:
        is_known = request.query["filter[slug]"] == "city::parks"
        return web.json_response({"data": [{"id": f"{ITEM}_4"}] if is_known else []})

    async def _download(self, request: web.Request) -> web.Response:
        if self.looks_until_ready > 0:
            self.looks_until_ready -= 1
            return web.json_response({"status": "Pending"}, status=202)
        name = f"layer_{request.query['layers']}.csv"
        answer = {"status": "Completed", "resultUrl": str(request.url.origin() / "files" / name)}
        return web.json_response(answer)

    async def _file(self, request: web.Request) -> web.Response:
        return web.Response(body=TABLE, content_type="text/csv", headers={"ETag": '"v1"'})


@pytest.fixture
def portal_server() -> Iterator[PortalServer]:
    with PortalServer() as server:
        yield server
