"""uvicorn inside our own process: our sockets, our signals, our order of starting and stopping."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from fastapi import FastAPI

from synctables.errors import ConfigurationError, InvalidRequestError

_OPEN_REQUESTS_SECONDS = 3


class Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting = asyncio.Event()
        self.task: asyncio.Task[None]

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: the command that runs us handles them."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except OSError as error:  # two sockets may be bound to one port until one of them listens
            raise ConfigurationError(f"Cannot accept connections: {error.strerror}.") from error
        self.accepting.set()


def open_listener(host: str, port: int) -> socket.socket:
    """A bound TCP socket; nobody can connect until the server listens on it.

    Bound before anything else is started, so that a taken port costs nothing.
    Raises `ConfigurationError` with what to do instead, `InvalidRequestError` for a wrong host.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise InvalidRequestError(f"--host {host!r} is not an address of this machine.") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise ConfigurationError(_why_not_bound(error, host=host, port=port)) from error
    return listener


def address_of(listener: socket.socket, *, host: str) -> str:
    """``http://HOST:PORT`` with the port that the socket really has."""
    return _format_address(host, listener.getsockname()[1])


def local_address_of(listener: socket.socket) -> str:
    """The address for clients on this machine, also where the socket listens on all of them."""
    host, port = listener.getsockname()[:2]
    return _format_address({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)  # noqa: S104


@contextlib.asynccontextmanager
async def serving(app: FastAPI, listener: socket.socket) -> AsyncIterator[Server]:
    """Accept requests from here to the end of the block, or until ``should_exit`` is set.

    The server's ``task`` ends early only when it failed.
    """
    config = uvicorn.Config(
        app,
        http="h11",  # httptools, which is faster, takes headers without end
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_OPEN_REQUESTS_SECONDS,
    )
    async with app.router.lifespan_context(app):
        _spare_the_collector()
        server = Server(config)
        server.task = asyncio.create_task(server.serve([listener]))
        try:
            await first_of(server.accepting, server.task)
            yield server
        finally:
            server.should_exit = True
            await server.task


def _spare_the_collector() -> None:
    """Have the garbage collector pass over all that is loaded by now, for it stays.

    Else it looks at every module, function and model again each few hundred calls, and everybody
    waits for 0.1 s.
    """
    gc.collect()
    gc.freeze()


async def first_of(event: asyncio.Event, task: asyncio.Task[None]) -> None:
    """Wait until ``event`` is set or ``task`` ends; raises what the task raised."""
    waiter = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({waiter, task}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiter.cancel()
    if task.done():
        task.result()


def _format_address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _why_not_bound(error: OSError, *, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is in use. Choose another with --port; 0 takes a free one."
    if error.errno == errno.EACCES:
        return f"Port {port} needs more rights than this user has. Choose one above 1023."
    return f"Cannot listen on {host} port {port}: {error.strerror}."
