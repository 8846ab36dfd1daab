"""Connections to the database: every one of ours speaks with the same session settings."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection, Error, OperationalError, errors
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

UNAVAILABLE = (OperationalError, PoolTimeout, PoolClosed, TooManyRequests)
"""What a call of the database or its pool raises while the database does not answer."""

_SESSION = {
    "search_path": "synctables,public",
    "TimeZone": "UTC",
    # Databases and roles may have other defaults. With fewer digits, numbers that differ would have
    # one text form; what locks rows and then reads them must see what was committed meanwhile.
    "extra_float_digits": "1",
    "default_transaction_isolation": r"read\ committed",
    "idle_in_transaction_session_timeout": "600000",  # ms; a hung caller must not block VACUUM
    # What the server needs to notice within two minutes that our machine is gone, and to free the
    # locks; where the server's system lacks one of them, or on a unix socket, it is ignored.
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "15",
    "tcp_keepalives_count": "4",
    "tcp_user_timeout": "120000",  # ms
}
CLIENT_CHECK_INTERVAL = "5s"
"""How often a server looks, during a long statement, whether its client is still there."""


def connection_options(application_name: str) -> dict[str, Any]:
    """The keyword arguments of `psycopg.connect` for any connection of ours.

    Statements are never prepared on the server: a plan kept across ALTER TABLE would fail;
    keepalives tell within about two minutes that the other machine is gone.
    """
    return {
        "application_name": application_name,
        "options": " ".join(f"-c {name}={value}" for name, value in _SESSION.items()),
        "prepare_threshold": None,
        "keepalives": 1,
        "keepalives_idle": 60,
        "keepalives_interval": 15,
        "keepalives_count": 4,
        "tcp_user_timeout": 120_000,
        "connect_timeout": 10,
    }


async def connect(database_url: str, *, application_name: str) -> AsyncConnection[DictRow]:
    """One connection outside any pool, for a listener or a long transaction."""
    connection = await AsyncConnection.connect(
        database_url, row_factory=dict_row, **connection_options(application_name)
    )
    await watch_client(connection)
    return connection


@asynccontextmanager
async def autocommit(connection: AsyncConnection[DictRow]) -> AsyncIterator[None]:
    """In the block, only what is in an explicit transaction is in one."""
    await connection.set_autocommit(True)
    try:
        yield
    finally:
        if not connection.closed:
            await connection.set_autocommit(False)


async def watch_client(connection: AsyncConnection[DictRow]) -> None:
    """Have the server end a statement of this session when our process is gone.

    Not every system can tell a server so. There the setting is refused, and the statement of a dead
    process goes on to its end.
    """
    with suppress(errors.InvalidParameterValue):
        async with connection.transaction():
            await connection.execute(
                f"SET client_connection_check_interval = '{CLIENT_CHECK_INTERVAL}'"
            )


@asynccontextmanager
async def session_of_users(
    pool: AsyncConnectionPool[AsyncConnection[DictRow]],
) -> AsyncIterator[AsyncConnection[DictRow]]:
    """A connection on which code of users runs, which may leave settings behind."""
    async with pool.connection() as connection:
        try:
            yield connection
        finally:
            await _renew_session(connection)


async def _renew_session(connection: AsyncConnection[DictRow]) -> None:
    """Undo what users' code may have done to the session, before it goes back into its pool.

    Triggers, and functions in constraints, run in the session of whoever writes, and SET outlives
    the transaction: another search_path or timeout would be in force for everybody's next run.
    """
    if connection.info.transaction_status is not TransactionStatus.IDLE:
        return  # the pool sees to it
    with suppress(Error):
        await connection.set_autocommit(True)
        await connection.execute("DISCARD ALL")
        await connection.set_autocommit(False)
        await watch_client(connection)
        return
    await connection.close()


def create_pool(
    database_url: str,
    *,
    min_size: int = 1,
    max_size: int = 10,
    application_name: str,
    check_again_seconds: float = 0.0,
) -> AsyncConnectionPool[AsyncConnection[DictRow]]:
    """A pool that is not open yet; a connection that died is replaced before it is handed out.

    One that was alive within ``check_again_seconds`` is not asked for it again.
    """
    checked_at: WeakKeyDictionary[AsyncConnection[DictRow], float] = WeakKeyDictionary()

    async def check(connection: AsyncConnection[DictRow]) -> None:
        now = time.monotonic()
        if now - checked_at.get(connection, -math.inf) >= check_again_seconds:
            await AsyncConnectionPool.check_connection(connection)
            checked_at[connection] = now

    return AsyncConnectionPool(
        database_url,
        connection_class=AsyncConnection[DictRow],
        kwargs={"row_factory": dict_row, **connection_options(application_name)},
        min_size=min_size,
        max_size=max_size,
        # Attempts back off (1, 2, 4, … s) until this long, then begin anew with the next caller:
        # with the default of 300 s a pool may sleep for minutes after the database came back.
        reconnect_timeout=10,
        name=application_name,
        configure=watch_client,
        check=check,
        open=False,
    )
