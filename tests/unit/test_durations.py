"""Time in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from synctables.durations import format_distance, format_seconds

_NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1 s"), (90, "90 s"), (900, "15 min"), (5_400, "90 min"), (3_600, "1 h"), (86_400, "1 d")],
)
def test_a_length_is_said_exactly(seconds: int, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("distance", "text"),
    [
        (timedelta(0), "now"),
        (timedelta(seconds=0.9), "now"),
        (timedelta(seconds=-12), "12 s ago"),
        (timedelta(minutes=59, seconds=59), "in 59 min"),
        (timedelta(hours=-30), "1 d ago"),
        (timedelta(days=40), "in 40 d"),
    ],
)
def test_a_distance_is_said_in_its_largest_unit(distance: timedelta, text: str) -> None:
    assert format_distance(_NOW + distance, now=_NOW) == text
