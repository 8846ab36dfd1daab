"""What apply reads of a typed file: the sandbox wrote it, which may have been taken over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from synctables.errors import LoadError
from synctables.importer.apply.typed_rows import chosen_rows, typed_batches
from synctables.importer.model import ColumnType, TypedLayer
from tests.support.arrow_files import write_typed_file
from tests.support.layers import MakeLayer, write_layer

ROWS = [(number, f"name {number}") for number in range(1, 8)]
TYPES = {"number": ColumnType.BIGINT, "name": ColumnType.TEXT}


TEXTS = ["a" * 17, "b" * 23]
OFFSETS = [0, 17, 40]

LIES = {
    "offsets beyond the content": (OFFSETS, [0, 17, 1_000_000]),
    "offsets that go back": (OFFSETS, [0, 30, 17]),
    "negative offsets": (OFFSETS, [-5, 17, 40]),
    "text that is no UTF-8": (b"a" * 17, b"\xff" * 17),
}


def as_bytes(value: list[int] | bytes) -> bytes:
    return value if isinstance(value, bytes) else np.array(value, np.int32).tobytes()


@pytest.mark.parametrize(("truth", "lie"), LIES.values(), ids=LIES)
def test_a_file_that_lies_about_itself_is_refused(
    make_layer: MakeLayer, truth: list[int] | bytes, lie: list[int] | bytes
) -> None:
    layer: TypedLayer = make_layer(TYPES, ROWS)
    write_typed_file(layer.path, pa.table({"name": TEXTS}))
    content = layer.path.read_bytes()
    assert content.count(as_bytes(truth)) == 1
    layer.path.write_bytes(content.replace(as_bytes(truth), as_bytes(lie)))
    with pytest.raises(LoadError):
        list(typed_batches(layer, ["name"]))


def test_a_file_that_was_cut_off_is_refused(make_layer: MakeLayer) -> None:
    layer: TypedLayer = make_layer(TYPES, ROWS)
    layer.path.write_bytes(layer.path.read_bytes()[:-400])
    with pytest.raises(LoadError):
        list(typed_batches(layer, ["name"]))


@pytest.mark.parametrize("batch_rows", [1, 3, 100])
def test_rows_are_chosen_by_their_position_whatever_batch_they_are_in(
    tmp_path: Path, batch_rows: int
) -> None:
    path = tmp_path / "version.arrow"
    layer = write_layer(path, TYPES, ROWS, [None] * len(ROWS), batch_rows=batch_rows)
    chosen = pa.Table.from_batches(chosen_rows(layer, np.array([1, 4, 5, 7]), ["name", "number"]))
    assert chosen.to_pylist() == [
        {"#position": number, "name": f"name {number}", "number": number} for number in (1, 4, 5, 7)
    ]
