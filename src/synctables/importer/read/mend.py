"""Writing a file anew so that every record has exactly as many cells as the table has columns.

What does not belong to the table (lines before it, footers, comments, a second table) is left out
and reported; records with one mark too many or too few are set right (`repair`) and reported;
others are kept as far as they go and reported. All reports count exactly and name lines.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from synctables.importer.model import Misfit
from synctables.importer.read.records import Dialect, Record, is_lone, read_lines, split_records
from synctables.importer.read.repair import Columns, repair

MAX_REPAIRS = 20_000
"""Trying to repair costs about a millisecond; beyond these, records are only padded or cut."""
MAX_FOOTER_RECORDS = 100
LOOKAHEAD = 3


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


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a record of the table should look like."""

    width: int
    header: tuple[str, ...]
    header_records: int
    """How many records the header takes; they are replaced by ``header``."""
    columns: Columns | None
    """Forms of the cells by column; None where the records are too irregular to repair any."""


def mend(path: Path, *, into: Path, dialect: Dialect, shape: Shape) -> Mended:
    """Write the records of ``path`` anew, comma and double quote, each as wide as the table.

    Short records are padded, extra cells that hold something are cut off and reported.
    """
    mender = _Mender(dialect, shape)
    with into.open("w", encoding="utf-8", newline="") as target:
        write = csv.writer(target, lineterminator="\n").writerow
        if dialect.has_header:
            write([*shape.header, *[""] * (shape.width - len(shape.header))])
        for cells in mender.rows(split_records(read_lines(path), dialect)):
            write(cells)
    return mender.outcome()


class _Mender:
    def __init__(self, dialect: Dialect, shape: Shape) -> None:
        self._dialect, self._shape = dialect, shape
        self._repaired = _Faults(
            "rows with a stray or missing mark, set right by the form of the columns "
            "(the numbers are lines)"
        )
        self._short = _Faults("rows with too few cells, padded (the numbers are lines)")
        self._long = _Faults(
            "rows with too many cells, the extra ones left out (the numbers are lines)"
        )
        self._stray = _Faults("rows with a stray quote, taken literally (the numbers are lines)")
        self._comments = _Faults("comment lines, left out (the numbers are lines)")
        self._footers = _Faults("lines after the table, left out (the numbers are lines)")
        self._others = _Faults("rows of a further table, left out (the numbers are lines)")
        self._count = self._faulty = 0

    def rows(self, records: Iterator[Record]) -> Iterator[list[str]]:
        """The table's rows, each of the right width."""
        for _ in range(self._shape.header_records):
            next(records, None)
        footers: list[Record] = []
        for record in self._first_table(records):
            if self._is_comment(record):
                self._comments.add(record)
            elif self._may_be_footer(record, footers):
                footers.append(record)
            else:
                yield from map(self._fit, [*footers, record])
                footers = []
        if not any(is_lone(record.cells) for record in footers):
            yield from map(self._fit, footers)
            return
        for record in footers:
            self._footers.add(record)

    def outcome(self) -> Mended:
        rows = (self._repaired, self._short, self._long, self._stray)
        kinds = (*rows, self._comments, self._footers, self._others)
        misfits = tuple(kind.misfit() for kind in kinds if kind.count)
        return Mended(record_count=self._count, broken_count=self._faulty, misfits=misfits)

    def _fit(self, record: Record) -> list[str]:
        self._count += 1
        width, cells = self._shape.width, record.cells
        if len(cells) == width and not record.is_broken:
            return cells
        repaired = self._repair(record)
        if repaired is not None:
            self._faulty += 1
            self._repaired.add(record)
            return repaired
        return self._pad_or_cut(record)

    def _repair(self, record: Record) -> list[str] | None:
        columns = self._shape.columns
        if columns is None or self._repaired.count >= MAX_REPAIRS or self._dialect.escape:
            return None
        mark, quote = self._dialect.delimiter, self._dialect.quote
        line = (record.raw or mark.join(record.cells)).rstrip("\r\n")
        return repair(line, record.cells, delimiter=mark, quote=quote, columns=columns)

    def _pad_or_cut(self, record: Record) -> list[str]:
        width, cells = self._shape.width, record.cells
        if record.is_broken:
            self._stray.add(record)
        if len(cells) < width:
            self._short.add(record)
        elif any(cells[width:]):
            self._long.add(record)
        self._faulty += record.is_broken or len(cells) < width or any(cells[width:])
        return [*cells, *[""] * (width - len(cells))][:width]

    def _is_comment(self, record: Record) -> bool:
        is_whole = len(record.cells) == self._shape.width
        return record.cells[0].startswith("#") and not is_whole

    def _may_be_footer(self, record: Record, before: list[Record]) -> bool:
        if self._shape.width < 2 or len(before) >= MAX_FOOTER_RECORDS:
            return False
        if not any(record.cells):
            return True  # if a footer follows
        if not is_lone(record.cells):
            return False
        is_apart = bool(before) or record.follows_blank
        return is_apart or is_foreign(record.cells, self._shape.columns)

    def _first_table(self, records: Iterator[Record]) -> Iterator[Record]:
        """Records until another table begins; those are counted and left out."""
        ahead: deque[Record] = deque()
        while True:
            while len(ahead) < LOOKAHEAD and (record := next(records, None)) is not None:
                ahead.append(record)
            if not ahead:
                return
            if self._begins_table(ahead):
                break
            yield ahead.popleft()
        for record in (*ahead, *records):
            self._others.add(record)

    def _begins_table(self, ahead: deque[Record]) -> bool:
        """Two or more records of another width, the first a header, or behind a blank line."""
        first, width = ahead[0], len(ahead[0].cells)
        if len(ahead) < 2 or width in {1, self._shape.width} or first.is_broken:
            return False
        if any(len(record.cells) != width for record in ahead):
            return False
        names = [cell.strip() for cell in first.cells]
        common = min(width, len(self._shape.header))
        is_header = common > 1 and names[:common] == list(self._shape.header[:common])
        return is_header or (first.follows_blank and all(names))


def is_foreign(cells: list[str], columns: Columns | None) -> bool:
    """Whether a lone first cell is unlike everything else in the first column."""
    if columns is None or columns.width < 3:
        return False
    return columns.share(cells[0], 0) == 0
