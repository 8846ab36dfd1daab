"""The web server of the files: careful as a good one, and now and then as bad as any."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from threading import Lock, Thread

from soaking.files import SoakFile

STALL_SECONDS = 3.0
_HTML = b"<!doctype html><html><title>Maintenance</title><p>Come back later.</html>"


@dataclass(frozen=True, kw_only=True)
class Served:
    content: bytes
    content_type: str

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:24]}"'


class SoakServer(ThreadingHTTPServer):
    """Serves the newest version of each file. ``fault_share`` of the requests end badly."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, *, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fault_share = 0.0
        self.faults: Counter[str] = Counter()
        self.request_count = 0
        self.not_modified_count = 0
        self._files: dict[str, Served] = {}
        self._lock = Lock()
        self._random = Random(f"{seed} server")  # noqa: S311

    def publish(self, file: SoakFile) -> str:
        """Serve the file's version from now on. Returns the address."""
        served = Served(content=file.content, content_type=file.content_type)
        with self._lock:
            self._files[f"/{file.name}"] = served
        return f"http://127.0.0.1:{self.server_port}/{file.name}"

    def find(self, path: str) -> Served | None:
        with self._lock:
            return self._files.get(path)

    def choose_fault(self) -> str | None:
        """What goes wrong with this request; None: nothing."""
        with self._lock:
            self.request_count += 1
            if self._random.random() >= self.fault_share:
                return None
            fault = self._random.choice(list(FAULTS))
            self.faults[fault] += 1
            return fault

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: clients that die in the middle of an answer are part of it."""


class _Handler(BaseHTTPRequestHandler):
    server: SoakServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        served = self.server.find(self.path)
        if served is None:
            self.send_error(404)
            return
        fault = self.server.choose_fault()
        if fault is not None:
            FAULTS[fault](self, served)
        elif self.headers.get("If-None-Match") == served.etag:
            self.server.not_modified_count += 1
            self.answer(304, served, b"")
        else:
            self.answer(200, served, served.content)

    def answer(
        self, status: int, served: Served, body: bytes, *, length: int | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("ETag", served.etag)
        if status != 304:
            self.send_header("Content-Type", served.content_type)
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def fail(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Nothing: the figures at the end are what counts."""


def _break_off(handler: _Handler, served: Served) -> None:
    handler.answer(
        200, served, served.content[: len(served.content) // 2], length=len(served.content)
    )
    handler.close_connection = True


def _lie_about_length(handler: _Handler, served: Served) -> None:
    handler.answer(200, served, served.content, length=len(served.content) + 7)
    handler.close_connection = True


def _stall(handler: _Handler, served: Served) -> None:
    time.sleep(STALL_SECONDS)
    handler.answer(200, served, served.content)


def _page(handler: _Handler, served: Served) -> None:
    del served
    handler.answer(200, Served(content=_HTML, content_type="text/html"), _HTML)


def _nothing(handler: _Handler, served: Served) -> None:
    handler.answer(200, Served(content=b"", content_type=served.content_type), b"")


FAULTS: dict[str, Callable[[_Handler, Served], None]] = {
    "500": lambda handler, _: handler.fail(500),
    "503 with Retry-After": lambda handler, _: handler.fail(503, Retry_After="2"),
    "429 with Retry-After": lambda handler, _: handler.fail(429, Retry_After="3"),
    "404": lambda handler, _: handler.fail(404),
    "redirect to a private address": lambda handler, _: handler.fail(
        302, Location="http://10.0.0.1/x.csv"
    ),
    "broken off": _break_off,
    "wrong length": _lie_about_length,
    "stalled": _stall,
    "a page instead of the file": _page,
    "no bytes": _nothing,
}


@contextmanager
def run_server(*, seed: int) -> Iterator[SoakServer]:
    with SoakServer(seed=seed) as server:
        thread = Thread(target=server.serve_forever, name="soak server", daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
