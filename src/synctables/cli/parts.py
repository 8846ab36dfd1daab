"""``synctables api`` and ``synctables worker``: the parts of `serve`, any number of each."""

import asyncio
import contextlib
import os
import signal
import socket
from typing import TYPE_CHECKING, Annotated

import typer

from synctables.cli.options import DataDir, Host, Port
from synctables.cli.output import say
from synctables.cli.places import data_directory, find_database_url, read_settings

if TYPE_CHECKING:
    from synctables.settings import Settings

_NICENESS = 10  # beside the API, which is to answer at once; the worker's children inherit it
_SUPERVISED_GRACE_SECONDS = 8  # an orphan must not linger; its `serve` would have killed it by now


def register(app: typer.Typer) -> None:
    app.command()(api)
    app.command()(worker)


def api(host: Host = "127.0.0.1", port: Port = 8080, data_dir: DataDir = None) -> None:
    """Run the HTTP API and the first page alone, on one database with other parts.

    The database is SYNCTABLES_DATABASE_URL, else that of the `serve` that runs on --data-dir.
    """
    from synctables.cli.http_server import open_listener
    from synctables.db.migrate import migrate

    settings, database_url = _begin(data_dir)
    with contextlib.closing(open_listener(host, port)) as listener:
        migrate(database_url)
        asyncio.run(_run_api(settings, database_url, listener, host=host))


def worker(
    data_dir: DataDir = None,
    parent: Annotated[int | None, typer.Option("--parent", hidden=True)] = None,
) -> None:
    """Run a worker alone: it carries out imports and refreshes and watches the clock.

    The database is SYNCTABLES_DATABASE_URL, else that of the `serve` that runs on --data-dir.
    """
    from synctables.cli.supervisor import follow_parent
    from synctables.db.migrate import migrate

    if parent is not None:
        follow_parent(parent)
    settings, database_url = _begin(data_dir)
    if parent is None:
        migrate(database_url)
    asyncio.run(_run_worker(settings, database_url, is_supervised=parent is not None))


def _begin(data_dir: DataDir) -> "tuple[Settings, str]":
    from synctables.log import configure_logging

    settings = read_settings(data_dir)
    configure_logging(level=settings.log_level, as_json=settings.log_json)
    return settings, find_database_url(settings)


async def _run_api(
    settings: "Settings", database_url: str, listener: socket.socket, *, host: str
) -> None:
    from synctables.app import create_app
    from synctables.cli.http_server import address_of, first_of, serving

    stop = _stop_on_signals()
    async with serving(create_app(settings, database_url=database_url), listener) as server:
        say(f"Synctables is ready: {address_of(listener, host=host)}")
        await first_of(stop, server.task)


async def _run_worker(settings: "Settings", database_url: str, *, is_supervised: bool) -> None:
    from synctables.worker import run_worker

    stop = _stop_on_signals(last_resort=is_supervised)
    if is_supervised:
        os.nice(_NICENESS)
    await run_worker(settings, database_url, data_dir=data_directory(settings), stop=stop)


def _stop_on_signals(*, last_resort: bool = False) -> asyncio.Event:
    """Set by SIGTERM or Ctrl-C. With a last resort the process ends some seconds later anyway."""
    stop = asyncio.Event()

    def request() -> None:
        stop.set()
        if last_resort:
            signal.alarm(_SUPERVISED_GRACE_SECONDS)  # SIGALRM is not handled: it ends the process

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, request)
    return stop
