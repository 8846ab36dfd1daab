"""Which rows differ between two versions: against a count of the rows, which is what it must be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from synctables.importer.apply import row_layouts, unmoved
from synctables.importer.apply.row_layouts import KEPT, NEW, PLACE_STEP
from synctables.importer.apply.row_sets import RowSets

# Few different rows, so that copies, gaps between copies and moves are frequent.
VERSIONS = st.lists(st.integers(0, 6), max_size=14)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(autouse=True)
def tiny_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows stream by as millions would: some wait for their equal, and are given up."""
    monkeypatch.setattr(row_layouts, "BLOCK_ROWS", 2)
    monkeypatch.setattr(unmoved, "MOST_WAITING_ROWS", 3)


def kept_rows(version: Sequence[int], *, first_id: int = 1) -> NDArray[Any]:
    rows = np.zeros(len(version), KEPT)
    rows["low"], rows["high"] = version, [value * 31 for value in version]
    rows["id"] = range(first_id, first_id + len(version))
    rows["place"] = np.arange(len(version)) * PLACE_STEP
    return rows


def new_rows(version: Sequence[int]) -> NDArray[Any]:
    rows = np.zeros(len(version), NEW)
    rows["low"], rows["high"] = version, [value * 31 for value in version]
    rows["position"] = range(1, len(version) + 1)
    return rows


@given(old=VERSIONS, new=VERSIONS)
def test_versions_are_compared_as_multisets(scratch: Path, old: list[int], new: list[int]) -> None:
    with RowSets(scratch) as rows:
        rows.add_kept(kept_rows(old))
        rows.add_new(new_rows(new))
        difference = rows.compare()
        ids = rows.matched_ids(len(new))
        paired_ids, paired_positions = rows.pairs_in_gaps(difference.gone, difference.coming)

    # What goes and comes turns the old rows into the new ones, and nothing goes that could stay.
    going = Counter(old[id_ - 1] for id_ in difference.gone)
    coming = Counter(new[position - 1] for position in difference.coming)
    assert Counter(old) - going + coming == Counter(new)
    assert not going & coming

    # Rows that stay are matched one to one with their equals.
    matched = ids[ids > 0]
    assert len(set(matched)) == len(matched) == len(new) - len(difference.coming)
    assert not set(matched) & set(difference.gone)
    assert all(id_ == 0 or old[id_ - 1] == value for id_, value in zip(ids, new, strict=True))

    # Pairs are of rows that go and come, each once.
    assert len(set(paired_ids)) == len(paired_ids)
    assert len(set(paired_positions)) == len(paired_positions)
    assert set(paired_ids) <= set(difference.gone)
    assert set(paired_positions) <= set(difference.coming)


@given(
    version=st.lists(st.integers(0, 10**6), min_size=1, max_size=30, unique=True), data=st.data()
)
def test_rows_that_changed_where_they_stand_are_paired(
    scratch: Path, version: list[int], data: st.DataObject
) -> None:
    changed = data.draw(st.sets(st.integers(0, len(version) - 1)))
    newer = [value + 10**7 if i in changed else value for i, value in enumerate(version)]
    with RowSets(scratch) as rows:
        rows.add_kept(kept_rows(version))
        rows.add_new(new_rows(newer))
        difference = rows.compare()
        ids, positions = rows.pairs_in_gaps(difference.gone, difference.coming)
    assert [int(i) for i in ids] == [int(p) for p in positions] == sorted(i + 1 for i in changed)


@given(
    version=st.lists(st.integers(0, 10**6), max_size=30, unique=True),
    added=st.lists(st.integers(10**7, 10**8), max_size=8, unique=True),
    data=st.data(),
)
def test_new_rows_get_places_in_the_order_of_the_file(
    scratch: Path, version: list[int], added: list[int], data: st.DataObject
) -> None:
    newer = list(version)
    for value in added:
        newer.insert(data.draw(st.integers(0, len(newer))), value)
    with RowSets(scratch) as rows:
        rows.add_kept(kept_rows(version))
        rows.add_new(new_rows(newer))
        coming = rows.compare().coming
        found = dict(zip(coming.tolist(), rows.places(coming).tolist(), strict=True))
    places = {value: place * PLACE_STEP for place, value in enumerate(version)}
    places |= {newer[position - 1]: place for position, place in found.items()}
    assert sorted(newer, key=lambda value: places[value]) == newer


@given(version=VERSIONS, data=st.data())
def test_what_was_said_later_of_an_id_holds(
    scratch: Path, version: list[int], data: st.DataObject
) -> None:
    ids = range(1, len(version) + 4)
    said = data.draw(st.dictionaries(st.sampled_from(ids), st.none() | st.integers(10, 16)))
    now = dict(zip(ids, version, strict=False)) | said
    later = np.concatenate(
        [kept_rows([value], first_id=id_) for id_, value in said.items() if value is not None]
        or [kept_rows([])]
    )
    gone = np.array([id_ for id_, value in said.items() if value is None], np.int64)
    with RowSets(scratch) as rows:
        rows.add_kept(kept_rows(version))
        rows.override_kept(later, gone=gone)
        rows.add_new(new_rows([value for value in now.values() if value is not None]))
        difference = rows.compare()
        ids_now = rows.kept_ids(np.array(ids))
    assert not len(difference.gone)
    assert not len(difference.coming)
    assert set(ids_now.tolist()) == {id_ for id_, value in now.items() if value is not None}


@pytest.mark.full
def test_more_rows_than_fit_into_memory_are_compared_all_the_same(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synctables.importer.engine.MEMORY", "60MB")
    monkeypatch.setattr(row_layouts, "BLOCK_ROWS", 1 << 16)
    count = 1_500_000
    generator = np.random.default_rng(1)
    version = generator.integers(0, 2**62, count)
    kept, new = np.zeros(count, KEPT), np.zeros(count, NEW)
    kept["low"] = kept["high"] = new["low"] = new["high"] = version
    kept["id"] = new["position"] = np.arange(1, count + 1)
    kept["place"] = np.arange(count) * PLACE_STEP
    new["low"][700_000] += 1
    new["low"], new["high"] = new["low"][::-1], new["high"][::-1]  # hardly a row finds its equal
    with RowSets(scratch) as rows:
        rows.add_kept(kept)
        rows.add_new(new)
        difference = rows.compare()
    assert difference.gone.tolist() == [700_001]
    assert difference.coming.tolist() == [count - 700_000]
