"""``synctables account``: who may use this service. Straight to the database."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from synctables.cli.options import AsJson, DataDir
from synctables.cli.output import print_json, print_table, say
from synctables.cli.places import find_database_url, read_settings
from synctables.errors import ConfigurationError

if TYPE_CHECKING:
    from psycopg import AsyncConnection
    from psycopg.rows import DictRow

    Work = Callable[[AsyncConnection[DictRow]], Awaitable["Result"]]

Result = TypeVar("Result")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The account's name.")]

account = typer.Typer(help="Create accounts, list them, renew their keys.")
key = typer.Typer(help="The account's API key.")
account.add_typer(key, name="key")


def register(app: typer.Typer) -> None:
    app.add_typer(account, name="account")


@account.command()
def create(name: Name, *, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Create an account and print its API key, which is not kept anywhere."""
    from synctables.accounts import service

    async def work(connection: "AsyncConnection[DictRow]") -> str:
        return (await service.create_account(connection, name=name))[1]

    _print_key(name, _in_database(work, data_dir), as_json=as_json)


@account.command("list")
def list_accounts(*, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the accounts."""
    from synctables.accounts import service

    found = _in_database(service.list_accounts, data_dir)
    if as_json:
        print_json(
            [{"username": item.name, "created_at": item.created_at.isoformat(timespec="seconds")}
             for item in found]
        )  # fmt: skip
        return
    print_table(
        ("Account", "Created"),
        [(item.name, item.created_at.isoformat(timespec="seconds")) for item in found],
    )


@key.command()
def rotate(name: Name, *, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Replace an account's API key. The old one stops working at once."""
    from synctables.accounts import service

    async def work(connection: "AsyncConnection[DictRow]") -> str:
        return await service.rotate_key(connection, name=name)

    _print_key(name, _in_database(work, data_dir), as_json=as_json)


def _print_key(name: str, api_key: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"username": name, "api_key": api_key})
    else:
        say(f"API key of account {name} (shown once): {api_key}")


def _in_database(work: "Work[Result]", data_dir: DataDir) -> Result:
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
            "SELECT to_regclass('synctables.accounts') IS NULL AS is_new"
        )
        row = await cursor.fetchone()
        await connection.commit()
        if row is None or row["is_new"]:
            await asyncio.to_thread(migrate, database_url)
        async with connection.transaction():
            return await work(connection)
