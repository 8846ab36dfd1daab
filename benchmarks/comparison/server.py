"""Serves big files over loopback HTTP, straight from disk, with an ETag that the caller chooses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


@dataclass(frozen=True, kw_only=True)
class Served:
    path: Path
    etag: str


class FileServer(ThreadingHTTPServer):
    """The published files by name."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._files: dict[str, Served] = {}
        self._published_count = 0

    def publish(self, name: str, path: Path) -> str:
        """Serve this file under the name from now on, as a new version. Returns its address."""
        self._published_count += 1
        self._files[f"/{name}"] = Served(path=path, etag=f'"version-{self._published_count}"')
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def find(self, path: str) -> Served | None:
        return self._files.get(path)


class _Handler(BaseHTTPRequestHandler):
    server: FileServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        served = self.server.find(self.path)
        if served is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        if self.headers.get("If-None-Match") == served.etag:
            self._head(HTTPStatus.NOT_MODIFIED, served.etag, size=0)
            return
        with served.path.open("rb") as file:
            self._head(HTTPStatus.OK, served.etag, size=served.path.stat().st_size)
            self.wfile.flush()
            self.connection.sendfile(file)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Say nothing."""

    def _head(self, status: HTTPStatus, etag: str, *, size: int) -> None:
        self.send_response(status)
        self.send_header("ETag", etag)
        if status is HTTPStatus.OK:
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(size))
        self.end_headers()


@contextmanager
def run_file_server() -> Iterator[FileServer]:
    """A server on a free port, closed at the end."""
    server = FileServer()
    thread = Thread(target=server.serve_forever, name="file server")
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
