"""``synctables add``, ``list``, ``show``, ``sync``, ``log``, ``remove``: over the HTTP API."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synctables.cli.options import (
    ApiKey,
    AsJson,
    DataDir,
    OfService,
    Server,
    SyncReference,
    Table,
    Wait,
    format_interval,
    parse_interval,
    source_of,
)
from synctables.cli.output import (
    complain,
    draw_table,
    is_terminal,
    print_fields,
    print_json,
    print_table,
    printable,
    say,
)
from synctables.cli.places import find_client
from synctables.durations import format_distance
from synctables.errors import UnknownItemError

if TYPE_CHECKING:
    from synctables.cli.client import Client

Json = dict[str, Any]
Interval = Annotated[
    int,
    typer.Option(
        "--interval",
        metavar="1h",
        parser=parse_interval,
        help="How often to look for a new version: 90s, 15m, 1h, 1d, 1w or seconds.",
        show_default="1h",
    ),
]

_PRINTED = ("Name", "State", "Every", "Equal at", "Next look", "Source", "Error", "Id")
_DRAWN = ("Name", "State", "Every", "Equal", "Next look", "Source")
_SHORT_ID = 8
_FIELDS_LEFT_OUT = ("user_id", "visualization_id", "from_external_source", "data_import")
_FOLLOW_SECONDS = 1.0


def register(app: typer.Typer) -> None:
    for name, command in (
        ("add", add),
        ("list", list_syncs),
        ("show", show),
        ("sync", sync_now),
        ("log", print_log),
        ("remove", remove),
    ):
        app.command(name)(command)


def add(
    source: Annotated[
        str,
        typer.Argument(metavar="URL-or-ITEM", help="Address of the file, or a service's item."),
    ],
    *,
    service: OfService = None,
    interval: Interval = 3600,
    table: Table = None,
    wait: Wait = False,
    as_json: AsJson = False,
    server: Server = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """Make a table of a file and keep it equal to the file from now on."""
    from synctables.cli.client import path_of

    client = find_client(server=server, api_key=api_key, data_dir=data_dir)
    body: Json = {**source_of(source, service), "interval": interval}
    body |= {"table_name": table} if table else {}
    sync: Json = client.post(path_of("synchronizations"), body)
    item: Json | None = None
    if wait:
        from synctables.cli.waiting import wait_for_import

        item = wait_for_import(client, sync["data_import"]["item_queue_id"], log_id=sync["log_id"])
        sync = client.get(path_of("synchronizations", sync["id"]))
    if as_json:
        print_json(sync)
    elif item is None:
        say(f"Added {sync['id']}. See `synctables show {sync['id']}`.")
    elif item["state"] == "complete":
        say(f"{sync['name']} equals its source; next look at {sync['run_at']}. Id {sync['id']}")
    if item is not None and item["state"] == "failure":
        raise fail(item)


def list_syncs(
    *,
    as_json: AsJson = False,
    server: Server = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """List the sync tables and their states."""
    from synctables.cli.client import path_of

    client = find_client(server=server, api_key=api_key, data_dir=data_dir)
    answer = client.get(path_of("synchronizations"))
    if as_json:
        print_json(answer["synchronizations"])
        return
    if is_terminal():
        now = datetime.now(UTC)
        draw_table(_DRAWN, [_drawn(sync, now=now) for sync in answer["synchronizations"]])
        return
    print_table(_PRINTED, [_printed(sync) for sync in answer["synchronizations"]])


def show(
    reference: SyncReference,
    *,
    as_json: AsJson = False,
    server: Server = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """Show one sync table with all that is known of it."""
    sync = find_sync(find_client(server=server, api_key=api_key, data_dir=data_dir), reference)
    if as_json:
        print_json(sync)
    else:
        print_fields((key, sync[key]) for key in sync if key not in _FIELDS_LEFT_OUT)


def sync_now(
    reference: SyncReference,
    *,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            "--accept", help="Override a refusal this once: row_loss, empty, schema or html."
        ),
    ] = None,
    wait: Wait = False,
    server: Server = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """Look for a new version now, not only when the interval has passed."""
    from synctables.cli.client import path_of

    client = find_client(server=server, api_key=api_key, data_dir=data_dir)
    sync = find_sync(client, reference)
    name = sync["name"] or sync["id"]
    body = {"accept": accept} if accept else None
    answer = client.put(path_of("synchronizations", sync["id"], "sync_now"), body)
    if not answer["enqueued"]:
        complain(f"{name} was not queued: {_why_refused(answer)}")
        raise typer.Exit(1)
    if not wait:
        say(f"{name} is queued.")
        return
    from synctables.cli.waiting import wait_for_sync

    sync = wait_for_sync(client, sync["id"], log_id=sync["log_id"])
    if sync["state"] == "failure":
        complain(f"{name}: {sync['error_message']} (code {sync['error_code']})")
        raise typer.Exit(1)
    say(f"{name} equals its source.")


def print_log(
    reference: SyncReference,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on printing what is added, until Ctrl-C.")
    ] = False,
    server: Server = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """Print the log of a sync table: what each run did, stage by stage."""
    from synctables.cli.client import path_of

    client = find_client(server=server, api_key=api_key, data_dir=data_dir)
    path = path_of("synchronizations", find_sync(client, reference)["id"], "log")
    printed: set[str] = set()
    while True:
        for entry in client.get(path)["entries"]:
            line = _log_line(entry)
            if line not in printed:
                printed.add(line)
                say(line)
        if not follow:
            return
        time.sleep(_FOLLOW_SECONDS)


def remove(
    reference: SyncReference,
    *,
    server: Server = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """Stop keeping a table fresh. The table itself stays, with its rows."""
    from synctables.cli.client import path_of

    client = find_client(server=server, api_key=api_key, data_dir=data_dir)
    sync = find_sync(client, reference)
    client.delete(path_of("synchronizations", sync["id"]))
    say(f"{sync['name'] or sync['id']} is no longer refreshed. Its table stays.")


def find_sync(client: "Client", reference: str) -> Json:
    """The sync with this id (also only the begin of it, as `list` shows it) or this name.

    Raises `UnknownItemError` when there is none, or when several bear the name.
    """
    from synctables.cli.client import path_of

    syncs: list[Json] = client.get(path_of("synchronizations"))["synchronizations"]
    found = [sync for sync in syncs if reference == sync["id"]]
    found = found or [sync for sync in syncs if reference == sync["name"]]
    if not found and len(reference) >= _SHORT_ID:
        found = [sync for sync in syncs if sync["id"].startswith(reference)]
    if not found:
        raise UnknownItemError(f"There is no sync table {reference!r}. See `synctables list`.")
    if len(found) > 1:
        raise UnknownItemError(f"{len(found)} sync tables answer to {reference!r}. Give the id.")
    return found[0]


def fail(item: Json) -> typer.Exit:
    """Complain about an import that ended in failure; gives the exit to raise."""
    text = item.get("get_error_text") or {}
    parts = (str(text.get(key) or "").rstrip(".") for key in ("title", "what_about"))
    complain(f"{item['error_code']} {'. '.join(part for part in parts if part)}.")
    return typer.Exit(1)


def _printed(sync: Json) -> tuple[object, ...]:
    from synctables.log import public_url

    return (
        sync["name"],
        sync["state"],
        format_interval(sync["interval"]),
        sync["ran_at"] if sync["name"] else None,  # before the first run: its creation
        sync["run_at"],
        public_url(sync["url"])
        if sync["service_name"] is None
        else f"{sync['service_name']}: {sync['service_item_id']}",
        sync["error_message"],
        sync["id"],
    )


def _drawn(sync: Json, *, now: datetime) -> tuple[object, ...]:
    name, state, every, equal_at, run_at, source, error, sync_id = _printed(sync)
    return (
        name or str(sync_id)[:_SHORT_ID],
        state,
        every,
        format_distance(datetime.fromisoformat(str(equal_at)), now=now) if equal_at else None,
        format_distance(datetime.fromisoformat(str(run_at)), now=now),
        f"{source}\n{str(error).partition('. ')[0]}" if error else source,
    )


def _why_refused(answer: Json) -> str:
    reason = str(answer.get("reason") or "the server refused").rstrip(".")
    seconds = answer.get("retry_after_seconds")
    return f"{reason}. Try again in {seconds} s." if seconds else f"{reason}."


def _log_line(entry: Json) -> str:
    stage = f" {entry['stage']}" if entry.get("stage") else ""
    return printable(f"{entry['at']} {entry['level']}{stage}: {entry['message']}")
