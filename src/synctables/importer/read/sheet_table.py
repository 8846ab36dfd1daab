"""The table of a sheet, put together from blocks of its cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa

from synctables.importer.read.cells import ColumnBuilder, render

TURNED_ROWS = 512
"""Rows that become columns at a time: so few that they stay in the processor's own memory."""

Row = list[Any]


@dataclass(frozen=True, kw_only=True)
class Block:
    """Cells of a sheet without gaps; ``first_row`` counts from 1, ``first_column`` from 0."""

    first_row: int
    first_column: int
    rows: Iterator[Row]


class SheetTable:
    """The first row that is not empty is the header; other empty rows are no rows."""

    def __init__(self) -> None:
        self.header_row = 0
        """Its number in the sheet from 1; 0: no cell of the sheet holds anything."""
        self._header: dict[int, Any] = {}
        self._builders: dict[int, ColumnBuilder] = {}
        self._row_count = 0

    def take(self, block: Block) -> None:
        """Add cells that stand below all others so far, in whatever columns."""
        rows = block.rows
        if not self.header_row:
            numbered = enumerate(rows, start=block.first_row)
            self.header_row, header = next(
                ((number, row) for number, row in numbered if _is_filled(row)), (0, [])
            )
            self._header = dict(enumerate(header, start=block.first_column))
            self._builders = {place: ColumnBuilder() for place in self._header}
        for columns in _turned(rows):
            self._append(dict(enumerate(columns, start=block.first_column)))

    def _append(self, columns: dict[int, tuple[Any, ...]]) -> None:
        count = len(next(iter(columns.values())))
        for place in columns.keys() - self._builders.keys():
            self._builders[place] = ColumnBuilder()
            self._builders[place].add_empty(self._row_count)
        for place, builder in self._builders.items():
            if place in columns:
                builder.add(columns[place])
            else:
                builder.add_empty(count)
        self._row_count += count

    def finish(self, *, as_text: bool) -> dict[int, tuple[str, pa.ChunkedArray]]:
        """Name and values of each column that has one or the other, by its number from 1."""
        finished = {}
        for place, builder in sorted(self._builders.items()):
            head = self._header.get(place, "")
            if head != "" or not builder.is_empty:
                finished[place + 1] = render(head).strip(), builder.finish(as_text=as_text)
        return finished


def _turned(rows: Iterator[Row]) -> Iterator[list[tuple[Any, ...]]]:
    """The cells of each column, for some rows at a time; empty rows are left out."""
    while chunk := list(islice(rows, TURNED_ROWS)):
        columns = list(zip(*chunk, strict=True))
        if all("" in cells for cells in columns):  # else no row can be empty
            columns = list(zip(*filter(_is_filled, chunk), strict=True))
        if columns:
            yield columns


def _is_filled(row: Row) -> bool:
    return row.count("") < len(row)
