"""Commands that work straight on the database, without a server."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from synctables.cli.options import DataDir
from synctables.cli.places import find_database_url, read_settings
from synctables.errors import ConfigurationError

if TYPE_CHECKING:
    from psycopg import AsyncConnection
    from psycopg.rows import DictRow

    Work = Callable[[AsyncConnection[DictRow]], Awaitable["Result"]]

Result = TypeVar("Result")


def in_database(work: "Work[Result]", data_dir: DataDir) -> Result:
    """Do ``work`` in one transaction, on a database that is migrated first if it is new."""
    return asyncio.run(_connected(work, find_database_url(read_settings(data_dir))))


async def _connected(work: "Work[Result]", database_url: str) -> Result:
    import psycopg

    from synctables.db.migrate import migrate
    from synctables.db.pool import connect

    try:
        connection = await connect(database_url, application_name="synctables account")
    except psycopg.OperationalError as error:
        raise ConfigurationError(f"The database cannot be reached: {error}") from error
    async with connection:
        cursor = await connection.execute(
            "SELECT to_regclass('synctables.plans') IS NULL AS is_new"
        )
        row = await cursor.fetchone()
        await connection.commit()
        if row is None or row["is_new"]:
            await asyncio.to_thread(migrate, database_url)
        async with connection.transaction():
            return await work(connection)
