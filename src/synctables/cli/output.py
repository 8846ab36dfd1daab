"""What the commands print: results on stdout, progress and complaints on stderr.

On a terminal a table is drawn; anywhere else values are separated by tabs and never cut or
wrapped, so that ``cut`` and ``awk`` can have them.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console


def say(line: str) -> None:
    """One line on stdout, flushed."""
    typer.echo(printable(line))


def complain(message: str) -> None:
    """One line on stderr, whatever the message holds."""
    typer.echo(f"Error: {printable(message)}", err=True)


def print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def is_terminal() -> bool:
    """Whether somebody looks at stdout, rather than a program."""
    return sys.stdout.isatty()


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Lines of values separated by tabs, the headings first."""
    for line in ([heading.lower() for heading in headings], *rows):
        typer.echo("\t".join(_cell(value) for value in line))


def draw_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table for a terminal. Only the last column is broken to fit; it may hold several lines."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold", no_wrap=heading != headings[-1])
    for row in rows:
        *values, last = row
        lines = "\n".join(printable(line) for line in str(last).splitlines())
        table.add_row(*(Text(_cell(value)) for value in values), Text(lines))
    Console(highlight=False, markup=False, emoji=False).print(table)


def print_fields(fields: Iterable[tuple[str, object]]) -> None:
    """One thing, a line for each of its fields."""
    pairs = [(name, _cell(value)) for name, value in fields]
    width = max(len(name) for name, _ in pairs) + 2 if is_terminal() else 0
    for name, value in pairs:
        typer.echo(f"{name:<{width}}{value}" if width else f"{name}\t{value}")


def printable(text: str) -> str:
    """The text on one line, without control characters.

    Names and messages come from other people's files; an escape sequence in them must not reach
    the terminal.
    """
    return "".join(
        character for character in " ".join(text.split()) if unicodedata.category(character) != "Cc"
    )


def progress_console() -> Console:
    """Where progress is drawn: stderr, so that stdout holds the result alone."""
    from rich.console import Console

    return Console(stderr=True)


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | dict):
        return printable(json.dumps(value, ensure_ascii=False)) if value else "-"
    return printable(str(value))
