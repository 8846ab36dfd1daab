"""The benchmark's versions, its verdicts and its page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyarrow import csv

from comparison import files, rows
from comparison.cases import Findings
from comparison.digests import digest_of
from comparison.measuring import Measurement, Turn
from comparison.readers import Reading
from comparison.table import write_page
from comparison.targets import judge


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.3])
def test_a_next_version_differs_in_the_share_of_rows_that_was_asked_for(share: float) -> None:
    first = rows.make_points(10_000)
    second = rows.change(first, share, number=1)
    removed = rows.removed_rows(first, second)
    added = rows.removed_rows(second, first)
    kept = first.filter(np.isin(first["id"], second["id"]))
    differing = sum(
        one != other for one, other in zip(kept.to_pylist(), second.to_pylist(), strict=False)
    )
    assert removed.num_rows == pytest.approx(1_000 * share, abs=1)
    assert added.num_rows == pytest.approx(1_000 * share, abs=1)
    assert differing == pytest.approx(8_000 * share, abs=2)


def test_versions_that_follow_each_other_change_different_rows_under_keys_of_their_own() -> None:
    first = rows.make_points(10_000)
    second = rows.change(first, 0.1, number=1)
    third = rows.change(second, 0.1, number=2)
    assert len(set(third["id"].to_pylist())) == third.num_rows == first.num_rows
    assert rows.removed_rows(first, second).num_rows == 100
    assert rows.removed_rows(first, third).num_rows > 180
    assert rows.change(second, 0.1, number=2).equals(third)


def test_rows_are_the_same_each_time_and_their_file_holds_them_all(tmp_path: Path) -> None:
    version = rows.make_points(1_000)
    path = tmp_path / "points.csv"
    files.write_csv(version, path)
    assert version.equals(rows.make_points(1_000))
    assert digest_of(csv.read_csv(path).cast(version.schema)) == digest_of(version)


def _measured(case: str, who: str, *seconds: float, wal_bytes: int = 0) -> Measurement:
    turns = [Turn(seconds=one, wal_bytes=wal_bytes, peak_bytes=None, parts={}) for one in seconds]
    return Measurement(case=case, who=who, row_count=10, size_bytes=100, turns=turns)


@pytest.mark.parametrize(
    ("measurements", "measured", "is_reached"),
    [
        (
            [_measured("csv", "Synctables", 1, 9, 2), _measured("csv", "ogr2ogr + SQL", 6)],
            "3.00×",
            True,
        ),
        (
            [_measured("csv", "Synctables", 2), _measured("csv", "ogr2ogr + SQL", 5.9)],
            "2.95×",
            False,
        ),
        ([_measured("csv", "Synctables", 5), _measured("csv", "floor", 4)], "1.25×", True),
        ([_measured("csv", "Synctables", 5.1), _measured("csv", "floor", 4)], "1.27×", False),
        (
            [_measured("refresh 1 %", "Synctables", 1), _measured("rewrite", "Synctables", 4)],
            "4.00×",
            True,
        ),
        (
            [
                _measured("wal 1 %", "Synctables", 1, wal_bytes=26),
                _measured("wal rewrite", "Synctables", 1, wal_bytes=100),
            ],
            "0.26×",
            False,
        ),
        ([_measured("small", "Synctables", 0.9)], "0.90 s", True),
        ([_measured("small", "Synctables", 1.0)], "1.00 s", False),
    ],
)
def test_a_target_is_judged_by_medians_of_both_sides(
    measurements: list[Measurement], measured: str, *, is_reached: bool
) -> None:
    (verdict,) = judge(measurements, [])
    assert (verdict.measured, verdict.is_reached) == (measured, is_reached)


@pytest.mark.parametrize(
    ("case", "waited_seconds", "is_reached"),
    [("delta 1 %", 0.0, True), ("delta 1 %", 0.005, False), ("rewrite", 0.1, True)],
)
def test_only_a_rewrite_may_make_a_reader_wait(
    case: str, waited_seconds: float, *, is_reached: bool
) -> None:
    reading = Reading(
        case=case,
        kind="plain",
        query_count=1,
        median_seconds=0.001,
        longest_seconds=0.2,
        longest_lock_wait_seconds=waited_seconds,
    )
    (verdict,) = judge([], [reading])
    assert verdict.is_reached is is_reached


def test_the_page_says_how_often_each_was_measured_and_what_was_left_out() -> None:
    findings = Findings(
        measurements=[_measured("csv", "Synctables", 1, 2, 3), _measured("csv", "dlt", 8)],
        left_out=["rewrite: this version has no rewrite"],
    )
    page = write_page(findings, [], run={"commit": "abc"}, machine={"cores": "2"})
    assert "| csv | 10 | 0.0 | **Synctables** | 3 | 2.00 | 1.00–3.00 |" in page
    assert "| csv | 10 | 0.0 | dlt | 1 | 8.00 | 8.00–8.00 | 4.00 |" in page
    assert "- rewrite: this version has no rewrite" in page
