"""Some mutated files, the same ones each time; ``make fuzz`` runs as many as one likes."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from synctables.importer.model import TypedLayer
from tests.fuzz.corpus import Original, load_corpus
from tests.fuzz.lane import Lane, broken_promise
from tests.fuzz.mutate import make_mutant
from tests.fuzz.run import open_folder, run
from tests.support.arrow_files import write_typed_file

if TYPE_CHECKING:
    from collections.abc import Iterator

LANES = 2


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> list[Original]:
    return load_corpus(tmp_path_factory.mktemp("fuzz") / "corpus")


@pytest.fixture
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield open_folder(name)


@pytest.mark.parametrize("count", [60, pytest.param(1_000, marks=pytest.mark.full)])
async def test_mutated_files_end_well_and_leave_nothing(corpus: list[Original], count: int) -> None:
    seeds = (f"suite.{number}" for number in range(count))
    report = await run(seeds, corpus, lane_count=LANES)
    assert report.ends.total() == count
    assert report.ends[0] > count / 10
    assert report.is_clean, "\n".join(report.lines())
    assert not report.weaknesses, "\n".join(report.lines())


def test_a_seed_makes_the_same_file_each_time(corpus: list[Original]) -> None:
    for number in range(50):
        one, other = (make_mutant(f"same.{number}", corpus) for _ in range(2))
        assert (one.name, one.edits, one.options) == (other.name, other.edits, other.options)
        if "pack" not in one.edits:  # archives tell when they were made
            assert one.content == other.content


async def test_a_child_that_somebody_ended_is_a_finding(
    corpus: list[Original], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = Lane(root)

    def end_child(path: Path, content: bytes) -> None:
        os.kill(lane.newest_pid, signal.SIGKILL)
        path.write_bytes(content)

    monkeypatch.setattr("tests.fuzz.lane.give_content", end_child)
    try:
        end = await lane.run(make_mutant("same.1", corpus))
    finally:
        await lane.close()
    assert end.finding


def test_a_typed_file_that_postgresql_would_refuse_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    write_typed_file(path, pa.table({"a": ["x\0y", "z"]}))
    layer = TypedLayer(name="a", path=path, columns=(), row_count=2, signature_tag="")
    assert "refuses" in broken_promise(layer)
    other = TypedLayer(name="a", path=path, columns=(), row_count=3, signature_tag="")
    assert "rows instead of 3" in broken_promise(other)
