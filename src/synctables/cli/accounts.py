"""``synctables account``: who may use this service. Straight to the database."""

from typing import TYPE_CHECKING, Annotated

import typer

from synctables.cli.options import AsJson, DataDir
from synctables.cli.output import print_json, print_table, say
from synctables.cli.transactions import in_database

if TYPE_CHECKING:
    from psycopg import AsyncConnection
    from psycopg.rows import DictRow

Name = Annotated[str, typer.Argument(metavar="NAME", help="The account's name.")]

PlanName = Annotated[str, typer.Argument(metavar="PLAN", help="The plan's name.")]

account = typer.Typer(help="Create accounts, list them, give them plans, renew their keys.")
key = typer.Typer(help="The account's API key.")
account.add_typer(key, name="key")


def register(app: typer.Typer) -> None:
    app.add_typer(account, name="account")


@account.command()
def create(
    name: Name,
    *,
    plan: Annotated[str, typer.Option("--plan", help="The account's plan.")] = "default",
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Create an account and print its API key, which is not kept anywhere."""
    from synctables.accounts import plans, service

    async def work(connection: "AsyncConnection[DictRow]") -> str:
        api_key = (await service.create_account(connection, name=name))[1]
        await plans.set_plan(connection, account=name, plan=plan)
        return api_key

    _print_key(name, in_database(work, data_dir), as_json=as_json)


@account.command("list")
def list_accounts(*, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the accounts."""
    from synctables.accounts import service

    found = in_database(service.list_accounts, data_dir)
    if as_json:
        print_json(
            [{"username": item.name, "created_at": item.created_at.isoformat(timespec="seconds"),
              "plan": item.plan.name}
             for item in found]
        )  # fmt: skip
        return
    print_table(
        ("Account", "Created", "Plan"),
        [
            (item.name, item.created_at.isoformat(timespec="seconds"), item.plan.name)
            for item in found
        ],
    )


@account.command("set-plan")
def set_plan(name: Name, plan: PlanName, *, data_dir: DataDir = None) -> None:
    """Give an account another plan. What it has beyond the new limits stays."""
    from synctables.accounts import plans

    async def work(connection: "AsyncConnection[DictRow]") -> None:
        await plans.set_plan(connection, account=name, plan=plan)

    in_database(work, data_dir)
    say(f"Account {name} has the plan {plan}.")


@key.command()
def rotate(name: Name, *, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Replace an account's API key. The old one stops working at once."""
    from synctables.accounts import service

    async def work(connection: "AsyncConnection[DictRow]") -> str:
        return await service.rotate_key(connection, name=name)

    _print_key(name, in_database(work, data_dir), as_json=as_json)


def _print_key(name: str, api_key: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"username": name, "api_key": api_key})
    else:
        say(f"API key of account {name} (shown once): {api_key}")
