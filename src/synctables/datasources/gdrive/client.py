"""One account's calls to Google Drive: requests made by the SDK, over one session of google-auth.

The SDK builds every request and reads every answer; google-auth's session carries it, since its own
transport (httplib2) holds a whole body in memory and knows no pause between two bytes. Blocking;
one client serves one thread.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Self, TypeVar

import httplib2
import requests
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.auth.transport.requests import AuthorizedSession, Request
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from synctables.datasources.drives.model import Tokens
from synctables.datasources.gdrive.drive_file import FIELDS, DriveFile
from synctables.datasources.gdrive.installation import Endpoints, endpoints
from synctables.datasources.gdrive.oauth import (
    GoogleOAuthClient,
    plain_session,
    prepare_session,
)
from synctables.datasources.gdrive.readers import ConnectedAccount, Reader, ServiceAccount
from synctables.datasources.gdrive.reference import FileId
from synctables.datasources.gdrive.refusals import (
    GOOGLE,
    refresh_error,
    refusal,
    transport_error,
)
from synctables.errors import (
    DatasourceConnectError,
    DatasourceReadError,
    NotConnectedError,
    PartialFileError,
    RunError,
)
from synctables.settings import Settings

PAGE_SIZE = 1000
_CHUNK_BYTES = 1 << 18
_NO_SENSE = f"{GOOGLE} does not answer as it should."
_STUMBLES = (ValueError, LookupError, TypeError, AttributeError)
"""What reading a nonsensical answer raises."""
_EVERYWHERE = {"supportsAllDrives": True, "includeItemsFromAllDrives": True}

Part = TypeVar("Part", list[Any], dict[str, Any])
OpenAccount = Callable[[], "DriveClient"]


def open_account(settings: Settings, tokens: Tokens) -> OpenAccount:
    """How to open the account; reads no token yet. Raises `ConfigurationError`."""
    at = endpoints(settings)
    timeout = (settings.connect_timeout_seconds, settings.idle_timeout_seconds)
    key_file = settings.gdrive_service_account_file
    if key_file is not None:
        server = ServiceAccount(str(key_file))
        return lambda: DriveClient(server, at, timeout=timeout)
    oauth = GoogleOAuthClient(settings)
    return lambda: DriveClient(ConnectedAccount(tokens, oauth), at, timeout=timeout)


class DriveClient:
    """Raises a `RunError` from every method; close it, or use it as a context."""

    def __init__(
        self,
        reader: Reader,
        at: Endpoints,
        *,
        timeout: tuple[float, float],
    ) -> None:
        self._reader = reader
        self._at = at
        self._timeout = timeout
        self._plain = plain_session(at)
        self._session = AuthorizedSession(
            reader.credentials(),
            max_refresh_attempts=1,
            auth_request=partial(Request(self._plain), timeout=timeout),
        )
        prepare_session(self._session, at)
        self._sdk = build(
            "drive",
            "v3",
            http=self,  # the SDK takes whatever has httplib2's `request`
            static_discovery=True,
            cache_discovery=False,
            client_options={"api_endpoint": at.api},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()
        self._plain.close()

    def file(self, which: FileId) -> DriveFile:
        """What Google says of this file; a shortcut stays one."""
        request = self._sdk.files().get(fileId=which.id, fields=FIELDS, supportsAllDrives=True)
        return _read(self._execute(_with_key(request, which), item=str(which)))

    def files(self, query: str, *, item: str = "list of files") -> list[DriveFile]:
        """All files that the query finds, to the last page, wherever they are.

        Where Google says that a search through everything was too much, each drive by itself.
        """
        found, is_complete = self._pages(query, item, corpora="allDrives")
        if not is_complete:
            found, _ = self._pages(query, item, corpora="user")
            for drive_id in self.shared_drives():
                found += self._pages(query, item, corpora="drive", driveId=drive_id)[0]
        return list({one.id: one for one in found}.values())

    def shared_drives(self) -> dict[str, str]:
        """Names by id."""
        drives: dict[str, str] = {}
        token = None
        while True:
            request = self._sdk.drives().list(pageSize=100, pageToken=token)
            answer = self._execute(request, item="list of shared drives")
            drives |= {str(one.get("id")): str(one.get("name")) for one in _drives(answer)}
            token = answer.get("nextPageToken")
            if not token:
                return drives

    def export_links(self, which: FileId) -> Mapping[str, str]:
        """Where a document of Google's own can be had as which MIME type, without a limit."""
        request = self._sdk.files().get(
            fileId=which.id, fields="exportLinks", supportsAllDrives=True
        )
        answer = self._execute(_with_key(request, which), item=str(which))
        links = _part(answer, "exportLinks", {})
        return {kind: link for kind, link in links.items() if self._at.trusts(str(link))}

    def content(self, which: FileId, *, name: str, offset: int) -> Iterator[bytes]:
        """The file's bytes from ``offset`` on."""
        request = self._sdk.files().get_media(fileId=which.id, supportsAllDrives=True)
        request = _with_key(request, which)
        return self._stream(request.uri, request.headers, name=name, offset=offset)

    def export(self, which: FileId, *, kind: str, name: str) -> Iterator[bytes]:
        """A document of Google's own as this MIME type; Google allows 10 MB."""
        request = self._sdk.files().export_media(fileId=which.id, mimeType=kind)
        request = _with_key(request, which)
        return self._stream(request.uri, request.headers, name=name)

    def linked_export(self, link: str, *, name: str) -> Iterator[bytes]:
        """The same by one of `export_links`; a web page instead of it is a refusal."""
        return self._stream(link, {}, name=name, may_be_page=False)

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> tuple[httplib2.Response, bytes]:
        """What the SDK calls: httplib2's way in, the session's way out."""
        answer = self._session.request(
            method, uri, data=body, headers=dict(headers or {}), timeout=self._timeout
        )
        seen = {name.lower(): value for name, value in answer.headers.items()}
        return httplib2.Response({**seen, "status": str(answer.status_code)}), answer.content

    def close(self) -> None:
        """What the SDK calls as well; the session is closed with the context."""

    def _pages(self, query: str, item: str, **where: str) -> tuple[list[DriveFile], bool]:
        found: list[DriveFile] = []
        is_complete = True
        token = None
        while True:
            request = self._sdk.files().list(
                q=query,
                fields=f"nextPageToken,incompleteSearch,files({FIELDS})",
                pageSize=PAGE_SIZE,
                pageToken=token,
                **_EVERYWHERE,
                **where,
            )
            answer = self._execute(request, item=item)
            found += map(_read, _part(answer, "files", []))
            is_complete = is_complete and not answer.get("incompleteSearch")
            token = answer.get("nextPageToken")
            if not token:
                return found, is_complete

    def _execute(self, request: Any, *, item: str) -> dict[str, Any]:
        try:
            with self._troubles(item):
                answer = request.execute()
        except HttpError as error:
            retry_after = error.resp.get("retry-after")
            raise self._refused(error.resp.status, error.content, item, retry_after) from error
        except _STUMBLES as error:  # the SDK too, where an error has an unusual shape
            raise DatasourceConnectError(_NO_SENSE) from error
        if not isinstance(answer, dict):  # the SDK gives what is no JSON as text
            raise DatasourceConnectError(_NO_SENSE)
        return answer

    def _stream(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        name: str,
        offset: int = 0,
        may_be_page: bool = True,
    ) -> Iterator[bytes]:
        asked = {**headers, "accept-encoding": "identity"}
        if offset:
            asked["range"] = f"bytes={offset}-"
        with (
            self._troubles(name),
            self._session.get(url, headers=asked, stream=True, timeout=self._timeout) as answer,
        ):
            if answer.status_code not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
                retry_after = answer.headers.get("retry-after")
                raise self._refused(answer.status_code, answer.content, name, retry_after)
            if not may_be_page and "html" in answer.headers.get("content-type", ""):
                raise DatasourceReadError(f"{GOOGLE} gave a web page instead of {name}.")
            _check_offset(answer, offset, name=name)
            yield from answer.iter_content(_CHUNK_BYTES)

    def _refused(self, status: int, body: bytes, item: str, retry_after: str | None) -> RunError:
        error = refusal(status, body, item=item, retry_after=retry_after)
        if isinstance(error, NotConnectedError):
            self._reader.disconnect()
        return error

    @contextlib.contextmanager
    def _troubles(self, item: str) -> Iterator[None]:
        try:
            yield
        except RefreshError as error:
            is_service_account = self._reader.is_service_account
            raise refresh_error(error, is_service_account=is_service_account) from None
        except (requests.RequestException, GoogleAuthError) as error:
            raise transport_error(error, item=item) from error


