"""A double of Dropbox: API v2 (files, sharing, users, auth) and its OAuth 2 endpoints.

Written from the public reference, https://www.dropbox.com/developers/documentation/http, the OAuth
guide and the guides to errors and team files. All hosts of Dropbox are one here.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from doubles.dropbox_files import Files, Revision, SharedLink, StoredFile, content_hash
from doubles.dropbox_shapes import (
    PERMISSIONS,
    account_of,
    consent_page,
    file_metadata,
    folder_metadata,
    link_metadata,
    metadata_of,
    shown,
    without_paths,
)
from doubles.oauth import Authority, Issued, RefusedError
from doubles.server import Trouble, application

Json = dict[str, Any]
Answer = Callable[[web.Request, Json], web.Response]

HOME_NAMESPACE = "1001"
_RANGE = re.compile(r"bytes=(\d+)-$")


class AnswerError(Exception):
    """An answer other than what was asked for."""

    def __init__(self, status: int, body: Json | str) -> None:
        super().__init__(str(status))
        self.status = status
        self.body = body


def conflict(*tags: str) -> AnswerError:
    """409: the route's own error, a union within a union (``path``, ``not_found``)."""
    error: Json = {".tag": tags[-1]}
    for tag in reversed(tags[:-1]):
        error = {".tag": tag, tag: error}
    return AnswerError(409, {"error_summary": f"{'/'.join(tags)}/..", "error": error})


