"""A forgiving tokenizer for delimited text of any dialect, line by line.

DuckDB reads well-formed text (RFC 4180) fast and says which records are not; this is for the
others, for the guess, and for what DuckDB does not know (delimiters of several characters).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from synctables.errors import MalformedCsvError

MAX_LINE_CHARACTERS = 16 * 1024 * 1024
MAX_RECORD_LINES = 2_000
MAX_RECORD_CHARACTERS = 4 * 1024 * 1024
"""A quote that does not close within these is taken for an ordinary character."""
ONE_COLUMN = "\x1f"
"""The delimiter of files that have none: a control character that does not occur in them."""
_STAND_IN = "\x1e"
"""Takes the place of a longer delimiter, as Python's reader knows only single characters."""
csv.field_size_limit(1024 * 1024 * 1024)


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How cells and records are told apart. ``quote`` is empty where quotes mean nothing."""

    delimiter: str
    quote: str = '"'
    escape: str = ""
    """Before a quote inside quotes; empty: such a quote is doubled."""
    has_header: bool = True
    skip_lines: int = 0
    """Blank or foreign lines before the first record."""

    @property
    def is_one_column(self) -> bool:
        return self.delimiter == ONE_COLUMN


@dataclass(frozen=True, slots=True)
class Record:
    line: int
    """Where it begins in the file, from 1."""
    cells: list[str]
    is_broken: bool = False
    """A quote was opened and never closed; its line was taken literally."""
    raw: str = ""
    """The record as written, where it holds quotes."""
    follows_blank: bool = False
    """There is a blank line before it."""


def read_lines(path: Path) -> Iterator[str]:
    """Lines with their ends; raises `MalformedCsvError` for one too long to hold."""
    with path.open(encoding="utf-8", newline="") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_CHARACTERS), ""), 1):
            if len(line) == MAX_LINE_CHARACTERS:
                raise MalformedCsvError(
                    f"The rows cannot be told apart: line {number} is longer than 16 MB."
                )
            yield line


def split_records(lines: Iterable[str], dialect: Dialect) -> Iterator[Record]:
    """Records of ``lines`` (with their line ends).

    Blank lines are none, except in a one-column file, where they are empty cells.
    """
    source = _Lines(lines)
    for _ in range(dialect.skip_lines):
        source.take()
    after_blank = False
    while (line := source.take()) is not None:
        number = source.number
        if not line.strip("\r\n") and not dialect.is_one_column:
            after_blank = True
            continue
        if not dialect.quote or dialect.quote not in line:
            cells = line.rstrip("\r\n").split(dialect.delimiter)
            yield Record(number, cells, follows_blank=after_blank)
        else:
            record = _split_quoted(source, line, number, dialect)
            yield replace(record, follows_blank=True) if after_blank else record
        after_blank = False


class _Lines:
    """Lines that can be put back."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._back: list[str] = []
        self.number = 0

    def take(self) -> str | None:
        line = self._back.pop() if self._back else next(self._lines, None)
        if line is not None:
            self.number += 1
        return line

    def put_back(self, lines: list[str]) -> None:
        self._back += reversed(lines)
        self.number -= len(lines)


class _UnclosedQuoteError(Exception):
    pass


def _split_quoted(source: _Lines, line: str, number: int, dialect: Dialect) -> Record:
    """A record that holds quotes; it may go on over several lines."""
    taken: list[str] = []

    def more() -> Iterator[str]:
        yield _simplify(line, dialect)
        length = len(line)
        while length <= MAX_RECORD_CHARACTERS and len(taken) < MAX_RECORD_LINES:
            following = source.take()
            if following is None:
                break
            taken.append(following)
            length += len(following)
            yield _simplify(following, dialect)
        raise _UnclosedQuoteError

    mark = dialect.delimiter if len(dialect.delimiter) == 1 else _STAND_IN
    reader = csv.reader(more(), delimiter=mark, quotechar=dialect.quote, strict=True)
    try:
        cells = next(reader)
    except (_UnclosedQuoteError, csv.Error):
        source.put_back(taken)
        return Record(number, _parse_literally(line, dialect), is_broken=True, raw=line)
    if mark == _STAND_IN:
        cells = [cell.replace(_STAND_IN, dialect.delimiter) for cell in cells]
    return Record(number, cells, raw="".join([line, *taken]))


def _simplify(line: str, dialect: Dialect) -> str:
    """The line with doubled instead of escaped quotes, and a delimiter of one character."""
    if dialect.escape:
        escaped = re.escape(dialect.escape)
        pattern = f"{escaped}({escaped}|{re.escape(dialect.quote)})"
        line = re.sub(pattern, lambda found: found[1] * (1 + (found[1] == dialect.quote)), line)
    if len(dialect.delimiter) > 1:
        line = line.replace(dialect.delimiter, _STAND_IN)
    return line


def is_lone(cells: list[str]) -> bool:
    """Something in the first cell and nothing else."""
    return bool(cells[0].strip()) and not any(cell.strip() for cell in cells[1:])


def find_quoted(path: Path, dialect: Dialect) -> set[int]:
    """Indexes of the columns of which at least one value stands in quotes, header aside."""
    if not dialect.quote:
        return set()
    mark, quote = re.escape(dialect.delimiter), re.escape(dialect.quote)
    cell = re.compile(f"({quote}(?:[^{quote}]|{quote}{quote})*{quote})?[^{mark}]*(?:{mark}|$)")
    quoted = set[int]()
    for index, record in enumerate(split_records(read_lines(path), dialect)):
        if record.raw and not (index == 0 and dialect.has_header):
            cells = cell.finditer(record.raw)
            quoted.update(column for column, found in enumerate(cells) if found[1])
    return quoted


def _parse_literally(line: str, dialect: Dialect) -> list[str]:
    cells = line.rstrip("\r\n").split(dialect.delimiter)
    quote = dialect.quote
    return [
        cell[1:-1].replace(quote * 2, quote) if _is_enclosed(cell, quote) else cell
        for cell in cells
    ]


def _is_enclosed(cell: str, quote: str) -> bool:
    return len(cell) >= 2 and cell[0] == quote and cell[-1] == quote
