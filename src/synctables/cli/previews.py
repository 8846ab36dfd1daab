"""``synctables preview``: what a run would do, before it does."""

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synctables.cli.options import ApiKey, AsJson, DataDir, Server
from synctables.cli.output import complain, draw_table, is_terminal, print_json, print_table, say
from synctables.cli.places import find_client

if TYPE_CHECKING:
    from synctables.cli.client import Client

Json = dict[str, Any]

_COLUMNS = ("Column", "Type", "Field", "Why")


def register(app: typer.Typer) -> None:
    app.command("preview")(preview)


def preview(
    source: Annotated[
        str,
        typer.Argument(
            metavar="URL-or-SYNC", help="An http(s) address, or a sync table's id or name."
        ),
    ],
    *,
    layer: Annotated[
        str | None, typer.Option("--layer", metavar="NAME", help="Follow this layer.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="COLUMN", help="A column that identifies a row; repeatable."),
    ] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option("--accept", help="Leave out a refusal: row_loss, empty, schema or html."),
    ] = None,
    as_json: AsJson = False,
    server: Server = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """Say what a run would do with the source as it is now. Nothing is changed.

    Exit code 1 where the version would be refused, or cannot be read.
    """
    client = find_client(server=server, api_key=api_key, data_dir=data_dir)
    options = {"layer": layer, "key_columns": key, "accept": accept, "wait": 0}
    answer = _ask(client, source, {name: value for name, value in options.items() if value != []})
    if as_json:
        print_json(answer)
    elif answer["state"] == "complete":
        _print(answer["result"])
    if answer["state"] == "failure":
        text = answer["error_text"]
        complain(f"{answer['error_code']} {text['title']}. {text['what_about']}")
        raise typer.Exit(1)
    if answer["result"]["refusals"]:
        raise typer.Exit(1)


def _ask(client: "Client", source: str, options: Json) -> Json:
    from synctables.cli.client import path_of, pauses
    from synctables.cli.syncs import find_sync

    if source.lower().startswith(("http://", "https://")):
        answer: Json = client.post(path_of("preview"), {"url": source, **options})
    else:
        sync = find_sync(client, source)
        answer = client.post(path_of("synchronizations", sync["id"], "preview"), options)
    for pause in pauses():
        if answer["finished_at"] is not None:
            break
        time.sleep(pause)
        answer = client.get(path_of("preview", answer["id"]))
    return answer


def _print(result: Json) -> None:
    say(_headline(result))
    for line in _lines(result):
        say(line)
    columns = [(c["name"], c["type"], c["field"], c["reason"]) for c in result["columns"]]
    if columns:
        (draw_table if is_terminal() else print_table)(_COLUMNS, columns)


def _headline(result: Json) -> str:
    name = result["table_name"] or result["file_name"]
    size = f"{result['bytes']:,} bytes, {result['seconds']:.1f} s"
    if result["rows"] is None:
        return f"{name}: not read ({size})."
    figures = ", ".join(f"{count:,} {word}" for word, count in result["rows"].items() if count)
    way = f" by {result['way']}" if result["way"] else ""
    return f"{name}: {figures or 'no rows'}{way} ({size})."


def _lines(result: Json) -> Iterator[str]:
    """What there is to know beside the counts, a line each."""
    if result["is_modified"] is False:
        yield "The source has not changed: a run ends there, and changes nothing."
    for refusal in result["refusals"]:
        word = f" Override: --accept {refusal['accept']}" if refusal["accept"] else ""
        text = refusal["text"].rstrip(".")
        yield f"refused: {refusal['code']} {refusal['title']}. {text}.{word}"
    yield from (f"schema: {change}" for change in result["schema_changes"])
    if result["hand_edits"]:
        yield f"edited by hand, to be healed: {result['hand_edits']:,} rows"
    for misfit in result["misfits"]:
        cells = "; ".join(f"row {cell['row']}: {cell['text']}" for cell in misfit["examples"])
        where = misfit["column"] or "rows"
        yield f"misfit: {where}: {misfit['count']:,} {misfit['reason']}. {cells}"
    for decision in result["decisions"]:
        reason = f" ({decision['reason']})" if decision["reason"] else ""
        yield f"{decision['subject']}: {decision['choice']}{reason}"
    yield from _examples(result["examples"])


def _examples(examples: Json) -> Iterator[str]:
    for row in examples["inserted"]:
        yield f"+ row {row['row']}: {_compact(row['values'])}"
    for row in examples["updated"]:
        changes = (
            f"{name}: {_compact(change['old'])} → {_compact(change['new'])}"
            for name, change in row["changes"].items()
        )
        yield f"~ id {row['id']}: {', '.join(changes)}"
    for row in examples["deleted"]:
        yield f"- id {row['id']}: {_compact(row['values'])}"


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
