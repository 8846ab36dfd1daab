"""Counting what did not fit, with the first examples, while rows stream by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from synctables.importer.model import Misfit

EXAMPLE_COUNT = 3
EXAMPLE_LENGTH = 80


def shorten(text: str) -> str:
    """A cell's text, short enough for a report."""
    return text if len(text) <= EXAMPLE_LENGTH else text[: EXAMPLE_LENGTH - 1] + "…"


@dataclass
class Misfits:
    """Misfits of one layer by column and reason. Rows count from 1 in file order."""

    _found: dict[tuple[str, str], tuple[int, tuple[tuple[int, str], ...]]] = field(
        default_factory=dict
    )

    def add(self, column: str, reason: str, cells: Iterable[tuple[int, str]], count: int) -> None:
        """Count ``count`` more cells, of which ``cells`` are the first few, in row order."""
        before, examples = self._found.get((column, reason), (0, ()))
        shown = (*examples, *((row, shorten(text)) for row, text in cells))
        self._found[column, reason] = (before + count, tuple(sorted(shown)[:EXAMPLE_COUNT]))

    def at(self, column: str, first_row: int) -> CellMisfits:
        """Where one column's chunk, whose first row has this number, reports."""
        return CellMisfits(misfits=self, column=column, first_row=first_row)

    def listed(self) -> tuple[Misfit, ...]:
        """All of them, in the order of column and reason."""
        return tuple(
            Misfit(column=column, count=count, reason=reason, examples=examples)
            for (column, reason), (count, examples) in sorted(self._found.items())
        )


@dataclass(frozen=True, kw_only=True)
class CellMisfits:
    """The misfits of one column's chunk."""

    misfits: Misfits
    column: str
    first_row: int

    def add(self, reason: str, cells: list[tuple[int, str]], *, count: int | None = None) -> None:
        """Report cells by their index in the chunk, from 0; ``count`` if there are more."""
        rows = [(self.first_row + index, text) for index, text in cells[:EXAMPLE_COUNT]]
        if rows:
            self.misfits.add(self.column, reason, rows, len(cells) if count is None else count)
