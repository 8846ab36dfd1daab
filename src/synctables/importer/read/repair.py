"""One stray or missing mark in a record, set right by the form of the columns.

A record with the wrong number of cells mostly has one mark too many or too few (a delimiter, a
quote). Every reading of the line that changes one mark and has the right number of cells is a
candidate; the one whose cells look most like their columns wins, and only if it does so clearly.
No character of a value is lost: marks are taken for text, or text is cut where a mark is missing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import log

MARGIN = 2.0
"""How much better (natural log) a repaired reading must fit than the plain one."""
MAX_LINE_CHARACTERS = 20_000
MAX_SPLIT_CHARACTERS = 80
MAX_COLUMNS = 400
OTHER_DELIMITERS = (",", ";", "\t", "|", " ")
_RUNS = re.compile(r"(.)\1+")


@lru_cache(maxsize=8192)
def shape(cell: str) -> tuple[str, str, str]:
    """A cell's form three times: exactly, with runs collapsed, and as a kind."""
    text = cell.strip()
    exact = re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", text[:40]))
    if not text:
        kind = "empty"
    elif re.fullmatch(r"[^\w]{0,2}[9.,]+[^\w]{0,2}", exact):
        kind = "number"
    elif " " in text:
        kind = "prose" if len(text) > 40 else "words"
    else:
        kind = "code" if "9" in exact else "word"
    return exact, _RUNS.sub(r"\1", exact), kind


class Columns:
    """How often each form occurs in each column of well-formed records."""

    def __init__(self, rows: Iterable[list[str]], *, width: int) -> None:
        self.width = width
        self._counts = [[Counter[str]() for _ in range(3)] for _ in range(width)]
        self._rows = 0
        for row in rows:
            if len(row) == width:
                self._rows += 1
                for counters, cell in zip(self._counts, row, strict=True):
                    for counter, form in zip(counters, shape(cell), strict=True):
                        counter[form] += 1

    @property
    def is_known(self) -> bool:
        """Whether there is any record to compare with."""
        return self._rows > 0

    def share(self, cell: str, column: int) -> float:
        """How much ``cell`` looks like its column, from 0 to 1."""
        forms = zip(self._counts[column], shape(cell), strict=True)
        return sum(counter[form] for counter, form in forms) / (3 * self._rows or 1)

    def cost(self, cell: str, column: int) -> float:
        """The mean of the three surprises, in natural logarithms."""
        rows = self._rows or 1
        forms = zip(self._counts[column], shape(cell), strict=True)
        return -sum(log(counter[form] / rows + 0.001) for counter, form in forms) / 3

    def cost_of(self, row: list[str]) -> float:
        """The cost of a record; short ones are padded, long ones cut."""
        cells = [*row, *[""] * (self.width - len(row))][: self.width]
        return sum(self.cost(cell, index) for index, cell in enumerate(cells))

    def is_telling(self, cell: str, column: int) -> bool:
        """Whether the column's cells have a form of their own, and this cell has it."""
        exact, collapsed, kind = shape(cell)
        is_own = kind in {"number", "code"} and bool(re.search(r"[^9a ]", exact))
        return is_own and self._counts[column][1][collapsed] >= 0.5 * self._rows > 0


@dataclass(frozen=True)
class _Reading:
    cells: list[str]
    penalty: float = 0.0
    is_split: bool = False


