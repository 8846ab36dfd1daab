"""A double of the Google Drive API v3 with Google's OAuth 2 endpoints, on one address.

Written from the API's discovery document and guides: partial answers by ``fields`` (only four
fields without), ``supportsAllDrives``, paging, ``alt=media`` with ranges, exports and their limit,
resource keys, shortcuts, errors as in "Resolve errors". Point the settings at it::

    double = GoogleDriveDouble()
    with run_double(double, trustme.CA()): …      # SYNCTABLES_GDRIVE_ENDPOINT = double.base_url
    double.store.put("cities.csv", b"name\nJena\n")
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from doubles.gdrive_files import CSV, XLSX, Store, StoredFile
from doubles.gdrive_query import InvalidQueryError, parse_query
from doubles.google_oauth import GoogleAuthority
from doubles.oauth import Authority
from doubles.server import Trouble, application

_DEFAULT_FIELDS = {"kind": None, "id": None, "name": None, "mimeType": None}
_FORMATS = {"xlsx": XLSX, "csv": CSV}
_MESSAGES = {
    "userRateLimitExceeded": "User Rate Limit Exceeded",
    "rateLimitExceeded": "Rate Limit Exceeded",
    "dailyLimitExceeded": "Daily Limit Exceeded",
    "domainPolicy": "The domain administrators have disabled Drive apps.",
    "cannotDownloadFile": "This file cannot be downloaded by the user.",
    "cannotDownloadAbusiveFile": "This file has been identified as malware or spam and cannot be"
    " downloaded.",
    "downloadQuotaExceeded": "The download quota for this file has been exceeded.",
    "exportSizeLimitExceeded": "This file is too large to be exported.",
    "appNotAuthorizedToFile": "The user has not granted the app access to the file.",
    "insufficientFilePermissions": "The user does not have sufficient permissions for this file.",
    "fileNotDownloadable": "Only files with binary content can be downloaded. Use Export with Docs"
    " Editors files.",
}

_Tree = dict[str, Any]


def error_body(status: int, reason: str, message: str | None = None) -> str:
    """An error as the Drive API writes it."""
    text = message or _MESSAGES.get(reason, reason)
    error = {"message": text, "domain": "global", "reason": reason}
    return json.dumps({"error": {"code": status, "message": text, "errors": [error]}})


class _AnswerError(Exception):
    def __init__(self, status: int, reason: str, message: str | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.body = error_body(status, reason, message)


class GoogleDriveDouble:
    """``most_a_page``: files on one page at most. ``export_limit_bytes``: Google's is 10 MB.

    ``is_search_incomplete``: a search through all drives stops early and says so.
    """

    name = "gdrive"

    def __init__(self, *, most_a_page: int = 1000, export_limit_bytes: int = 10_485_760) -> None:
        self.base_url = ""
        self.trouble = Trouble()
        self.authority = Authority()
        self.google = GoogleAuthority(self.authority)
        self.store = Store()
        self.most_a_page = most_a_page
        self.export_limit_bytes = export_limit_bytes
        self.is_search_incomplete = False

    def application(self) -> web.Application:
        app = application(self.trouble)
        app.middlewares.append(self._guard)
        self.google.add_routes(app)
        app.router.add_get("/drive/v3/files", self._list)
        app.router.add_get("/drive/v3/files/{id}", self._get)
        app.router.add_get("/drive/v3/files/{id}/export", self._export)
        app.router.add_get("/drive/v3/drives", self._drives)
        app.router.add_get("/spreadsheets/export", self._linked_export)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith(("/drive/", "/spreadsheets/")):
            return await handler(request)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not self.authority.is_valid(token):
            body = error_body(401, "authError", "Invalid Credentials")
            challenge = 'Bearer realm="https://accounts.google.com/", error="invalid_token"'
            return _json(body, 401, {"WWW-Authenticate": challenge})
        try:
            return await handler(request)
        except _AnswerError as error:
            return _json(error.body, error.status)

    async def _get(self, request: web.Request) -> web.StreamResponse:
        file = self._find(request, request.match_info["id"])
        if request.query.get("alt") == "media":
            return self._media(request, file)
        with self.store.lock:
            answer = file.to_json(self.base_url)
        return web.json_response(_pick(answer, _fields(request, _DEFAULT_FIELDS)))

    def _media(self, request: web.Request, file: StoredFile) -> web.Response:
        with self.store.lock:
            if file.refusal:
                raise _AnswerError(403, file.refusal)
            self.store.take_next_content(file)
            content = file.content
        if content is None:
            raise _AnswerError(403, "fileNotDownloadable")
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        if not asked:
            return web.Response(body=content, content_type=file.mime_type)
        start = int(asked[1])
        end = min(int(asked[2] or len(content)), len(content) - 1)
        if start > end:
            raise _AnswerError(416, "requestedRangeNotSatisfiable", "Request range not satisfiable")
        headers = {"Content-Range": f"bytes {start}-{end}/{len(content)}"}
        part = content[start : end + 1]
        return web.Response(status=206, body=part, content_type=file.mime_type, headers=headers)

    async def _export(self, request: web.Request) -> web.Response:
        file = self._find(request, request.match_info["id"], is_in_all_drives=True)
        kind = request.query.get("mimeType", "")
        with self.store.lock:
            if file.refusal:
                raise _AnswerError(403, file.refusal)
            content = file.exports.get(kind)
        if content is None:
            message = "The requested conversion is not supported."
            raise _AnswerError(400, "badRequest", message)
        if len(content) > self.export_limit_bytes:
            raise _AnswerError(403, "exportSizeLimitExceeded")
        return web.Response(body=content, content_type=kind)

    async def _linked_export(self, request: web.Request) -> web.Response:
        file = self._find(request, request.query.get("id", ""), is_in_all_drives=True)
        kind = _FORMATS.get(request.query.get("exportFormat", ""), "")
        if kind not in file.exports:
            page = "<!doctype html><title>Error</title>"
            return web.Response(status=400, text=page, content_type="text/html")
        return web.Response(body=file.exports[kind], content_type=kind)

    async def _drives(self, request: web.Request) -> web.Response:
        with self.store.lock:
            drives = [
                {"kind": "drive#drive", "id": drive_id, "name": name}
                for drive_id, name in self.store.drives.items()
            ]
        page, token = self._page(request, drives)
        return web.json_response({"kind": "drive#driveList", "drives": page, **token})

    async def _list(self, request: web.Request) -> web.Response:
        try:
            matches = parse_query(request.query.get("q", ""))
        except InvalidQueryError:
            raise _AnswerError(400, "invalid", "Invalid Value") from None
        with self.store.lock:
            found = [
                file.to_json(self.base_url)
                for file in reversed(self.store.files.values())
                if file.parents and matches(file) and self._is_in_corpus(request, file)
            ]
        page, token = self._page(request, found)
        answer = {
            "kind": "drive#fileList",
            "incompleteSearch": self._is_incomplete(request),
            "files": page,
            **token,
        }
        without = {"kind": None, "incompleteSearch": None, "nextPageToken": None}
        fields = _fields(request, {**without, "files": _DEFAULT_FIELDS})
        return web.json_response(_pick(answer, fields))

    def _is_in_corpus(self, request: web.Request, file: StoredFile) -> bool:
        asked = request.query
        sees_all = (
            asked.get("supportsAllDrives") == asked.get("includeItemsFromAllDrives") == "true"
        )
        match asked.get("corpora", "user"):
            case "allDrives" if sees_all:
                return file.drive_id is None or not self.is_search_incomplete
            case "drive" if sees_all and asked.get("driveId"):
                return file.drive_id == asked["driveId"]
            case "user":
                return file.drive_id is None
        raise _AnswerError(403, "teamDrivesParameterRequired", "includeItemsFromAllDrives is unset")

    def _is_incomplete(self, request: web.Request) -> bool:
        return self.is_search_incomplete and request.query.get("corpora") == "allDrives"

    def _page(self, request: web.Request, found: list[_Tree]) -> tuple[list[_Tree], _Tree]:
        try:
            start = int(base64.urlsafe_b64decode(request.query.get("pageToken", "")) or b"0")
            size = min(int(request.query.get("pageSize", "100")), self.most_a_page)
        except (ValueError, binascii.Error):
            raise _AnswerError(400, "invalid", "Invalid Value") from None
        end = start + size
        token = base64.urlsafe_b64encode(str(end).encode()).decode()
        return found[start:end], {"nextPageToken": token} if end < len(found) else {}

    def _find(
        self, request: web.Request, file_id: str, *, is_in_all_drives: bool = False
    ) -> StoredFile:
        """The file, if the account may see it. An export needs no ``supportsAllDrives``."""
        with self.store.lock:
            wanted = self.store.root_id if file_id == "root" else file_id
            file = self.store.files.get(wanted)
        keys = request.headers.get("X-Goog-Drive-Resource-Keys", "").split(",")
        sees_all = is_in_all_drives or request.query.get("supportsAllDrives") == "true"
        if (
            file is None
            or (file.drive_id and not sees_all)
            or (file.needs_key and f"{file.id}/{file.resource_key}" not in keys)
        ):
            raise _AnswerError(404, "notFound", f"File not found: {file_id}.")
        return file


def _json(body: str, status: int, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(text=body, status=status, content_type="application/json", headers=headers)


def _fields(request: web.Request, default: _Tree) -> _Tree:
    """``a,b(c,d)`` as a tree; the names of the leaves lead to None."""
    text = request.query.get("fields")
    if text is None:
        return default
    tree: _Tree = {}
    open_trees = [tree]
    name = ""
    for part in re.findall(r"\w+|[(),]", text):
        if part == "(":
            open_trees.append(open_trees[-1][name] or {})
            open_trees[-2][name] = open_trees[-1]
        elif part == ")":
            open_trees.pop()
        elif part != ",":
            name = part
            open_trees[-1][name] = None
    return tree


def _pick(answer: Any, fields: _Tree | None) -> Any:
    if fields is None:
        return answer
    if isinstance(answer, list):
        return [_pick(one, fields) for one in answer]
    return {name: _pick(answer[name], part) for name, part in fields.items() if name in answer}
