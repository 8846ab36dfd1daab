"""What becomes of a file's rows from one edition to the next. Pure, and the same every time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from demonstration.sources import Row

EDITION_FIELD = "edition"
"""Every file has this field: the edition in which the row last changed."""

_HELD_BACK_SHARE = 0.1
_CHANGED_SHARE = 0.02


@dataclass(frozen=True, kw_only=True)
class Edition:
    """The rows of one edition of a file; those that are not in it wait in ``held_back``."""

    number: int
    rows: tuple[Row, ...]
    held_back: tuple[Row, ...]

    @property
    def edition_sum(self) -> int:
        """Sum of the edition field over all rows: tells one edition from another."""
        return sum(_edition_of(row) for row in self.rows)


def first_edition(rows: tuple[Row, ...], *, random: Random) -> Edition:
    """Edition 1: all rows but a few, which later editions bring in."""
    count = max(2, round(len(rows) * _HELD_BACK_SHARE))
    chosen = set(random.sample(range(len(rows)), count))
    marked = [_mark(row, edition=1) for row in rows]
    return Edition(
        number=1,
        rows=tuple(row for place, row in enumerate(marked) if place not in chosen),
        held_back=tuple(row for place, row in enumerate(marked) if place in chosen),
    )


def next_edition(edition: Edition, *, random: Random) -> Edition:
    """Some rows changed, some removed, some that were held back added at the end."""
    number = edition.number + 1
    most = max(2, round(len(edition.rows) * _CHANGED_SHARE))
    places = random.sample(range(len(edition.rows)), 2 * most)
    changed = set(places[: random.randint(1, most)])
    removed = set(places[most : most + random.randint(1, most)])
    added_count = random.randint(1, min(most, len(edition.held_back)))
    added = tuple(_mark(row, edition=number) for row in edition.held_back[:added_count])
    kept = tuple(
        _mark(row, edition=number) if place in changed else row
        for place, row in enumerate(edition.rows)
        if place not in removed
    )
    gone = tuple(edition.rows[place] for place in sorted(removed))
    return Edition(
        number=number, rows=kept + added, held_back=edition.held_back[added_count:] + gone
    )


def _mark(row: Row, *, edition: int) -> Row:
    return replace(row, fields={**row.fields, EDITION_FIELD: edition})


def _edition_of(row: Row) -> int:
    number = row.fields[EDITION_FIELD]
    assert isinstance(number, int)  # noqa: S101  # set by _mark
    return number
