"""A server that speaks Box's API as far as Synctables listens, and a little of its consent page.

From https://developer.box.com/reference/ and the guides beside it: shapes of errors and pages,
downloads by a redirect to another host, which wants no token, and single-use refresh tokens.

    double = BoxDouble()
    with run_double(double, authority):
        number = double.items.put("/Data/cities.csv", b"name\\nJena\\n")
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from doubles.box_errors import BoxError, denied, meet_errors, not_found
from doubles.box_items import Items, Node
from doubles.box_oauth import OAuthPages
from doubles.box_writes import Writes
from doubles.oauth import Authority
from doubles.server import Trouble, application

_LIMIT = 1000
_SEARCH_LIMIT = 200
_LAST_OFFSET = 10_000
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class BoxDouble:
    """One Box with one user.

    ``scopes``: what the app may; ``most_per_page``: a smaller limit than Box's, to see pages turn;
    ``before_content``, ``after_bytes``: called once, when the next download is asked for, and when
    its bytes are being given; ``gives_parts``: whether it heeds a Range; ``knows_markers``: whether
    it pages as asked.
    """

    base_url = ""

    def __init__(self, *, authority: Authority | None = None) -> None:
        self.authority = authority or Authority(rotates=True, repeats_unused=True)
        self.items = Items()
        self.trouble = Trouble()
        self.scopes = {"root_readonly", "root_readwrite"}
        self.most_per_page = _LIMIT
        self.before_content: Callable[[], None] | None = None
        self.after_bytes: Callable[[], None] | None = None
        self.gives_parts = True
        self.knows_markers = True
        self._tickets: dict[str, bytes] = {}

    def application(self) -> web.Application:
        app = application(self.trouble)
        app.middlewares.append(meet_errors)
        app.add_routes(
            [
                *OAuthPages(self.authority).routes(),
                web.get("/2.0/files/{id}", self._file),
                web.get("/2.0/files/{id}/content", self._content),
                web.get("/d/1/{ticket}/download", self._download),
                web.get("/2.0/folders/{id}/items", self._folder_items),
                web.get("/2.0/search", self._search),
                web.get("/2.0/shared_items", self._shared_item),
                *Writes(self.items).routes(),
            ]
        )
        return app

    async def _file(self, request: web.Request) -> web.Response:
        with self.items.lock:
            node = self._node(request, "file")
            return web.json_response(self.items.describe(node, request.query.get("fields")))

    async def _content(self, request: web.Request) -> web.Response:
        interfere, self.before_content = self.before_content, None
        if interfere:
            interfere()
        with self.items.lock:
            node = self._node(request, "file")
            if node.refusal:
                raise BoxError(*node.refusal)
            if not node.can_download or "root_readwrite" not in self.scopes:
                raise denied()
            ticket = f"secret-ticket-{secrets.token_urlsafe(24)}"
            content = node.version.content if node.version else b""
            self._tickets[ticket] = content if node.spoiled is None else node.spoiled
        # Another name of this very server: a client must not send its token along.
        host = f"127.0.0.1:{request.url.port}"
        raise web.HTTPFound(f"https://{host}/d/1/{ticket}/download")

    async def _download(self, request: web.Request) -> web.Response:
        """The other host: whoever has the address gets the bytes, or a part of them."""
        content = self._tickets.get(request.match_info["ticket"])
        if content is None or "Authorization" in request.headers:
            return web.Response(status=403)
        interfere, self.after_bytes = self.after_bytes, None
        if interfere:
            interfere()
        asked = _RANGE.fullmatch(request.headers.get("Range", ""))
        if not asked or not self.gives_parts:
            return web.Response(body=content, headers={"Accept-Ranges": "bytes"})
        first, last = int(asked[1]), int(asked[2] or len(content) - 1)
        if first >= len(content):
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(content)}"})
        part = content[first : last + 1]
        end = first + len(part) - 1
        headers = {"Content-Range": f"bytes {first}-{end}/{len(content)}"}
        return web.Response(status=206, body=part, headers=headers)

    async def _folder_items(self, request: web.Request) -> web.Response:
        query = request.query
        limit = min(int(query.get("limit", 100)), self.most_per_page, _LIMIT)
        with self.items.lock:
            folder = self._node(request, "folder")
            inside = [one for one in self.items.children(folder.id) if self._sees(request, one)]
            first = _position(query.get("marker")) or int(query.get("offset", 0))
            page = [self.items.describe(one, query.get("fields")) for one in inside[first:][:limit]]
        answer: dict[str, Any] = {"entries": page, "limit": limit}
        # The SDK sends Python's own "True".
        if query.get("usemarker", "").lower() != "true" or not self.knows_markers:
            answer |= {"total_count": len(inside), "offset": first}
        elif first + limit < len(inside):
            answer["next_marker"] = f"marker-{first + limit}"
        return web.json_response(answer)

    async def _search(self, request: web.Request) -> web.Response:
        query = request.query
        self._let_in(request)
        limit, offset = int(query.get("limit", 30)), int(query.get("offset", 0))
        if not query.get("query") and "mdfilters" not in query:
            raise BoxError(400, "bad_request", "Please provide at least the query or mdfilters")
        if limit > _SEARCH_LIMIT or offset > _LAST_OFFSET:
            raise BoxError(400, "invalid_offset" if offset else "invalid_limit", "Out of range")
        limit = min(limit, self.most_per_page)
        with self.items.lock:
            found = [one for one in self.items.nodes.values() if _is_found(one, query)]
            entries = [self.items.describe(one, query.get("fields")) for one in found]
        return web.json_response(
            {
                "type": "search_results_items",
                "total_count": len(entries),
                "limit": limit,
                "offset": offset,
                "entries": entries[offset : offset + limit],
            }
        )

    async def _shared_item(self, request: web.Request) -> web.Response:
        self._let_in(request)
        link, password = _by_link(request)
        with self.items.lock:
            node = next((one for one in self.items.nodes.values() if one.link == link), None)
            if not link or node is None or node.is_trashed:
                raise not_found("shared_link")
            if node.link_password != password:
                raise BoxError(403, "incorrect_shared_item_password", "")
            return web.json_response(self.items.describe(node, request.query.get("fields")))

    def _node(self, request: web.Request, kind: str) -> Node:
        """The item that the address names, as far as this user may know of it."""
        self._let_in(request)
        number = request.match_info["id"]
        node = self.items.nodes.get(number)
        if node is None or node.kind != kind or not self._sees(request, node):
            raise not_found(number)
        if any(one.is_trashed for one in (node, *self.items.ancestors(node))):
            raise BoxError(404, "trashed", "Item is trashed")
        return node

    def _sees(self, request: web.Request, node: Node) -> bool:
        above = [node, *self.items.ancestors(node)]
        link, _ = _by_link(request)
        return not any(one.is_foreign for one in above) or any(
            one.link and one.link == link for one in above
        )

    def _let_in(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not self.authority.is_valid(token):
            raise BoxError(401, "", "")
        if not self.scopes & {"root_readonly", "root_readwrite"}:
            reason = "The request requires higher privileges than provided by the access token."
            raise BoxError(403, "insufficient_scope", reason)


def _by_link(request: web.Request) -> tuple[str | None, str | None]:
    given = dict(parse_qsl(request.headers.get("BoxApi", "")))
    return given.get("shared_link"), given.get("shared_link_password")


def _position(marker: str | None) -> int:
    return int(marker.removeprefix("marker-")) if marker else 0


def _is_found(node: Node, query: Any) -> bool:
    """By words of the name, in any case, one of which must begin with a word of the query."""
    extensions = query.get("file_extensions", "").split(",")
    words = re.findall(r"\w+", node.name.lower().replace("_", " "))
    asked = re.findall(r"\w+", query["query"].lower().replace("_", " "))
    return (
        node.kind == query.get("type", node.kind)
        and not (node.is_trashed or node.is_foreign)
        and (extensions == [""] or node.name.rpartition(".")[2].lower() in extensions)
        and any(word.startswith(one) for word in words for one in asked)
    )
