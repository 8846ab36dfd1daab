"""The read stage on polluted CSV files, scored the way the Pollock benchmark scores.

    python benchmarks/pollock.py FOLDER [--worst 20]

FOLDER holds ``csv`` (polluted files) and ``clean`` (the right reading of each, same name). No
parameter is given to the reader. See ``README.md`` beside this file.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from synctables.datasources.base import Fetched, SourceVersion
from synctables.errors import RunError
from synctables.importer import read, unpack
from synctables.importer.model import Limits, ReadOptions

Row = list[str]
LIMITS = Limits(max_bytes=1 << 34, max_columns=100_000)
csv.field_size_limit(1 << 30)


@dataclass(frozen=True)
class Score:
    """Precision, recall and F1 of header, records and cells (0 to 1 each), and success."""

    file: str
    parts: tuple[float, ...]
    is_exact: bool
    why: str

    @property
    def total(self) -> float:
        return sum(self.parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="holds the folders csv and clean")
    parser.add_argument("--worst", type=int, default=20, help="how many differing files to list")
    arguments = parser.parse_args()
    files = sorted(path for path in (arguments.folder / "csv").iterdir() if path.is_file())
    scores = [score_file(path, arguments.folder / "clean" / path.name) for path in files]
    for line in report(scores, worst=arguments.worst):
        print(line)


def score_file(polluted: Path, clean: Path) -> Score:
    """Read ``polluted`` as an import would and compare with ``clean``."""
    with clean.open(encoding="utf-8-sig", newline="") as file:
        expected = list(csv.reader(file))
    try:
        found = read_table(polluted)
    except RunError as error:
        return Score(polluted.name, (0.0,) * 10, is_exact=False, why=f"refused: {error}")
    parts = (1.0, *measure(expected, found))
    return Score(polluted.name, parts, found == expected, explain(expected, found))


def read_table(path: Path) -> list[Row]:
    """Header and rows of the one table of ``path``; NULL is the empty cell, as in the clean."""
    with tempfile.TemporaryDirectory() as workspace:
        copy = Path(workspace) / "fetched"
        copy.write_bytes(path.read_bytes())
        fetched = Fetched(
            path=copy,
            file_name=path.name,
            content_type="text/csv",
            size_bytes=copy.stat().st_size,
            version=SourceVersion(),
        )
        unpacked = unpack.unpack(fetched, into=Path(workspace) / "members", limits=LIMITS)
        layer = read.read(unpacked, ReadOptions(), LIMITS).layers[0]
        header = [field.name for field in layer.fields]
        columns = [column.to_pylist() for column in read.open_batches(layer).read_all().columns]
    rows = [[cell or "" for cell in cells] for cells in zip(*columns, strict=True)]
    return [header, *rows] if any(header) else rows


def measure(expected: list[Row], found: list[Row]) -> Iterator[float]:
    """Nine numbers. Records are compared cell by cell in order, cells as one multiset."""
    if not expected:
        yield from (1.0,) * 9
        return
    yield from overlap(expected[0], found[0] if found else [])
    yield from overlap(map(tuple, expected[1:]), map(tuple, found[1:]))
    yield from overlap(
        (cell for row in expected for cell in row), (cell for row in found for cell in row)
    )


def overlap(expected: Iterable[Hashable], found: Iterable[Hashable]) -> tuple[float, float, float]:
    """Precision, recall and F1 of two multisets."""
    wanted, got = Counter(expected), Counter(found)
    if not wanted:
        return 1.0, 1.0, 1.0
    common = (wanted & got).total()
    if not common:
        return 0.0, 0.0, 0.0
    precision, recall = common / got.total(), common / wanted.total()
    return precision, recall, 2 * precision * recall / (precision + recall)


def explain(expected: list[Row], found: list[Row]) -> str:
    """The first difference, in one line."""
    for number, (wanted, got) in enumerate(zip(expected, found, strict=False)):
        if wanted != got:
            place = next(
                (i for i, (a, b) in enumerate(zip(wanted, got, strict=False)) if a != b),
                min(len(wanted), len(got)),
            )
            return f"row {number}, cell {place}: {wanted[place:][:2]} became {got[place:][:2]}"
    if len(expected) != len(found):
        return f"{len(found)} rows and not {len(expected)}"
    return ""


def report(scores: list[Score], *, worst: int) -> Iterator[str]:
    """The score, its ten parts, and the files that differ."""
    count = len(scores)
    names = [f"{what} {how}" for what in ("header", "records", "cells") for how in ("p", "r", "f1")]
    for index, name in enumerate(["success", *names]):
        yield f"{name:12} {sum(score.parts[index] for score in scores) / count:.4f}"
    differing = sorted((score for score in scores if not score.is_exact), key=lambda s: s.total)
    for score in differing[:worst]:
        yield f"{score.total:7.4f}  {score.file}: {score.why[:200]}"
    yield f"{count - len(differing)} of {count} files read exactly"
    yield f"simple score {sum(score.total for score in scores) / count:.4f} of 10"


if __name__ == "__main__":
    main()
