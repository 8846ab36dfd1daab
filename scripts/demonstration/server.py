"""Serves the files over loopback HTTP as a careful web server would: ETag, Last-Modified, 304."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass(frozen=True, kw_only=True)
class Served:
    """One version of one file, as it goes over the wire."""

    content: bytes
    content_type: str
    etag: str
    last_modified: str


class FileServer(ThreadingHTTPServer):
    """The published files by path; each request sees one whole version."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, Served] = {}

    def publish(self, file_name: str, content: bytes, *, content_type: str) -> str:
        """Serve this version from now on. Returns the file's address."""
        digest = hashlib.sha256(content).hexdigest()[:32]
        now = datetime.now(UTC).replace(microsecond=0)
        self.files[f"/{file_name}"] = Served(
            content=content,
            content_type=content_type,
            etag=f'"{digest}"',
            last_modified=format_datetime(now, usegmt=True),
        )
        return f"http://127.0.0.1:{self.server_port}/{file_name}"


class _Handler(BaseHTTPRequestHandler):
    server: FileServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        served = self.server.files.get(self.path.partition("?")[0])
        if served is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        unchanged = self._is_known(served)
        self.send_response(HTTPStatus.NOT_MODIFIED if unchanged else HTTPStatus.OK)
        self.send_header("ETag", served.etag)
        self.send_header("Last-Modified", served.last_modified)
        if not unchanged:
            self.send_header("Content-Type", served.content_type)
            self.send_header("Content-Length", str(len(served.content)))
        self.end_headers()
        if with_body and not unchanged:
            self.wfile.write(served.content)

    def _is_known(self, served: Served) -> bool:
        """If-None-Match wins over If-Modified-Since (RFC 9110 section 13.2.2)."""
        known = self.headers.get("If-None-Match")
        if known is not None:
            return served.etag in [part.strip() for part in known.split(",")]
        return self.headers.get("If-Modified-Since") == served.last_modified

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Nothing: the live table is what is to be seen."""


@contextmanager
def run_file_server() -> Iterator[FileServer]:
    """A file server on a free loopback port, for as long as the block lasts."""
    with FileServer() as server:
        thread = Thread(target=server.serve_forever, name="file server", daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
