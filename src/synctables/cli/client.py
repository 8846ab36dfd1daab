"""A small client of the HTTP API, on the standard library."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote, urlencode, urlsplit

from synctables import __version__
from synctables.errors import (
    InvalidRequestError,
    RequestError,
    ServerUnreachableError,
    UnauthenticatedError,
    UnknownItemError,
)

if TYPE_CHECKING:
    from synctables.cli.local_access import LocalAccess

_TIMEOUT_SECONDS = 60.0
_CHUNK_BYTES = 1 << 18
_LONGEST_PAUSE_SECONDS = 1.0

_ERRORS: dict[int, type[RequestError]] = {
    400: InvalidRequestError,
    401: UnauthenticatedError,
    404: UnknownItemError,
}


@dataclass(frozen=True, kw_only=True)
class Client:
    """Speaks to one server as one account. Each call opens its own connection."""

    server: str
    """``http(s)://host[:port][/prefix]``; a prefix such as ``/user/alice`` is kept."""
    api_key: str

    @classmethod
    def of(cls, access: LocalAccess) -> Client:
        return cls(server=access.server, api_key=access.api_key)

    def get(self, path: str, *, query: Mapping[str, str] | None = None) -> Any:
        return self._call("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, body: object) -> Any:
        return self._call("POST", path, body)

    def put(self, path: str, body: object) -> Any:
        return self._call("PUT", path, body)

    def delete(self, path: str) -> None:
        self._call("DELETE", path)

    def upload(
        self, path: str, *, file: Path, query: dict[str, str], on_bytes: Callable[[int], None]
    ) -> Any:
        """POST a file's bytes as the body. ``on_bytes`` gets the count of each part sent."""
        with file.open("rb") as content:
            size = os.fstat(content.fileno()).st_size
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
            return self._send(
                "POST", f"{path}?{urlencode(query)}", _parts(content, on_bytes), headers
            )

    def _call(self, method: str, path: str, body: object = None) -> Any:
        if body is None:
            return self._send(method, path, b"" if method == "PUT" else None, {})
        content = json.dumps(body).encode()
        return self._send(method, path, content, {"Content-Type": "application/json"})

    def _send(
        self, method: str, path: str, body: bytes | Iterator[bytes] | None, headers: dict[str, str]
    ) -> Any:
        connection, prefix = _connection_to(self.server)
        own = {
            "Authorization": f"Bearer {self.api_key}",
            "Accept": "application/json",
            "User-Agent": f"synctables/{__version__}",
        }
        try:
            response = _exchange(connection, method, prefix + path, body, own | headers)
            return _answer(self.server, response.status, response, response.read())
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(self.server, error) from error
        finally:
            connection.close()


def path_of(*parts: str) -> str:
    """``/api/v1/…`` of the parts, each quoted."""
    return "/".join(["/api/v1", *(quote(part, safe="") for part in parts)])


def pauses() -> Iterator[float]:
    """Seconds to wait between two looks at something that is under way: 0.1 growing to 1."""
    pause = 0.1
    while True:
        yield pause
        pause = min(pause * 1.3, _LONGEST_PAUSE_SECONDS)


def _connection_to(server: str) -> tuple[http.client.HTTPConnection, str]:
    try:
        parts = urlsplit(server)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.scheme not in ("http", "https"):
        raise InvalidRequestError(f"{server!r} is not a server's address such as http://host:8080")
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            host, port, timeout=_TIMEOUT_SECONDS, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
    return connection, parts.path.rstrip("/")


def _exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | Iterator[bytes] | None,
    headers: dict[str, str],
) -> http.client.HTTPResponse:
    try:
        connection.request(method, path, body=body, headers=headers)
    except (BrokenPipeError, ConnectionResetError):
        # A server may refuse an upload before it has read all of it; its answer says why.
        if isinstance(body, bytes) or body is None or connection.sock is None:
            raise
    return connection.getresponse()


def _answer(server: str, status: int, response: http.client.HTTPResponse, content: bytes) -> Any:
    if 300 <= status < 400:
        raise RequestError(
            f"{server} answers with a redirect to {response.headers.get('Location', '?')}: "
            "give the address it leads to with --server."
        )
    try:
        body = json.loads(content) if content else None
    except ValueError:
        raise RequestError(
            f"{server} answered {status} and no JSON. Is it a Synctables server?"
        ) from None
    if status >= 400:
        raise _ERRORS.get(status, RequestError)(_error_text(status, body))
    return body


def _error_text(status: int, body: Any) -> str:
    errors = body.get("errors") if isinstance(body, dict) else None
    if isinstance(errors, dict):
        return "; ".join(str(text) for text in errors.values())
    return str(errors) if errors else f"The server answered {status}."


def _parts(content: BinaryIO, on_bytes: Callable[[int], None]) -> Iterator[bytes]:
    while part := content.read(_CHUNK_BYTES):
        yield part
        on_bytes(len(part))


def _unreachable(server: str, error: Exception) -> ServerUnreachableError:
    if isinstance(error, ConnectionRefusedError):
        reason = "nothing listens there. Is `synctables serve` running?"
    elif isinstance(error, socket.gaierror):
        reason = "the name does not resolve."
    elif isinstance(error, TimeoutError):
        reason = "it does not answer in time."
    elif isinstance(error, http.client.HTTPException):
        reason = "what answers does not speak HTTP."
    else:
        reason = f"{getattr(error, 'strerror', None) or error}."
    return ServerUnreachableError(f"{server} cannot be reached: {reason}")
