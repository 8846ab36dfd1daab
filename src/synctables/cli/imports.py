"""``synctables import``: a file or an address becomes a table, once."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synctables.cli.options import ApiKey, AsJson, DataDir, OfService, Server, Table, source_of
from synctables.cli.output import print_json, say
from synctables.cli.places import find_client
from synctables.errors import InvalidRequestError

if TYPE_CHECKING:
    from synctables.cli.client import Client


def register(app: typer.Typer) -> None:
    app.command("import")(import_once)


def import_once(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE-or-URL-or-ITEM",
            help="A file here, an http(s) address, or a service's item.",
        ),
    ],
    *,
    service: OfService = None,
    table: Table = None,
    as_json: AsJson = False,
    server: Server = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """Make a table of a file, once, and wait for it."""
    from synctables.cli.syncs import fail
    from synctables.cli.waiting import wait_for_import

    file = None if service or _is_address(source) else _readable(Path(source))
    client = find_client(server=server, api_key=api_key, data_dir=data_dir)
    names = {"table_name": table} if table else {}
    answer = (
        _send(client, file, names) if file else _ask_for(client, source_of(source, service) | names)
    )
    item = wait_for_import(client, answer["item_queue_id"], log_id=answer["item_queue_id"])
    if as_json:
        print_json(item)
    if item["state"] == "failure":
        raise fail(item)
    if not as_json:
        say(describe_import(item, source))


def describe_import(item: dict[str, Any], source: str) -> str:
    """One line on an import that ended well: its tables, and layers that became none."""
    more = (item["tables_created_count"] or 1) - 1
    others = f" and {more} more {'table' if more == 1 else 'tables'}" if more else ""
    line = f"Imported {item['table_name'] or source}{others}."
    warnings = item["warnings"] or {}
    if rejected := warnings.get("rejected_layers"):
        most = warnings["max_tables_per_import"]
        line += f" Left out, since {most} tables are the most: {', '.join(rejected)}."
    return line


def _send(client: "Client", file: Path, names: dict[str, str]) -> dict[str, Any]:
    from synctables.cli.waiting import upload

    return upload(client, file, query={"filename": file.name} | names)


def _ask_for(client: "Client", parameters: dict[str, str]) -> dict[str, Any]:
    from synctables.cli.client import path_of

    answer: dict[str, Any] = client.post(path_of("imports"), parameters)
    return answer


def _is_address(source: str) -> bool:
    return source.lower().startswith(("http://", "https://"))


def _readable(file: Path) -> Path:
    try:
        with file.open("rb"):
            return file
    except OSError as error:
        raise InvalidRequestError(f"{file} cannot be read: {error.strerror}.") from error