def _part(answer: Mapping[str, Any], name: str, nothing: Part) -> Part:
    """A part of an answer, of the type of ``nothing``, which it is where Google leaves it out."""
    value = answer.get(name) or nothing
    if not isinstance(value, type(nothing)):
        raise DatasourceConnectError(_NO_SENSE)
    return value


def _drives(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    drives: list[Any] = _part(answer, "drives", [])
    if not all(isinstance(one, dict) for one in drives):
        raise DatasourceConnectError(_NO_SENSE)
    return drives


def _read(answer: Any) -> DriveFile:
    try:
        return DriveFile.from_json(answer)
    except _STUMBLES as error:
        raise DatasourceConnectError(_NO_SENSE) from error


def _with_key(request: Any, which: FileId) -> Any:
    if which.resource_key:
        request.headers["X-Goog-Drive-Resource-Keys"] = f"{which.id}/{which.resource_key}"
    return request


def _check_offset(answer: requests.Response, offset: int, *, name: str) -> None:
    expected = f"bytes {offset}-"
    is_part = answer.status_code == HTTPStatus.PARTIAL_CONTENT
    if is_part != bool(offset) or (
        is_part and not answer.headers.get("content-range", "").startswith(expected)
    ):
        raise PartialFileError(f"{GOOGLE} did not go on with {name} where the connection broke.")
