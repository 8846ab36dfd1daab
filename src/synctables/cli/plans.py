"""``synctables plan``: what accounts may do, and how much. Straight to the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synctables.cli.options import (
    AsJson,
    DataDir,
    format_interval,
    format_size,
    parse_count,
    parse_interval,
    parse_size,
)
from synctables.cli.output import print_fields, print_json, print_table, say
from synctables.cli.transactions import in_database

if TYPE_CHECKING:
    from psycopg import AsyncConnection
    from psycopg.rows import DictRow

    from synctables.accounts.plans import Plan

    Connection = AsyncConnection[DictRow]

NO_LIMIT = "none"

Name = Annotated[str, typer.Argument(metavar="NAME", help="The plan's name.")]
SyncTables = Annotated[
    bool | None,
    typer.Option("--sync-tables/--no-sync-tables", help="Whether it has sync tables."),
]
PrivateTables = Annotated[
    bool | None,
    typer.Option("--private-tables/--no-private-tables", help="Whether tables may be private."),
]


def _limit(flag: str, metavar: str, what: str) -> Any:
    return typer.Option(flag, metavar=metavar, help=f"{what} `none`: no limit.")


Syncs = Annotated[str | None, _limit("--syncs", "COUNT", "Most sync tables.")]
Interval = Annotated[
    str | None,
    _limit("--interval", "15m", "Shortest interval, where the server's is not longer."),
]
Runs = Annotated[
    str | None,
    typer.Option(
        "--runs",
        metavar="COUNT",
        help="Runs of syncs at once; others wait. `none`: as the server's settings say.",
    ),
]
Imports = Annotated[
    str | None, _limit("--imports", "COUNT", "Plain imports at once; others are refused.")
]
FileSize = Annotated[
    str | None, _limit("--file-size", "500MB", "Largest file, where the server's is not smaller.")
]
Rows = Annotated[str | None, _limit("--rows", "COUNT", "Most rows of one table.")]
Tables = Annotated[str | None, _limit("--tables", "COUNT", "Most tables.")]
Storage = Annotated[str | None, _limit("--storage", "10GB", "Most bytes of all tables.")]

plan = typer.Typer(help="Make plans, list them, change what they allow.")

_PARSERS: dict[str, Callable[[str], int]] = {
    "max_syncs": parse_count,
    "minimum_interval_seconds": parse_interval,
    "max_concurrent_runs": parse_count,
    "max_concurrent_imports": parse_count,
    "max_file_bytes": parse_size,
    "max_rows": parse_count,
    "max_tables": parse_count,
    "max_storage_bytes": parse_size,
}


def register(app: typer.Typer) -> None:
    app.add_typer(plan, name="plan")


@plan.command()
def create(
    name: Name,
    *,
    sync_tables: SyncTables = None,
    private_tables: PrivateTables = None,
    syncs: Syncs = None,
    interval: Interval = None,
    runs: Runs = None,
    imports: Imports = None,
    file_size: FileSize = None,
    rows: Rows = None,
    tables: Tables = None,
    storage: Storage = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make a plan. What is not given is as in a new database's plan `default`."""
    from synctables.accounts import plans

    texts = (syncs, interval, runs, imports, file_size, rows, tables, storage)
    given = _given(texts, sync_tables=sync_tables, private_tables=private_tables)

    async def work(connection: Connection) -> Plan:
        return await plans.create_plan(connection, plans.Plan(name=name, **given))

    _print(in_database(work, data_dir), as_json=as_json)


@plan.command("set")
def change(
    name: Name,
    *,
    sync_tables: SyncTables = None,
    private_tables: PrivateTables = None,
    syncs: Syncs = None,
    interval: Interval = None,
    runs: Runs = None,
    imports: Imports = None,
    file_size: FileSize = None,
    rows: Rows = None,
    tables: Tables = None,
    storage: Storage = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Change a plan, for all who have it. What is not given stays."""
    from synctables.accounts import plans

    texts = (syncs, interval, runs, imports, file_size, rows, tables, storage)
    given = _given(texts, sync_tables=sync_tables, private_tables=private_tables)

    async def work(connection: Connection) -> Plan:
        return await plans.change_plan(connection, name=name, changes=given)

    _print(in_database(work, data_dir), as_json=as_json)


@plan.command("list")
def list_plans(*, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the plans, and how many accounts have each."""
    from synctables.accounts import plans

    found = in_database(plans.list_plans, data_dir)
    if as_json:
        print_json([_as_json(item) | {"accounts": count} for item, count in found])
        return
    heading = ("Plan", "Accounts", *(name for name, _ in _fields(found[0][0])[1:]))
    print_table(
        heading,
        [(item.name, count, *(text for _, text in _fields(item)[1:])) for item, count in found],
    )


@plan.command()
def show(name: Name, *, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show what a plan allows."""
    from synctables.accounts import plans

    async def work(connection: Connection) -> Plan:
        return await plans.find_plan(connection, name=name)

    _print(in_database(work, data_dir), as_json=as_json)


@plan.command()
def remove(name: Name, *, data_dir: DataDir = None) -> None:
    """Remove a plan that no account has."""
    from synctables.accounts import plans

    async def work(connection: Connection) -> None:
        await plans.remove_plan(connection, name=name)

    in_database(work, data_dir)
    say(f"Removed the plan {name}.")


def _given(texts: tuple[str | None, ...], **flags: bool | None) -> dict[str, Any]:
    """The limits that were given, by their names in `Plan`."""
    limits = {
        limit: None if text.strip().lower() == NO_LIMIT else parse(text)
        for (limit, parse), text in zip(_PARSERS.items(), texts, strict=True)
        if text is not None
    }
    return limits | {name: flag for name, flag in flags.items() if flag is not None}


def _print(shown: Plan, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(shown))
    else:
        print_fields(_fields(shown))


def _as_json(shown: Plan) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(shown)


def _fields(shown: Plan) -> list[tuple[str, object]]:
    """As the options are called, in words that they take."""
    return [
        ("plan", shown.name),
        ("sync-tables", shown.sync_tables),
        ("private-tables", shown.private_tables),
        ("syncs", _text(shown.max_syncs)),
        ("interval", _text(shown.minimum_interval_seconds, format_interval)),
        ("runs", _text(shown.max_concurrent_runs)),
        ("imports", _text(shown.max_concurrent_imports)),
        ("file-size", _text(shown.max_file_bytes, format_size)),
        ("rows", _text(shown.max_rows)),
        ("tables", _text(shown.max_tables)),
        ("storage", _text(shown.max_storage_bytes, format_size)),
    ]


def _text(limit: int | None, form: Callable[[int], str] = str) -> str:
    return NO_LIMIT if limit is None else form(limit)
