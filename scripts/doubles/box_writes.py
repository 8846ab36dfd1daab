"""Uploads and changes at the double of Box, through which tests write as they would at Box."""

from __future__ import annotations

import json
from typing import Any, cast

from aiohttp import web

from doubles.box_errors import BoxError
from doubles.box_items import Items, Node


class Writes:
    """https://developer.box.com/reference/post-files-content/ and its neighbours."""

    def __init__(self, items: Items) -> None:
        self._items = items

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/2.0/files/content", self._upload),
            web.post("/api/2.0/files/{id}/content", self._upload_version),
            web.put("/2.0/files/{id}", self._change),
            web.delete("/2.0/files/{id}", self._trash),
            web.delete("/2.0/files/{id}/trash", self._purge),
            web.post("/2.0/folders", self._make_folder),
            web.delete("/2.0/folders/{id}", self._trash),
        ]

    async def _upload(self, request: web.Request) -> web.Response:
        attributes, content = await _parts(request)
        with self._items.lock:
            parent = attributes["parent"]["id"]
            if self._items.child(parent, attributes["name"]):
                raise BoxError(409, "item_name_in_use", "Item with the same name already exists")
            number = self._items.make(parent, attributes["name"], content)
        return self._files(number)

    async def _upload_version(self, request: web.Request) -> web.Response:
        _, content = await _parts(request)
        number = request.match_info["id"]
        self._items.write(number, content)
        return self._files(number)

    async def _change(self, request: web.Request) -> web.Response:
        body = await request.json()
        node = self._items.nodes[request.match_info["id"]]
        if "shared_link" in body:
            self._items.share(node.id, f"https://{request.host}/s/link{node.id}")
        if "name" in body:
            self._items.rename(node.id, body["name"])
        return self._described(node)

    async def _trash(self, request: web.Request) -> web.Response:
        self._items.trash(request.match_info["id"])
        return web.Response(status=204)

    async def _purge(self, request: web.Request) -> web.Response:
        self._items.purge(request.match_info["id"])
        return web.Response(status=204)

    async def _make_folder(self, request: web.Request) -> web.Response:
        body = await request.json()
        with self._items.lock:
            number = self._items.make(body["parent"]["id"], body["name"], None)
        return self._described(self._items.nodes[number], status=201)

    def _files(self, number: str) -> web.Response:
        described = self._items.describe(self._items.nodes[number], None)
        return web.json_response({"total_count": 1, "entries": [described]}, status=201)

    def _described(self, node: Node, status: int = 200) -> web.Response:
        return web.json_response(self._items.describe(node, None), status=status)


async def _parts(request: web.Request) -> tuple[dict[str, Any], bytes]:
    form = await request.post()
    file = cast("web.FileField", form["file"])
    return json.loads(str(form.get("attributes", "{}"))), file.file.read()
