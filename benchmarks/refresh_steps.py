"""What the steps of a refresh cost that need no database, in processor time.

    .venv/bin/python benchmarks/refresh_steps.py [--rows 2000000] [--runs 5] [--share 0.01]

Two versions of the points of `comparison`, the second with some rows changed, moved, removed and
added, are read and typed as the worker's child does it; then each step of apply that works on the
typed files runs alone. The table gives medians of processor seconds (all threads), which other work
on the machine disturbs less than the time that passes. What PostgreSQL does is not in it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # as in the worker's child

import numpy as np

from comparison import files, rows
from reading import LIMITS, as_fetched
from synctables.importer import infer, read, unpack
from synctables.importer.apply.copying import encoded_batches
from synctables.importer.apply.keys import still_unique_columns, unique_columns
from synctables.importer.apply.row_layouts import KEPT, PLACE_STEP, Numbers
from synctables.importer.apply.row_sets import RowSets
from synctables.importer.apply.typed_rows import (
    chosen_rows,
    hashed_rows,
    typed_schema,
)
from synctables.importer.model import HASH_COLUMNS, ID_COLUMN, ReadOptions, TypedLayer


class Steps:
    """Processor seconds of each step, run after run."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        began_at = time.process_time()
        yield
        self.seconds.setdefault(name, []).append(time.process_time() - began_at)


def type_version(path: Path, into: Path, step: Steps) -> TypedLayer:
    into.mkdir()
    unpacked = unpack.unpack(as_fetched(path), into=into, limits=LIMITS)
    with step("read: check the whole file"):
        layers = read.read(unpacked, ReadOptions(), LIMITS)
    with step("infer: types, points, hashes, typed file"):
        typed = infer.infer(
            layers, read.open_batches, ReadOptions(),
            into=into, limits=LIMITS, on_rows=lambda _: None,
        )  # fmt: skip
    return typed.layers[0]


def compare(old: TypedLayer, new: TypedLayer, scratch: Path, step: Steps) -> Numbers:
    """Positions of rows that come; signatures are taken from the old file, not from a table."""
    with RowSets(scratch) as both:
        with step("apply: gather the hashes of both versions"):
            for block in hashed_rows(old):
                kept = np.empty(len(block), KEPT)
                kept["low"], kept["high"] = block["low"], block["high"]
                kept["id"], kept["place"] = block["position"], block["position"] * PLACE_STEP
                both.add_kept(kept)
            for block in hashed_rows(new):
                both.add_new(block)
        with step("apply: compare"):
            coming = both.compare().coming
        with step("apply: places for the journal"):
            both.places(coming)
    return coming


def apply_steps(old: TypedLayer, new: TypedLayer, scratch: Path, step: Steps) -> None:
    coming = compare(old, new, scratch, step)
    with step("first import: which columns are keys"):
        keys = unique_columns(old, among=None, scratch=scratch)
    with step("apply: which columns are keys still"):
        still_unique_columns(new, among=keys, coming=coming, scratch=scratch)
    names = [name for name in typed_schema(new).names if name not in HASH_COLUMNS]
    with step("apply: take out the rows to stage"):
        consume(chosen_rows(new, coming, names))
    with step("first import: encode all rows for COPY"):
        consume(encoded_batches(old, ID_COLUMN))


def consume(items: Iterator[object]) -> None:
    for _ in items:
        pass


def print_table(step: Steps, row_count: int, share: float) -> None:
    print(f"{row_count:,} rows, {share:.1%} changed; medians of processor seconds\n")
    print("| step | s |\n|---|---|")
    for name, seconds in sorted(step.seconds.items(), key=lambda item: item[0]):
        print(f"| {name} | {statistics.median(seconds):.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--share", type=float, default=0.01)
    asked = parser.parse_args()
    step = Steps()
    base = rows.make_points(asked.rows)
    versions = {"old": base, "new": rows.change(base, asked.share, number=1)}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        here = Path(folder)
        for name, version in versions.items():
            files.write_csv(version, here / f"{name}.csv")
        for number in range(asked.runs):
            old, new = (
                type_version(here / f"{name}.csv", here / f"{name}{number}", step)
                for name in versions
            )
            apply_steps(old, new, here, step)
    print_table(step, asked.rows, asked.share)


if __name__ == "__main__":
    main()
