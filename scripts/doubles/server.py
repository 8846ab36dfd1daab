"""What every double is built on: an aiohttp application in a thread of its own, over TLS.

A test or the demo changes what a double holds from its own thread, under the double's ``lock``;
handlers run in the double's loop and take the same lock only for as long as they look.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import trustme
from aiohttp import web
from aiohttp.typedefs import Handler

_START_SECONDS = 20.0
_MOST_BYTES_OF_A_REQUEST = 100_000_000


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A request as it came in."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    """Names in lower case."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What a double does instead of answering, for the next requests that match."""

    path: str
    """A regular expression that the path must match from its beginning."""
    query: str = ""
    """One that is to be found in the query: for services that tell requests apart by it."""
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    content_type: str = "application/json"
    cut_after_bytes: int | None = None
    """Not an error: the usual answer, whose connection breaks after so many bytes of the body."""
    is_silent: bool = False
    """No answer at all, until the client goes away."""
    is_none: bool = False
    """The usual answer: such a request is let through before others meet their fault."""


class Double(Protocol):
    """One service: its routes, and the address where it listens once it does."""

    base_url: str

    def application(self) -> web.Application: ...


class Trouble:
    """The faults that wait for their requests, and everything that came in. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: deque[Fault] = deque()
        self._seen: list[Seen] = []

    def add(self, fault: Fault, *, times: int = 1, after: int = 0) -> None:
        """Let ``times`` requests that match meet this fault, once ``after`` others got through."""
        with self._lock:
            self._faults.extend([replace(fault, is_none=True)] * after + [fault] * times)

    def clear(self) -> None:
        """No faults any more."""
        with self._lock:
            self._faults.clear()

    def seen(self, path: str = "") -> list[Seen]:
        """The requests so far whose path matches this regular expression from its beginning."""
        with self._lock:
            return [one for one in self._seen if re.match(path, one.path)]

    def take(self, request: web.Request) -> Fault | None:
        with self._lock:
            headers = {name.lower(): value for name, value in request.headers.items()}
            self._seen.append(
                Seen(
                    method=request.method,
                    path=request.path,
                    query=request.query_string,
                    headers=headers,
                )
            )
            for fault in self._faults:
                if re.match(fault.path, request.path) and re.search(
                    fault.query, request.query_string
                ):
                    self._faults.remove(fault)
                    return fault
        return None


def application(trouble: Trouble) -> web.Application:
    """An empty application that meets the faults of ``trouble`` before any route."""

    @web.middleware
    async def meet_faults(request: web.Request, handler: Handler) -> web.StreamResponse:
        fault = trouble.take(request)
        if fault is None or fault.is_none:
            return await handler(request)
        if fault.is_silent:
            await asyncio.Event().wait()
        if fault.cut_after_bytes is None:
            return web.Response(
                status=fault.status,
                headers=fault.headers,
                text=fault.body,
                content_type=fault.content_type,
            )
        return await _cut(request, await handler(request), fault.cut_after_bytes)

    return web.Application(middlewares=[meet_faults], client_max_size=_MOST_BYTES_OF_A_REQUEST)


async def _cut(
    request: web.Request, answer: web.StreamResponse, after_bytes: int
) -> web.StreamResponse:
    body = answer.body if isinstance(answer, web.Response) else None
    if not isinstance(body, bytes):
        raise TypeError("only an answer with a body in memory can be cut")
    broken = web.StreamResponse(status=answer.status, headers=answer.headers)
    broken.content_length = len(body)
    await broken.prepare(request)
    await broken.write(body[:after_bytes])
    if request.transport:
        request.transport.abort()  # over TLS, close would wait for the other side
    return broken


@contextmanager
def run_double(double: Double, authority: trustme.CA) -> Iterator[None]:
    """Serve ``double`` at https://localhost:PORT while the block runs; sets its ``base_url``."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(double.application(), access_log=None, handler_cancellation=True)

    async def start() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        port: int = runner.addresses[0][1]
        return port

    async def stop() -> None:
        for connection in runner.server.connections if runner.server else ():
            if connection.transport:
                connection.transport.abort()  # a polite end of TLS would outlive the loop
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        port = asyncio.run_coroutine_threadsafe(start(), loop).result(_START_SECONDS)
        double.base_url = f"https://localhost:{port}"
        yield
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(_START_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_START_SECONDS)
        loop.close()


def write_authority(authority: trustme.CA, path: Path) -> Path:
    """The certificate to trust, as a PEM file."""
    authority.cert_pem.write_to_path(str(path))
    return path