def repair(
    line: str, cells: list[str], *, delimiter: str, quote: str, columns: Columns
) -> list[str] | None:
    """The cells of ``line`` (without its line end), as many as columns; None: leave it alone.

    ``cells`` is the plain reading of the line, which has to be beaten. Where nothing is known of
    the columns (the line is the header), only a single possible reading counts.
    """
    if len(line) > MAX_LINE_CHARACTERS or not 2 <= columns.width <= MAX_COLUMNS:
        return None
    readings = [
        (columns.cost_of(reading.cells) + reading.penalty, reading)
        for reading in _Line(line, delimiter, quote, columns).readings()
        if len(reading.cells) == columns.width
    ]
    if not columns.is_known:
        found = [reading.cells for _, reading in readings]
        return found[0] if found and found.count(found[0]) == len(found) else None
    readings += _other_marks(line, cells, delimiter=delimiter, quote=quote, columns=columns)
    if not readings:
        return None
    cost, best = min(readings, key=lambda pair: pair[0])
    plain = columns.cost_of(cells)
    if any(cells[columns.width :]):
        plain += MARGIN * 2  # text would be left out
    if len(cells) != columns.width and cost + MARGIN > plain and not _is_same(best, cells):
        return None
    rivals = [other for other, reading in readings if reading.is_split and reading is not best]
    if best.is_split and rivals and min(rivals) < cost + 0.5:
        return None
    if best.cells == cells[: columns.width]:
        return None
    return best.cells


def _is_same(reading: _Reading, cells: list[str]) -> bool:
    """Whether only empty cells differ."""
    return [cell for cell in reading.cells if cell] == [cell for cell in cells if cell]


class _Line:
    """The readings of one line that differ from the strict one by one mark."""

    def __init__(self, text: str, delimiter: str, quote: str, columns: Columns) -> None:
        self.text, self.delimiter, self.quote = text, delimiter, quote
        self.columns = columns
        self._rests: dict[int, list[str] | None] = {}

    def strict(self) -> list[str] | None:
        """The cells where every mark is in its place, else None."""
        return self._rest(0)

    def readings(self) -> Iterator[_Reading]:
        """Walk along the strict reading and change one mark at each cell."""
        head: list[str] = []
        start: int | None = 0
        while start is not None:
            yield from self._changed(head, start)
            cell, following = self._strict_cell(start)
            if cell is None:
                return
            head.append(cell)
            start = following
        yield _Reading(head)

    def _changed(self, head: list[str], start: int) -> Iterator[_Reading]:
        literal, after = self._literal_cell(start)
        if self.text.startswith(self.delimiter, start):
            yield from self._with(head, [], start + len(self.delimiter))
        if self.quote and self.text.startswith(self.quote, start):
            yield from self._with(head, [literal], after, penalty=literal.count(self.quote))
            yield from self._quoted(head, start)
        else:
            yield from self._split(head, literal, start, after)

    def _quoted(self, head: list[str], start: int) -> Iterator[_Reading]:
        """Close the quoted cell at every quote that could; those inside are text."""
        quote, text = self.quote, self.text
        for found in re.finditer(re.escape(quote), text[start + 1 :]):
            place = start + 1 + found.start()
            content = text[start + 1 : place]
            strays = content.replace(quote * 2, "").count(quote)
            following = self._after_mark(place + 1)
            is_closing = strays == 0 and not content.endswith(self.delimiter)
            if following == -1 and is_closing:  # a delimiter is missing behind this quote
                yield from self._with(head, [content.replace(quote * 2, quote)], place + 1)
            elif following != -1 and strays <= 1:
                cell = content.replace(quote * 2, quote)
                yield from self._with(head, [cell], following, penalty=0.5 * strays)

    def _split(
        self, head: list[str], literal: str, start: int, after: int | None
    ) -> Iterator[_Reading]:
        """A delimiter is missing inside this cell: before a quote, or where forms change."""
        column = len(head)
        if self.quote and (place := self.text.find(self.quote, start)) > start:
            before = self.text[start:place]
            if self.delimiter not in before:
                yield from self._with(head, [before], place)
        if column + 1 >= self.columns.width:
            return
        for place in range(1, min(len(literal), MAX_SPLIT_CHARACTERS)):
            first, second = literal[:place], literal[place:]
            if self._is_seam(first, second, column):
                for reading in self._with(head, [first, second], after, penalty=1.0):
                    yield _Reading(reading.cells, reading.penalty, is_split=True)

    def _is_seam(self, first: str, second: str, column: int) -> bool:
        """Cut only where at least one part has its column's own form, and the other fits."""
        columns = self.columns
        if columns.is_telling(first, column):
            return columns.share(second, column + 1) > 0
        return columns.is_telling(second, column + 1) and columns.share(first, column) > 0

    def _with(
        self, head: list[str], cells: list[str], after: int | None, *, penalty: float = 0.0
    ) -> Iterator[_Reading]:
        rest = self._rest(after)
        if rest is not None and len(head) + len(cells) + len(rest) == self.columns.width:
            yield _Reading([*head, *cells, *rest], penalty)

    def _rest(self, start: int | None) -> list[str] | None:
        """The strict reading of everything from ``start``; None where a quote is astray."""
        starts, cells = [], list[str]()
        while start is not None:
            if start in self._rests:
                break
            cell, following = self._strict_cell(start)
            if cell is None:
                return None
            starts.append(start)
            cells.append(cell)
            start = following
        tail = [] if start is None else self._rests[start]
        if tail is None:
            return None
        for index, place in enumerate(starts):
            self._rests[place] = cells[index:] + tail
        return cells + tail

    def _strict_cell(self, start: int) -> tuple[str | None, int | None]:
        quote = self.quote
        if not quote or not self.text.startswith(quote, start):
            return self._literal_cell(start)
        pattern = f"{re.escape(quote)}((?:[^{re.escape(quote)}]|{re.escape(quote) * 2})*)"
        found = re.compile(pattern + re.escape(quote)).match(self.text, start)
        following = self._after_mark(found.end()) if found else -1
        if not found or following == -1:
            return None, None
        return found[1].replace(quote * 2, quote), following

    def _literal_cell(self, start: int) -> tuple[str, int | None]:
        end = self.text.find(self.delimiter, start)
        if end < 0:
            return self.text[start:], None
        return self.text[start:end], end + len(self.delimiter)

    def _after_mark(self, place: int) -> int | None:
        """Where the next cell begins; None at the end of the line; -1: no delimiter here."""
        if place == len(self.text):
            return None
        is_mark = self.text.startswith(self.delimiter, place)
        return place + len(self.delimiter) if is_mark else -1


