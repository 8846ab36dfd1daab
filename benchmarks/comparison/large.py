"""What we need for large files: memory, and the time of a row from small files to large ones.

By us alone and once each: these are bounds, no races.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv

from comparison import files, rows
from comparison.digests import Digest, digest_of
from comparison.editions import Edition
from comparison.machine import FULL_ROWS
from comparison.measuring import Measurement, compare_imports
from comparison.ours import Ours
from comparison.targets import Verdict

if TYPE_CHECKING:
    from comparison.cases import Plan

LARGE_FILES = {"csv": 47_500_000, "geojson": 3_300_000, "xlsx": 710_000}
"""Rows that make a CSV of 5 GB, a GeoJSON of 1 GB and a spreadsheet of 50 MB."""
MOST_BYTES = 1_000_000_000

ROW_COUNTS = (10_000, 100_000, 1_000_000, 10_000_000)
MOST_TIMES_DEARER = 1.25
"""A row of a larger file against one of a smaller file."""

PIECE_ROWS = 1_000_000
"""Of a CSV, no more is held at once."""


def import_large(plan: Plan) -> None:
    """Files of several gigabytes; of fewer ``ROWS`` than usual, they are as much smaller."""
    for kind, full in LARGE_FILES.items():
        count = full * plan.rows // FULL_ROWS
        path = plan.folder / f"large.{kind}"
        measured = _import(plan, _write(count, path), case=f"large {kind}")
        if plan.rows < FULL_ROWS:
            continue  # of less than was spoken of, nothing can be said
        peak_bytes = measured.peak_bytes
        assert peak_bytes is not None
        plan.findings.figures.append(
            Verdict(
                what=f"{kind} of {measured.size_bytes / 1e6:,.0f} MB: memory of worker and child",
                wanted=f"≤ {MOST_BYTES / 1e6:,.0f} MB",
                measured=f"{peak_bytes / 1e6:,.0f} MB",
                is_reached=peak_bytes <= MOST_BYTES,
            )
        )


def import_sizes(plan: Plan) -> None:
    """The same columns, ten times as many rows each time."""
    prices = []
    for full in ROW_COUNTS:
        count = max(1, full * plan.rows // FULL_ROWS)
        edition = _write(count, plan.folder / "size.csv")
        prices.append(_import(plan, edition, case=f"size {full:,}").seconds / count)
    if plan.rows < FULL_ROWS:
        return
    dearest = max(later / min(prices[:place]) for place, later in enumerate(prices) if place)
    listed = ", ".join(f"{price * 1e6:.1f}" for price in prices)
    plan.findings.figures.append(
        Verdict(
            what=f"a row of a larger file against one of a smaller (µs each: {listed})",
            wanted=f"≤ {MOST_TIMES_DEARER:g}×",
            measured=f"{dearest:.2f}×",
            is_reached=dearest <= MOST_TIMES_DEARER,
        )
    )


def _import(plan: Plan, edition: Edition, *, case: str) -> Measurement:
    """Measured once, then the file goes too."""
    ours = Ours(plan.bench, label=edition.path.stem)
    (measured,) = compare_imports(plan.bench, [ours], edition, case=case, runs=1)
    plan.findings.measurements.append(measured)
    edition.path.unlink()
    return measured


def _write(count: int, path: Path) -> Edition:
    digest = _write_csv(count, path) if path.suffix == ".csv" else _write_whole(count, path)
    os.sync()
    return Edition(
        path=path,
        row_count=count,
        coordinates=None if path.suffix == ".geojson" else ("lon", "lat"),
        digest=digest,
        attributes=None,
        merged_attributes=None,
    )


def _write_csv(count: int, path: Path) -> Digest:
    whole: Digest | None = None
    with path.open("wb") as file:
        for piece in _pieces(count):
            options = pyarrow.csv.WriteOptions(quoting_style="needed", include_header=whole is None)
            pyarrow.csv.write_csv(piece, file, options)
            whole = _add(whole, digest_of(piece))
    assert whole is not None
    return whole


def _write_whole(count: int, path: Path) -> Digest:
    version = rows.make_points(count)
    if path.suffix == ".xlsx":
        files.write_xlsx(version, path)
        return digest_of(version)
    version = rows.with_points(version)
    files.write_geojson(version, path)
    return digest_of(version)


def _pieces(count: int) -> Iterator[pa.Table]:
    for first in range(0, count, PIECE_ROWS):
        yield rows.make_points(min(PIECE_ROWS, count - first), first=first)


def _add(whole: Digest | None, piece: Digest) -> Digest:
    """Digests are sums."""
    if whole is None:
        return piece
    return replace(
        whole,
        row_count=whole.row_count + piece.row_count,
        digest=str(int(whole.digest) + int(piece.digest)),
    )
