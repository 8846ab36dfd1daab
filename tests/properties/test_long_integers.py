"""The quick look for long integers misses none that the search by keys finds."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from synctables.importer.read.exact_features import has_long_integers
from synctables.importer.read.long_integers import CHUNK_BYTES, may_hold_long_integers

BLANKS = st.text(" \t\r\n", max_size=9)
NUMBERS = st.one_of(
    st.integers(-(10**40), 10**40),
    st.integers(10**15 - 2, 10**15 + 2),
    st.floats(allow_nan=False, allow_infinity=False),
)


def write(folder: str, text: str) -> Path:
    path = Path(folder, "things.json")
    path.write_text(text, newline="")
    return path


@given(st.lists(st.tuples(BLANKS, NUMBERS, BLANKS), max_size=5))
@example([(" ", 10**15, "")])
def test_no_long_integer_is_overlooked(values: list[tuple[str, float, str]]) -> None:
    text = ",".join(f'{{"v":{before}{json.dumps(v)}{after}}}' for before, v, after in values)
    with tempfile.TemporaryDirectory() as folder:
        path = write(folder, f"[{text}]")
        assert may_hold_long_integers(path) or not has_long_integers(path, "v")


@pytest.mark.parametrize("shift", range(40))
def test_no_long_integer_is_overlooked_where_chunks_meet(tmp_path: Path, shift: int) -> None:
    before = '{"v":'
    gap = " " * (CHUNK_BYTES - len(before) - shift)
    assert may_hold_long_integers(write(str(tmp_path), before + gap + "1234567890123456}"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('{"v": 1234567890123456}', True, id="an integer"),
        pytest.param('{"v":-1234567890123456}', True, id="a negative one"),
        pytest.param('{"v": 123456789012345}', False, id="a shorter one"),
        pytest.param('{"v": 0.1234567890123456789}', False, id="a long fraction"),
        pytest.param('{"v": "A1234567890123456789"}', False, id="figures in text"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_only_where_a_value_begins(tmp_path: Path, text: str, expected: bool) -> None:
    assert may_hold_long_integers(write(str(tmp_path), text)) is expected
