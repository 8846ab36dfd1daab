"""``synctables serve``: everything in one process tree, from the database to the first page.

The tree: this process (API and page), the worker as its child, and, when no database is
configured, the private PostgreSQL cluster. What starts last stops first.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from synctables.cli.options import DataDir, Host, Port
from synctables.cli.output import say
from synctables.cli.places import data_directory, read_settings
from synctables.errors import ConfigurationError

if TYPE_CHECKING:
    from synctables.cli.local_access import LocalAccess
    from synctables.localpg import LocalCluster
    from synctables.settings import Settings

FIRST_ACCOUNT = "main"
WORKER_GRACE_SECONDS = 5.0  # of the 10 in which everything must have stopped
LOOK_SECONDS = 1.0

# Two servers that start on one empty database must not both create the first account.
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('synctables first account', 0))"


def register(app: typer.Typer) -> None:
    app.command()(serve)


def serve(host: Host = "127.0.0.1", port: Port = 8080, data_dir: DataDir = None) -> None:
    """Run everything: API, first page, worker, and a private database if none is configured.

    Prints a line beginning `Synctables is ready:` once it accepts requests; logs go to stderr.
    The first start creates the account `main` and prints its API key, once. Ctrl-C stops it all.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # until the event loop takes them over
        signal.signal(number, _end_at_once)
    from synctables.cli.http_server import open_listener
    from synctables.log import configure_logging

    settings = read_settings(data_dir)
    configure_logging(level=settings.log_level, as_json=settings.log_json)
    with contextlib.closing(open_listener(host, port)) as listener:
        asyncio.run(_serve(settings, listener, host=host))


class _StopRequestedError(Exception):
    """SIGTERM or Ctrl-C came while something was still being started."""


class _Stop:
    """The wish to end, from a signal. Starting is not torn apart: it stops between two steps."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.event.set)

    def check(self) -> None:
        if self.event.is_set():
            raise _StopRequestedError


async def _serve(settings: "Settings", listener: socket.socket, *, host: str) -> None:
    from synctables.app import create_app
    from synctables.cli.http_server import address_of, first_of, local_address_of, serving

    stop = _Stop()
    directory = data_directory(settings)
    settings = settings.model_copy(update={"data_dir": directory})
    with contextlib.suppress(_StopRequestedError):
        async with contextlib.AsyncExitStack() as stack:
            url = settings.database_url
            if url is None:
                url = await stack.enter_async_context(_cluster(directory))
            stop.check()
            access = await prepare(url, server=local_address_of(listener))
            stop.check()
            app = create_app(settings, database_url=url)
            server = await stack.enter_async_context(serving(app, listener))
            stack.enter_context(_local_access(directory, access))
            await stack.enter_async_context(_worker(directory, database_url=url))
            say(f"Synctables is ready: {address_of(listener, host=host)}")
            await first_of(stop.event, server.task)
            server.should_exit = True  # open requests end while the worker does


@contextlib.asynccontextmanager
async def _cluster(directory: Path) -> AsyncIterator[str]:
    """The private cluster, started again should it die; gives its owner's URL."""
    from synctables.localpg import LocalCluster

    cluster = LocalCluster(directory)
    await asyncio.to_thread(cluster.start)
    ending = asyncio.Event()
    watch = asyncio.create_task(_keep_running(cluster, ending))
    try:
        yield cluster.database_url
    finally:
        ending.set()
        await watch
        await asyncio.to_thread(cluster.stop)


async def _keep_running(cluster: "LocalCluster", ending: asyncio.Event) -> None:
    import structlog

    log = structlog.get_logger(__name__)
    while not ending.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ending.wait(), LOOK_SECONDS)
        if ending.is_set() or cluster.is_running():
            continue
        log.error("database_ended")
        try:
            await asyncio.to_thread(cluster.stop)
            await asyncio.to_thread(cluster.start)
        except ConfigurationError as error:  # a full disk, say: it may pass
            log.error("database_not_started", reason=str(error))  # noqa: TRY400


async def prepare(database_url: str, *, server: str) -> "LocalAccess":
    """Migrate, create the first account on an empty database, make this machine's key."""
    from synctables.accounts import service as accounts
    from synctables.cli.local_access import LocalAccess
    from synctables.db.migrate import migrate
    from synctables.db.pool import connect

    await asyncio.to_thread(migrate, database_url)
    first_key = None
    async with await connect(database_url, application_name="synctables serve") as connection:
        async with connection.transaction():
            await connection.execute(_ONE_AT_A_TIME)
            if await accounts.count_accounts(connection) == 0:
                _, first_key = await accounts.create_account(connection, name=FIRST_ACCOUNT)
        async with connection.transaction():
            account = await accounts.find_account(connection, name=FIRST_ACCOUNT)
            account = account or (await accounts.list_accounts(connection))[0]
            local_key = await accounts.create_local_key(
                connection, account=account, host=socket.gethostname()
            )
    if first_key is not None:
        say(f"API key of account {FIRST_ACCOUNT} (shown once): {first_key}")
    return LocalAccess(server=server, account=account.name, api_key=local_key)


@contextlib.contextmanager
def _local_access(directory: Path, access: "LocalAccess") -> Iterator[None]:
    """Let the other commands on this machine find us."""
    from synctables.cli.local_access import remove_local_access, write_local_access

    write_local_access(directory, access)
    try:
        yield
    finally:
        remove_local_access(directory, access)


@contextlib.asynccontextmanager
async def _worker(directory: Path, *, database_url: str) -> AsyncIterator[None]:
    """The worker as a child process. The address with its password is not for the list of
    processes, so it travels in the environment.
    """
    from synctables.cli.supervisor import Supervisor

    supervisor = Supervisor(
        [sys.executable, "-m", "synctables", "worker", "--parent", str(os.getpid())],
        environment=os.environ
        | {"SYNCTABLES_DATABASE_URL": database_url, "SYNCTABLES_DATA_DIR": str(directory)},
    )
    await supervisor.start()
    try:
        yield
    finally:
        await supervisor.stop(grace_seconds=WORKER_GRACE_SECONDS)


def _end_at_once(*_: object) -> NoReturn:
    """Nothing has been started yet."""
    raise SystemExit(0)
