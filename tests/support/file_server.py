"""A real HTTP server on loopback that serves files and fails on demand.

It runs in a thread of its own with an event loop of its own, so one server can be used from
synchronous tests, from async tests (nothing of it runs in their loop) and by other processes.
Every method may be called from any thread. A test says what a path answers and gets the URL::

    url = file_server.put("/cities.csv", b"name,lat,lon\n", etag='"v1"')    # 200, 206 and 304
    file_server.put("/cities.csv", b"name,lat,lon\nJena,50.9,11.6\n", etag='"v2"')   # replaced
    file_server.put("/busy.csv", status=429, headers={"Retry-After": "120"})
    file_server.put("/page", b"<!doctype html>…", content_type="text/html")
    file_server.redirect("/old.csv", to=url)               # to itself: a loop; to anywhere: as is
    file_server.script("/cities.csv", Page(...), Page(...))   # one a request; the last stays
    file_server.remove("/cities.csv")                      # 404, like any path that was never put

What a page can do beyond that (see `Page` in ``file_pages`` for every field):

==========================================  ====================================================
no validators                               leave ``etag`` and ``last_modified`` out
weak validator                              ``etag='W/"v1"'``
ignores If-None-Match                       ``is_conditional=False``
ignores Range                               ``accepts_ranges=False``
length not announced                        ``is_chunked=True`` or ``is_until_close=True``
lies about its length                       ``declared_bytes=1000`` (then closes)
breaks off                                  ``cut_after_bytes=100`` (once: follow it in a script)
waits in the middle                         ``hold_after_bytes=100``; see below
never answers                               ``hold_after_bytes=0, holds_headers=True``
compressed on the way                       ``content_encoding="gzip"`` or ``"deflate"``
changes in the middle of a download         ``script(path, Page(v1, cut_after_bytes=…), Page(v2))``
==========================================  ====================================================

Holding replaces sleeping: a held answer stops at that byte until `release` is called or the
client goes away. `wait_until_held` returns once an answer is being held::

    file_server.put("/big.csv", body, hold_after_bytes=10)
    …start the download…
    file_server.wait_until_held("/big.csv")    # async tests: await asyncio.to_thread(…)
    file_server.release("/big.csv")

What came in is kept: ``file_server.requests("/cities.csv")`` is the list of `Request`, whose
``headers`` have lower-case names; ``request_count(path)`` its length. A path may hold a query;
one without answers for every query.

Fixtures: ``file_server`` (http) and ``tls_file_server`` (https; its certificate for ``localhost``
and ``127.0.0.1`` is signed by ``certificate_authority``).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections import defaultdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from tests.support.file_pages import (
    Answer,
    Page,
    Request,
    answer_of,
    head_of,
    parse_request,
    path_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_WAIT_SECONDS = 20.0
_PIECE_BYTES = 1 << 16


class FileServer:
    """See the module's text. ``with FileServer() as server: …``"""

    def __init__(
        self, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        self.host = host
        self.port = port
        self._tls = tls
        self._lock = threading.Lock()
        self._scripts: dict[str, list[Page]] = {}
        self._requests: list[Request] = []
        self._held: defaultdict[str, threading.Event] = defaultdict(threading.Event)
        self._released: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._connections: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="file-server")
        self._server: asyncio.Server | None = None

    def __enter__(self) -> FileServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; ``port`` is the real one from here on."""
        self._thread.start()
        self._run(self._listen())

    def stop(self) -> None:
        """Close every connection and end the thread."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_WAIT_SECONDS)
        self._loop.close()

    # --- what paths answer ---------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """Scheme, host and port, without a slash at the end."""
        return self.url("")

    def url(self, path: str, *, host: str | None = None, user: str | None = None) -> str:
        """A path's address; ``host``: another name of this machine, ``user``: ``name:password``."""
        scheme = "https" if self._tls else "http"
        userinfo = f"{user}@" if user else ""
        return f"{scheme}://{userinfo}{host or self.host}:{self.port}{path}"

    def put(self, path: str, body: bytes = b"", **fields: Any) -> str:
        """Let ``path`` answer with ``Page(body=body, **fields)`` from now on; returns its URL."""
        return self.script(path, Page(body=body, **fields))

    def script(self, path: str, *pages: Page) -> str:
        """Let ``path`` answer one page a request, in order; the last one stays. Returns the URL."""
        if not pages:
            raise ValueError("a script needs at least one page")
        with self._lock:
            self._scripts[path] = list(pages)
            self._held.pop(path, None)
            self._released.pop(path, None)
        return self.url(path)

    def redirect(self, path: str, *, to: str, status: int = 302) -> str:
        """Let ``path`` answer with ``Location: to``, sent as it is. Returns the URL."""
        return self.put(path, status=status, headers={"Location": to})

    def remove(self, path: str) -> None:
        """Let ``path`` answer 404 again."""
        with self._lock:
            self._scripts.pop(path, None)

    # --- what came in --------------------------------------------------------------------------

    def requests(self, path: str | None = None) -> list[Request]:
        """The requests so far, of one path (with or without its query) or of all."""
        with self._lock:
            every = list(self._requests)
        return [one for one in every if path in (None, one.target, path_of(one.target))]

    def request_count(self, path: str | None = None) -> int:
        return len(self.requests(path))

    # --- holding -------------------------------------------------------------------------------

    def wait_until_held(self, path: str, *, timeout_seconds: float = _WAIT_SECONDS) -> None:
        """Block until an answer for ``path`` is being held; `TimeoutError` if none ever is."""
        with self._lock:
            held = self._held[path]
        if not held.wait(timeout_seconds):
            raise TimeoutError(f"nothing was held at {path}")

    def release(self, path: str) -> None:
        """Let answers for ``path`` go on, those held now and those to come."""

        async def _release() -> None:
            self._released[path].set()

        self._run(_release())

    # --- the loop's side -----------------------------------------------------------------------

    def _run(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_WAIT_SECONDS)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, self.host, self.port, ssl=self._tls, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._loop.shutdown_default_executor()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            # asyncio reports a cancelled connection handler as an error, so end it quietly.
            with contextlib.suppress(OSError, asyncio.CancelledError, asyncio.IncompleteReadError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; true if the connection stays open for the next."""
        request = parse_request(await reader.readuntil(b"\r\n\r\n"))
        await reader.readexactly(int(request.headers.get("content-length", "0")))
        page = self._next_page(request)
        answer = answer_of(page, request)
        await self._send(answer, request, writer)
        return not answer.closes and request.headers.get("connection", "").lower() != "close"

    def _next_page(self, request: Request) -> Page:
        with self._lock:
            self._requests.append(request)
            script = self._scripts.get(request.target) or self._scripts.get(path_of(request.target))
            if not script:
                return Page(status=404, body=b"no such file", content_type="text/plain")
            return script.pop(0) if len(script) > 1 else script[0]

    async def _send(self, answer: Answer, request: Request, writer: asyncio.StreamWriter) -> None:
        page = answer.page
        if page.holds_headers:
            await self._hold(request)
        writer.write(head_of(answer))
        if request.method == "HEAD" or answer.status == HTTPStatus.NOT_MODIFIED:
            await writer.drain()
            return
        body = answer.body
        if page.hold_after_bytes is not None and not page.holds_headers:
            await _write(writer, body[: page.hold_after_bytes], is_chunked=answer.is_chunked)
            await self._hold(request)
            body = body[page.hold_after_bytes :]
        await _write(writer, body, is_chunked=answer.is_chunked)
        if answer.is_chunked and page.cut_after_bytes is None:
            writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def _hold(self, request: Request) -> None:
        with self._lock:
            for key in {request.target, path_of(request.target)}:
                self._held[key].set()
        waits = [
            asyncio.ensure_future(self._released[key].wait())
            for key in {request.target, path_of(request.target)}
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


async def _write(writer: asyncio.StreamWriter, body: bytes, *, is_chunked: bool) -> None:
    for start in range(0, len(body), _PIECE_BYTES):
        piece = body[start : start + _PIECE_BYTES]
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if is_chunked else piece)
        await writer.drain()


@pytest.fixture
def file_server() -> Iterator[FileServer]:
    """A server of this test's own, on a free port of 127.0.0.1."""
    with FileServer() as server:
        yield server


@pytest.fixture(scope="session")
def certificate_authority() -> trustme.CA:
    """Trusted by nobody unless a test says so (``configure_trust`` on its SSL context)."""
    return trustme.CA()


@pytest.fixture
def tls_file_server(certificate_authority: trustme.CA) -> Iterator[FileServer]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate_authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    with FileServer(tls=context) as server:
        yield server
