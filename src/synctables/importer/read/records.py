"""A forgiving tokenizer for delimited text, and the rewriting of broken files with it.

DuckDB reads well-formed text (RFC 4180) fast and says which records are not. Files that have such
records are written anew by `mend`: every record with exactly as many cells as the header, quoted
as RFC 4180 wants, so that everything afterwards sees a well-formed file.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from synctables.importer.model import Misfit

MAX_RECORD_LINES = 2_000
MAX_RECORD_CHARACTERS = 4 * 1024 * 1024
"""A quote that does not close within these is taken for an ordinary character."""
ONE_COLUMN = "\x1f"
"""The delimiter of files that have none: a control character that does not occur in them."""
csv.field_size_limit(1024 * 1024 * 1024)


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How cells and records are told apart. ``quote`` is empty where quotes mean nothing."""

    delimiter: str
    quote: str = '"'
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


def split_records(lines: Iterable[str], dialect: Dialect) -> Iterator[Record]:
    """Records of ``lines`` (with their line ends).

    Blank lines are none, except in a one-column file, where they are empty cells.
    """
    source = _Lines(lines)
    for _ in range(dialect.skip_lines):
        source.take()
    while (line := source.take()) is not None:
        number = source.number
        if not line.strip("\r\n") and not dialect.is_one_column:
            continue
        if not dialect.quote or dialect.quote not in line:
            yield Record(number, line.rstrip("\r\n").split(dialect.delimiter))
        else:
            yield _split_quoted(source, line, number, dialect)


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
        yield line
        length = len(line)
        while length <= MAX_RECORD_CHARACTERS and len(taken) < MAX_RECORD_LINES:
            following = source.take()
            if following is None:
                break
            taken.append(following)
            length += len(following)
            yield following
        raise _UnclosedQuoteError

    reader = csv.reader(more(), delimiter=dialect.delimiter, quotechar=dialect.quote)
    try:
        return Record(number, next(reader), raw="".join([line, *taken]))
    except _UnclosedQuoteError:
        source.put_back(taken)
        return Record(number, _parse_literally(line, dialect), is_broken=True)


def find_quoted(path: Path, dialect: Dialect) -> set[int]:
    """Indexes of the columns of which at least one value stands in quotes, header aside."""
    if not dialect.quote:
        return set()
    mark, quote = re.escape(dialect.delimiter), re.escape(dialect.quote)
    cell = re.compile(f"({quote}(?:[^{quote}]|{quote}{quote})*{quote})?[^{mark}]*(?:{mark}|$)")
    quoted = set[int]()
    with path.open(encoding="utf-8", newline="") as file:
        for index, record in enumerate(split_records(file, dialect)):
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


@dataclass
class _Faults:
    """Records that did not fit, counted exactly, with the first three."""

    reason: str
    count: int = 0
    examples: list[tuple[int, str]] = field(default_factory=list)

    def add(self, record: Record) -> None:
        self.count += 1
        if len(self.examples) < 3:
            self.examples.append((record.line, " | ".join(record.cells)[:200]))

    def misfit(self) -> Misfit:
        return Misfit(
            column="", count=self.count, reason=self.reason, examples=tuple(self.examples)
        )


@dataclass(frozen=True, kw_only=True)
class Mended:
    """The outcome of `mend`: how many data records, how many of them did not fit, and how."""

    record_count: int
    broken_count: int
    misfits: tuple[Misfit, ...]


def mend(path: Path, *, into: Path, dialect: Dialect, width: int) -> Mended:
    """Write the records of ``path`` anew, comma and double quote, each ``width`` cells wide.

    Short records are padded, extra cells that hold something are cut off and reported.
    """
    short = _Faults("rows with too few cells, padded (the numbers are lines)")
    long = _Faults("rows with too many cells, the extra ones left out (the numbers are lines)")
    broken = _Faults("rows with a stray quote, taken literally (the numbers are lines)")
    count = faulty = 0
    with (
        path.open(encoding="utf-8", newline="") as source,
        into.open("w", encoding="utf-8", newline="") as target,
    ):
        write = csv.writer(target, lineterminator="\n").writerow
        for index, record in enumerate(split_records(source, dialect)):
            cells, before = record.cells, short.count + long.count + broken.count
            if len(cells) < width:
                cells = cells + [""] * (width - len(cells))
            if not (index == 0 and dialect.has_header):
                _judge(record, width, short=short, long=long, broken=broken)
                count += 1
            faulty += short.count + long.count + broken.count > before
            write(cells[:width])
    faults = tuple(kind.misfit() for kind in (short, long, broken) if kind.count)
    return Mended(record_count=count, broken_count=faulty, misfits=faults)


def _judge(record: Record, width: int, *, short: _Faults, long: _Faults, broken: _Faults) -> None:
    if record.is_broken:
        broken.add(record)
    if len(record.cells) < width:
        short.add(record)
    elif any(record.cells[width:]):
        long.add(record)
