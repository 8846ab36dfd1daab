"""Which columns tell all rows apart: against a count of their values, which is what it must be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synctables.importer.apply import keys
from synctables.importer.apply.keys import still_unique_columns, unique_columns
from synctables.importer.model import ColumnType, TypedLayer
from tests.support.layers import write_layer

TYPES = {"number": ColumnType.BIGINT, "name": ColumnType.TEXT}
# Few different values, so that some stand twice.
VALUES = st.none() | st.integers(0, 40)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(autouse=True)
def tiny_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a few rows go through all that large ones do."""
    monkeypatch.setattr(keys, "_FIRST_LOOK_ROWS", 2)


def layer_of(scratch: Path, values: Sequence[int | None]) -> TypedLayer:
    """Numbers as they are, and the same as text, whose order is another one."""
    rows = [(value, None if value is None else str(value)) for value in values]
    return write_layer(scratch / "version.arrow", TYPES, rows, [None] * len(rows), batch_rows=3)


def tells_apart(values: Sequence[int | None]) -> bool:
    return None not in values and len(set(values)) == len(values)


@given(values=st.lists(VALUES, min_size=1, max_size=12))
def test_a_column_is_a_key_if_no_value_stands_twice_or_is_null(
    scratch: Path, values: list[int | None]
) -> None:
    found = unique_columns(layer_of(scratch, values), among=None, scratch=scratch)
    assert set(found) == (set(TYPES) if tells_apart(values) else set())


@given(
    stayed=st.lists(st.integers(0, 40), max_size=12, unique=True),
    came=st.lists(VALUES, min_size=1, max_size=4),
    data=st.data(),
)
def test_a_key_is_known_to_be_one_still_by_the_rows_that_came(
    scratch: Path, stayed: list[int], came: list[int | None], data: st.DataObject
) -> None:
    size = len(stayed) + len(came)
    places = data.draw(
        st.sets(st.integers(0, size - 1), min_size=len(came), max_size=len(came)).map(sorted)
    )
    left, arriving = iter(stayed), iter(came)
    values = [next(arriving) if place in places else next(left) for place in range(size)]
    found = still_unique_columns(
        layer_of(scratch, values), among=TYPES, coming=np.array(places) + 1, scratch=scratch
    )
    assert set(found) == (set(TYPES) if tells_apart(values) else set())
