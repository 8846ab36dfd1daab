"""Intervals on the command line."""

from __future__ import annotations

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from synctables.cli.options import format_interval, parse_interval


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("1h", 3_600),
        ("1d", 86_400),
        ("1w", 604_800),
        ("900", 900),
        (" 2 H ", 7_200),
    ],
)
def test_an_interval_is_read(text: str, seconds: int) -> None:
    assert parse_interval(text) == seconds


@pytest.mark.parametrize("text", ["", "1x", "h", "-1h", "0", "1.5h", "1h30m", "٣h", "9999999999w"])
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not an interval"):
        parse_interval(text)


@given(st.integers(min_value=1, max_value=2**31 - 1))
def test_every_interval_that_is_shown_can_be_typed_in_again(seconds: int) -> None:
    assert parse_interval(format_interval(seconds)) == seconds
