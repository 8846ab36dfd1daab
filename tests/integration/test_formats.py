"""Every format in every archive gives the same rows, of the same types, in the same place."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest
import shapely

from synctables.errors import RunError
from synctables.importer import infer, read
from synctables.importer.model import ColumnType, ReadOptions
from tests.support.archive_files import ARCHIVES, Files
from tests.support.arrow_files import read_typed_file
from tests.support.format_files import MAKERS, ROWS
from tests.support.reading import LIMITS, read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from synctables.importer.model import TypedLayer

_OWN_NAMES = {
    "gpx": {"ele": "people", "hdop": "ratio"},
    "osm_xml": {"ref": "people", "address": "ratio"},
    "osm_pbf": {"ref": "people", "address": "ratio"},
}
"""Formats with fields of their own, and which of ours stands there."""
_WHOLE_IN_EVERY_PART = {"csv", "tsv", "json_lines", "geojson_lines"}
_LOOSE = {"people": {ColumnType.BIGINT, ColumnType.DOUBLE, ColumnType.TEXT},
          "ratio": {ColumnType.DOUBLE, ColumnType.TEXT}, "name": {ColumnType.TEXT}}  # fmt: skip
_EXACT = {"people": {ColumnType.BIGINT}, "ratio": {ColumnType.DOUBLE}, "name": {ColumnType.TEXT}}


@cache
def _made(make: Callable[[], Files]) -> Files:
    return make()


def _type_only(folder: Path, name: str, content: bytes) -> TypedLayer:
    layers = read_bytes(folder, name, content)
    into = folder / "typed"
    into.mkdir()
    typed = infer.infer(
        layers,
        read.open_batches,
        ReadOptions(),
        into=into,
        limits=LIMITS,
        on_rows=lambda _: None,
    )
    assert len(typed.layers) == 1
    return typed.layers[0]


def _check(make: Callable[[], Files], layer: TypedLayer) -> None:
    ours = _OWN_NAMES.get(make.__name__, {})
    types = {ours.get(column.name, column.name): column.type for column in layer.columns}
    allowed = _LOOSE if ours else _EXACT
    assert {name: types[name] for name in allowed if types[name] not in allowed[name]} == {}
    theirs = {mine: name for name, mine in ours.items()}
    rows = read_typed_file(layer.path).to_pylist()
    found = [
        (row["name"], *(float(row[theirs.get(key, key)]) for key in ("people", "ratio")))
        for row in rows
    ]
    assert found == [(name, people, ratio) for name, people, ratio, _ in ROWS]
    shapes = [shapely.from_wkb(row["the_geom"]) for row in rows]
    for shape, (_, _, _, point) in zip(shapes, ROWS, strict=True):
        assert (shape.x, shape.y) == pytest.approx(point, abs=1e-7)
    assert layer.misfits == ()


@pytest.mark.parametrize("archive", [None, *ARCHIVES], ids=lambda name: name or "alone")
@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_every_format_in_every_archive_gives_the_same_table(
    tmp_path: Path, make: Callable[[], Files], archive: str | None
) -> None:
    files = _made(make)
    if archive is not None:
        content, name = ARCHIVES[archive](files), f"cities.{archive}"
    elif len(files) == 1:
        name, content = next(iter(files.items()))
    else:
        pytest.skip("a format of several files comes in an archive")
    _check(make, _type_only(tmp_path, name, content))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_a_file_that_was_cut_off_is_an_error_or_text_and_never_fewer_rows_in_silence(
    tmp_path: Path, make: Callable[[], Files]
) -> None:
    files = _made(make)
    name, content = next(iter(files.items()))
    if len(files) > 1 or make.__name__ in _WHOLE_IN_EVERY_PART:
        pytest.skip("its beginning is a whole file, or it has several")
    with pytest.raises(RunError):
        _type_only(tmp_path, name, content[: len(content) * 9 // 10])
