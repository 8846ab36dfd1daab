"""Options that several commands share, so that they read the same everywhere."""

import re
from pathlib import Path
from typing import Annotated

import typer

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_MAX_SECONDS = 2**31 - 1  # the interval is an integer column


def parse_interval(text: str) -> int:
    """``90s``, ``15m``, ``1h``, ``1d``, ``1w`` or plain seconds, as seconds.

    Raises `typer.BadParameter`; whether an interval is long enough is for the server to say.
    """
    match = re.fullmatch(r"(\d{1,10})\s*([smhdw]?)", str(text).strip().lower(), re.ASCII)
    seconds = int(match[1]) * _UNIT_SECONDS[match[2] or "s"] if match else 0
    if not 0 < seconds <= _MAX_SECONDS:
        raise typer.BadParameter(
            f"{text!r} is not an interval. Write 90s, 15m, 1h, 1d, 1w or a number of seconds."
        )
    return seconds


def format_interval(seconds: int) -> str:
    """The shortest text that `parse_interval` turns back into ``seconds``."""
    for unit in ("w", "d", "h", "m"):
        if seconds and seconds % _UNIT_SECONDS[unit] == 0:
            return f"{seconds // _UNIT_SECONDS[unit]}{unit}"
    return f"{seconds}s"


_UNIT_BYTES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


def parse_size(text: str) -> int:
    """``500MB``, ``20 GB`` (decimal) or plain bytes, as bytes. Raises `typer.BadParameter`."""
    match = re.fullmatch(r"(\d{1,18})\s*([kmgt]?b|)", text.strip().lower(), re.ASCII)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a size. Write 500MB, 20GB, 1TB or bytes.")
    return int(match[1]) * _UNIT_BYTES[match[2]]


def parse_count(text: str) -> int:
    """A whole number. Raises `typer.BadParameter`."""
    if re.fullmatch(r"\d{1,18}", text.strip(), re.ASCII) is None:
        raise typer.BadParameter(f"{text!r} is not a whole number.")
    return int(text)


def format_size(size_bytes: int) -> str:
    """The shortest text that `parse_size` turns back into the same."""
    for unit in ("tb", "gb", "mb", "kb"):
        if size_bytes and size_bytes % _UNIT_BYTES[unit] == 0:
            return f"{size_bytes // _UNIT_BYTES[unit]}{unit.upper()}"
    return str(size_bytes)


DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        file_okay=False,
        help="Where the private database and the local key live.",
        show_default="of this user, or SYNCTABLES_DATA_DIR",
    ),
]
Host = Annotated[str, typer.Option("--host", help="Address to listen on.")]
Port = Annotated[
    int, typer.Option("--port", min=0, max=65_535, help="Port to listen on; 0 takes a free one.")
]
Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        envvar="SYNCTABLES_SERVER",
        help="Address of the server.",
        show_default="the `serve` that runs on this machine",
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        metavar="KEY",
        envvar="SYNCTABLES_API_KEY",
        help="Key of the account. The variable keeps it out of the list of processes.",
        show_default="the local key of that `serve`",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the end; exit 1 if it failed.")]
Table = Annotated[
    str | None,
    typer.Option("--table", metavar="NAME", help="Name of the table.", show_default="the file's"),
]
OfService = Annotated[
    str | None,
    typer.Option(
        "--service",
        metavar="SERVICE",
        help="gdrive, dropbox or box: the source is a file there, by id, path or shared link.",
    ),
]
SyncReference = Annotated[
    str, typer.Argument(metavar="ID-or-NAME", help="The sync table's id or its name.")
]


def source_of(address: str, service: str | None) -> dict[str, str]:
    """The parameters that name a source: an address, or a service and its item."""
    if service:
        return {"service_name": service, "service_item_id": address}
    return {"url": address}