class DropboxDouble:
    """See `Double`. ``files`` is what the user has; ``trouble`` what happens to requests."""

    def __init__(self, authority: Authority | None = None) -> None:
        self.base_url = ""
        self.authority = authority or Authority()
        self.trouble = Trouble()
        self.files = Files()
        self.page_size = 100
        self.resets_cursors = 0
        """So many of the next requests for a further page meet ``reset``."""
        self.ignores_ranges = False
        self.before_download: Callable[[], None] | None = None
        """Called when the bytes of a file are asked for: what happens just before."""
        self.home_path = ""
        self.root_namespace = HOME_NAMESPACE
        self._cursors: dict[str, list[Json]] = {}

    def make_team(self, *, home_path: str, root_namespace: str = "2002") -> None:
        """The user is a member of a team with a space of its own, and has a folder in it."""
        with self.files.lock:
            self.home_path, self.root_namespace = home_path, root_namespace
            self.files.make_folder(home_path)

    def application(self) -> web.Application:
        app = application(self.trouble)
        app.router.add_get("/oauth2/authorize", self._authorize)
        app.router.add_post("/oauth2/token", self._token)
        routes: dict[str, Answer] = {
            "auth/token/revoke": self._revoke,
            "users/get_current_account": self._current_account,
            "files/get_metadata": self._get_metadata,
            "files/list_folder": self._list_folder,
            "files/list_folder/continue": self._list_folder_continue,
            "files/search_v2": self._search,
            "files/search/continue_v2": self._search_continue,
            "files/download": self._download,
            "files/export": self._export,
            "sharing/get_shared_link_metadata": self._link_metadata,
            "sharing/get_shared_link_file": self._link_file,
        }
        for route, answer in routes.items():
            app.router.add_post(f"/2/{route}", self._route(answer))
        return app

    # OAuth

    async def _authorize(self, request: web.Request) -> web.Response:
        """The consent page; ``approve=1`` is its button, ``approve=0`` the other."""
        asked = request.query
        if asked.get("client_id") != self.authority.client_id:
            return web.Response(status=400, text="Invalid client_id.")
        if "approve" not in asked:
            return web.Response(text=consent_page(asked), content_type="text/html")
        back = {"state": asked.get("state", "")}
        if asked["approve"] == "1":
            back["code"] = self.authority.consent(
                client_id=asked["client_id"],
                challenge=asked.get("code_challenge", ""),
                method=asked.get("code_challenge_method", ""),
                redirect_uri=asked.get("redirect_uri", ""),
            )
        else:
            back |= {"error": "access_denied", "error_description": "The user chose not to."}
        raise web.HTTPFound(f"{asked.get('redirect_uri', '')}?{urlencode(back)}")

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        try:
            issued, is_new = self._issue(form)
        except RefusedError as refused:
            body: Json = {"error": refused.error, "error_description": refused.description}
            if refused.error == "invalid_client":
                body = {"error": "invalid_client: Invalid client_id or client_secret"}
            return _json(body, status=400)
        body = {
            "access_token": issued.access_token,
            "token_type": "bearer",
            "expires_in": issued.expires_in,
        }
        if is_new:
            body |= {"refresh_token": issued.refresh_token, "uid": "1", "account_id": "dbid:1"}
        return _json(body)

    def _issue(self, form: Mapping[str, str]) -> tuple[Issued, bool]:
        """With PKCE the app secret is not sent; one that is sent must be right."""
        client = {
            "client_id": form.get("client_id", ""),
            "client_secret": form.get("client_secret", self.authority.client_secret),
        }
        if form.get("grant_type") == "refresh_token":
            return self.authority.refresh(form.get("refresh_token", ""), **client), False
        issued = self.authority.redeem(
            form.get("code", ""),
            verifier=form.get("code_verifier", ""),
            redirect_uri=form.get("redirect_uri", ""),
            **client,
        )
        return issued, True

    # Every route

    def _route(self, answer: Answer) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            try:
                self._check_token(request)
                text = request.headers.get("Dropbox-API-Arg") or await request.text()
                with self.files.lock:
                    return answer(request, json.loads(text) or {})
            except AnswerError as error:
                if isinstance(error.body, str):
                    return web.Response(status=error.status, text=error.body)
                return _json(error.body, status=error.status)

        return handle

    def _check_token(self, request: web.Request) -> None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not token:
            raise AnswerError(400, 'Must provide HTTP header "Authorization".')
        if not self.authority.is_valid(token):
            is_known = token in self.authority.tokens_ever()
            tag = "expired_access_token" if is_known else "invalid_access_token"
            raise AnswerError(401, {"error_summary": f"{tag}/..", "error": {".tag": tag}})

    def _above(self, request: web.Request) -> str:
        """What stands before every path of this request: ``Dropbox-API-Path-Root``."""
        header = json.loads(request.headers.get("Dropbox-API-Path-Root", '{".tag": "home"}'))
        if header[".tag"] == "home":
            return self.home_path
        if header.get("root") != self.root_namespace:
            raise AnswerError(
                422,
                {
                    "error_summary": "invalid_root/..",
                    "error": {".tag": "invalid_root", "invalid_root": self._root_info()},
                },
            )
        return ""

    def _root_info(self) -> Json:
        info = {
            ".tag": "user",
            "root_namespace_id": self.root_namespace,
            "home_namespace_id": HOME_NAMESPACE,
        }
        return info | ({".tag": "team", "home_path": self.home_path} if self.home_path else {})

    def _find(self, request: web.Request, path: str, *, above: str | None = None) -> StoredFile:
        above = self._above(request) if above is None else above
        if path.startswith("id:"):
            found = self.files.files.get(path)
            is_outside = found and not found.path.lower().startswith(above.lower())
            found = None if found is None or found.is_deleted or is_outside else found
        else:
            found = self.files.find(above + path)
        if found is None:
            is_folder = self.files.find_folder(_whole(above, path))
            raise conflict("path", "not_file" if is_folder else "not_found")
        if found.refusal:
            raise conflict("path", found.refusal)
        return found

    # users, auth

    def _current_account(self, request: web.Request, asked: Json) -> web.Response:
        return _json(account_of(self._root_info(), is_in_team=bool(self.home_path)))

    def _revoke(self, request: web.Request, asked: Json) -> web.Response:
        self.authority.revoke(request.headers["Authorization"].removeprefix("Bearer "))
        return _json(None)

    # files

    def _get_metadata(self, request: web.Request, asked: Json) -> web.Response:
        above, path = self._above(request), asked["path"]
        if folder := self.files.find_folder(_whole(above, path)):
            return _json(folder_metadata(folder, above))
        gone = self.files.find_deleted(above + path)
        if gone and asked.get("include_deleted") and not self.files.find(above + path):
            return _json({".tag": "deleted", "name": gone.name, **shown(gone, above)})
        file = self._find(request, path)
        return _json(file_metadata(file, file.now, above))

    def _list_folder(self, request: web.Request, asked: Json) -> web.Response:
        if asked.get("shared_link"):
            link = self._link(asked["shared_link"]["url"])
            entries = [
                without_paths(metadata_of(one, ""))
                for one in self.files.below(link.path + asked["path"], recursive=False)
            ]
            return _json(self._page(entries, kind="entries"))
        above, path = self._above(request), asked["path"]
        whole = _whole(above, path)
        folder = self.files.find_folder(whole)
        if whole and not folder:
            raise conflict("path", "not_folder" if self.files.find(whole) else "not_found")
        inside = self.files.below(
            folder.path if folder else "", recursive=bool(asked.get("recursive"))
        )
        return _json(self._page([metadata_of(one, above) for one in inside], kind="entries"))

    def _list_folder_continue(self, request: web.Request, asked: Json) -> web.Response:
        if self.resets_cursors:
            self.resets_cursors -= 1
            raise conflict("reset")
        return _json(self._page(self._cursors.pop(asked["cursor"]), kind="entries"))

    def _search(self, request: web.Request, asked: Json) -> web.Response:
        """By the beginnings of the words in names, as Dropbox does."""
        above = self._above(request)
        options = asked.get("options", {})
        words = re.findall(r"\w+", asked["query"].lower())
        extensions = tuple(f".{one}" for one in options.get("file_extensions", ()))
        matches = [
            {
                "match_type": {".tag": "filename"},
                "metadata": {".tag": "metadata", "metadata": metadata_of(one, above)},
            }
            for one in self.files.below(above, recursive=True)
            if isinstance(one, StoredFile)
            and one.name.lower().endswith(extensions)
            and _has_words(one.name.lower(), words)
        ]
        return _json(self._page(matches, kind="matches"))

    def _search_continue(self, request: web.Request, asked: Json) -> web.Response:
        return _json(self._page(self._cursors.pop(asked["cursor"]), kind="matches"))

    def _page(self, entries: list[Json], *, kind: str) -> Json:
        """A further page of a search repeats the last match: "duplicates may be returned"."""
        page, rest = entries[: self.page_size], entries[self.page_size :]
        cursor = secrets.token_urlsafe(24)
        repeats = kind == "matches" and rest and self.page_size > 1
        self._cursors[cursor] = [*page[-1:], *rest] if repeats else rest
        return {kind: page, "cursor": cursor, "has_more": bool(rest)}

    def _download(self, request: web.Request, asked: Json) -> web.Response:
        self._let_happen()
        above, path = self._above(request), asked["path"]
        if path.startswith("rev:"):
            found = self.files.find_revision(path.removeprefix("rev:"))
            if found is None:
                raise conflict("path", "not_found")
            file, revision = found
        else:
            file = self._find(request, path)
            revision = file.now
        if file.export_as:
            raise conflict("unsupported_file")
        return self._bytes(request, revision.served, file_metadata(file, revision, above))

    def _let_happen(self) -> None:
        if self.before_download:
            self.before_download()

    def _export(self, request: web.Request, asked: Json) -> web.Response:
        self._let_happen()
        file = self._find(request, asked["path"])
        if not file.export_as:
            raise conflict("non_exportable")
        content = file.now.served
        result = {
            "export_metadata": {
                "name": f"{file.name}.{file.export_as}",
                "size": len(content),
                "export_hash": content_hash(file.now.content),
            },
            "file_metadata": file_metadata(file, file.now, self._above(request)),
        }
        return self._bytes(request, content, result)

    def _bytes(self, request: web.Request, content: bytes, result: Json) -> web.Response:
        headers = {
            "Dropbox-API-Result": json.dumps(result),
            "Content-Type": "application/octet-stream",
        }
        asked = _RANGE.match(request.headers.get("Range", ""))
        if not asked or self.ignores_ranges:
            return web.Response(body=content, headers=headers)
        start = int(asked[1])
        if start >= len(content):
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(content)}"})
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return web.Response(status=206, body=content[start:], headers=headers)

    # sharing

    def _link(self, url: str) -> SharedLink:
        link = self.files.links.get(url.partition("?")[0])
        if link is None or "rlkey" not in url:
            raise conflict("shared_link_not_found")
        if not link.is_open:
            raise conflict("shared_link_access_denied")
        return link

    def _linked_file(self, asked: Json) -> tuple[SharedLink, StoredFile, Revision]:
        link = self._link(asked["url"])
        file = self.files.find(link.path + (asked.get("path") or ""))
        if file is None:
            raise conflict("shared_link_not_found")
        return link, file, file.now

    def _link_metadata(self, request: web.Request, asked: Json) -> web.Response:
        link = self._link(asked["url"])
        if folder := self.files.find_folder(link.path + (asked.get("path") or "")):
            about = {".tag": "folder", "id": folder.id, "name": folder.name}
            return _json(about | {"url": link.url, "link_permissions": PERMISSIONS})
        return _json(link_metadata(*self._linked_file(asked)))

    def _link_file(self, request: web.Request, asked: Json) -> web.Response:
        self._let_happen()
        link, file, revision = self._linked_file(asked)
        return self._bytes(request, revision.served, link_metadata(link, file, revision))


def _json(body: Json | None, *, status: int = 200) -> web.Response:
    """The SDK insists on this very ``Content-Type``, without a charset."""
    headers = {
        "Content-Type": "application/json",
        "X-Dropbox-Request-Id": secrets.token_hex(16),
    }
    return web.Response(status=status, body=json.dumps(body).encode(), headers=headers)


def _whole(above: str, path: str) -> str:
    return path if path.startswith("id:") else above + path


def _has_words(name: str, words: list[str]) -> bool:
    beginnings = re.findall(r"[^\W_]+", name)
    return all(any(part.startswith(word) for part in beginnings) for word in words)
