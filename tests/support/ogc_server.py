"""An OGC API Features server and a WFS with the same features, written from the specifications."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yarl
from aiohttp import web

from tests.support.app_server import AppServer

if TYPE_CHECKING:
    from collections.abc import Iterator

Feature = dict[str, Any]


class OgcServer(AppServer):
    """``/api/collections/parks/items`` and ``/wfs``; faults are attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.features: list[Feature] = []
        self.most = 10
        """Features in one answer, whatever is asked."""
        self.says_matched = True
        self.matched_drift = 0
        """Added to ``numberMatched`` with every page: somebody adds features."""
        self.has_next = True
        self.next_is_relative = False
        self.circles = False
        self.overlap = 0
        self.reverses = False
        """The order of each page changes with every request."""
        self.refuses_limit_above: int | None = None
        self.crs: dict[str, Any] | None = None
        self.formats: tuple[str, ...] = ("application/json",)
        self.ignores_start = False
        self.refuses_start = False
        self.makes_up_ids = False
        self._answers = 0

    def routes(self, app: web.Application) -> None:
        app.router.add_get("/api/collections/parks/items", self._items)
        app.router.add_get("/wfs", self._wfs)
        app.router.add_get("/shop/collections/summer", self._shop)
        app.router.add_get("/shop/collections/winter/items", self._shop)

    @property
    def items_url(self) -> str:
        return self.url("/api/collections/parks/items")

    def wfs_url(self, **parameters: str) -> str:
        further = "".join(f"&{name}={value}" for name, value in parameters.items())
        return self.url(f"/wfs?service=WFS&request=GetFeature&typeNames=city:parks{further}")

    async def _shop(self, _: web.Request) -> web.Response:
        return web.Response(text="name,price\nhat,3\n", content_type="text/csv")

    async def _items(self, request: web.Request) -> web.Response:
        limit = int(request.query.get("limit", "10"))
        if self.refuses_limit_above is not None and limit > self.refuses_limit_above:
            return _json({"code": "InvalidParameterValue", "description": "limit"}, status=400)
        start = int(request.query.get("offset", "0"))
        size = min(limit, self.most)
        page = self._page(max(0, start - self.overlap), size)
        answer: dict[str, Any] = {
            "type": "FeatureCollection",
            "features": page,
            "numberReturned": len(page),
            "links": [{"rel": "self", "href": str(request.url)}],
        }
        if self.says_matched:
            answer["numberMatched"] = len(self.features) + self._answers * self.matched_drift
        if self.has_next and start + size < len(self.features):
            following = 0 if self.circles else start + size
            path = f"items?limit={limit}&offset={following}"
            href = path if self.next_is_relative else str(request.url.join(_url(path)))
            answer["links"].append({"rel": "next", "type": "application/geo+json", "href": href})
        self._answers += 1
        return _json(answer, content_type="application/geo+json")

    async def _wfs(self, request: web.Request) -> web.Response:
        asked = {name.lower(): value for name, value in request.query.items()}
        if asked.get("typenames", asked.get("typename")) != "city:parks":
            return exception_report("InvalidParameterValue", "typeName", "Feature type unknown")
        if asked["outputformat"] not in self.formats:
            return exception_report(
                "InvalidParameterValue", "outputFormat", f"Failed to find {asked['outputformat']}"
            )
        if self.refuses_start and "startindex" in asked:
            message = "Cannot do natural order without a primary key"
            return exception_report("NoApplicableCode", "", message)
        start = 0 if self.ignores_start else int(asked.get("startindex", "0"))
        count = asked.get("count") if asked["version"] == "2.0.0" else asked.get("maxfeatures")
        # As in GeoServer, the cap is for those who ask for pages.
        size = min(int(count), self.most) if count else len(self.features)
        page = self._page(start, size)
        self._answers += 1
        total = len(self.features) if self.says_matched else "unknown"
        answer = {"type": "FeatureCollection", "features": page, "numberMatched": total}
        return _json({**answer, **({"crs": self.crs} if self.crs else {})})

    def _page(self, start: int, size: int) -> list[Feature]:
        page = self.features[start : start + size]
        if self.makes_up_ids:
            page = [{**one, "id": f"parks.fid--{id(one):x}_{self._answers}"} for one in page]
        return page[::-1] if self.reverses and self._answers % 2 else page


def exception_report(code: str, locator: str, text: str, *, status: int = 200) -> web.Response:
    """As OWS 1.1 has it."""
    where = f' locator="{locator}"' if locator else ""
    return web.Response(
        status=status,
        content_type="application/xml",
        text=(
            '<?xml version="1.0" encoding="UTF-8"?><ows:ExceptionReport version="2.0.0"'
            ' xmlns:ows="http://www.opengis.net/ows/1.1">'
            f'<ows:Exception exceptionCode="{code}"{where}>'
            f"<ows:ExceptionText>{text}</ows:ExceptionText>"
            "</ows:Exception></ows:ExceptionReport>"
        ),
    )


def parks(count: int) -> list[Feature]:
    return [
        {
            "type": "Feature",
            "id": f"parks.{number}",
            "properties": {"name": f"Park {number}"},
            "geometry": {"type": "Point", "coordinates": [11.5, 50.0 + number / 1000]},
        }
        for number in range(count)
    ]


def _url(path: str) -> Any:

    return yarl.URL(path)


def _json(
    found: object, *, status: int = 200, content_type: str = "application/json"
) -> web.Response:
    return web.Response(status=status, text=json.dumps(found), content_type=content_type)


@pytest.fixture
def ogc_server() -> Iterator[OgcServer]:
    with OgcServer() as server:
        yield server