def _other_marks(
    line: str, cells: list[str], *, delimiter: str, quote: str, columns: Columns
) -> Iterator[tuple[float, _Reading]]:
    """The line read with other quotes, or, where it has too few cells, another delimiter."""
    marks = [(delimiter, other) for other in ('"', "'") if other != quote]
    if len(cells) < columns.width:
        marks += [(other, quote) for other in OTHER_DELIMITERS if other != delimiter]
    for mark, other in marks:
        if mark not in line or (mark == delimiter and other not in line):
            continue
        tokens = _Line(line, mark, other, columns).strict()
        is_grid = mark == " " and tokens is not None and len(tokens) <= 4 * columns.width
        if tokens is not None and (len(tokens) == columns.width or is_grid):
            reading = _Reading(_group(tokens, mark, columns))
            if len(reading.cells) == columns.width:
                yield columns.cost_of(reading.cells) + 2.0, reading


def _group(tokens: list[str], mark: str, columns: Columns) -> list[str]:
    """Join neighbours until there is one cell for each column, at the least cost."""
    spare = len(tokens) - columns.width
    if spare < 0:
        return tokens
    best: dict[int, tuple[float, list[str]]] = {0: (0.0, [])}
    for column in range(columns.width):
        following: dict[int, tuple[float, list[str]]] = {}
        for used, (cost, cells) in best.items():
            for end in range(used + 1, column + spare + 2):
                cell = mark.join(tokens[used:end])
                total = cost + columns.cost(cell, column)
                if end not in following or total < following[end][0]:
                    following[end] = (total, [*cells, cell])
        best = following
    return best[len(tokens)][1]
