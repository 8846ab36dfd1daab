"""Without type guessing, and with pins, every format of rows obeys in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from synctables.importer import read
from synctables.importer.infer import infer
from synctables.importer.model import ColumnType, ReadOptions
from tests.support import format_files
from tests.support.arrow_files import read_typed_file
from tests.support.reading import LIMITS, read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pyarrow as pa

T = ColumnType
ROWS_ONLY = (
    *(format_files.csv, format_files.tsv, format_files.xlsx, format_files.xls),
    *(format_files.xlsb, format_files.ods),
)


def _typed(
    folder: Path, make: Callable[[], dict[str, bytes]], options: ReadOptions
) -> tuple[dict[str, ColumnType], pa.Table]:
    ((name, content),) = make().items()
    layers = read_bytes(folder, name, content)
    typed = infer(
        layers, read.open_batches, options, into=folder, limits=LIMITS, on_rows=lambda _: None
    )
    (layer,) = typed.layers
    return {column.name: column.type for column in layer.columns}, read_typed_file(layer.path)


@pytest.mark.parametrize("make", ROWS_ONLY)
def test_without_guessing_all_columns_are_text_and_nothing_is_a_place(
    tmp_path: Path, make: Callable[[], dict[str, bytes]]
) -> None:
    types, table = _typed(tmp_path, make, ReadOptions(type_guessing=False))
    assert set(types.values()) == {T.TEXT}
    assert table.column("people").to_pylist() == ["700000", "1080000"]
    assert table.column("ratio").to_pylist() == ["1.5", "0.25"]
    assert table.column("the_geom").null_count == 2


@pytest.mark.parametrize("make", ROWS_ONLY)
def test_a_pin_stands_above_what_the_cells_say_and_above_guessing(
    tmp_path: Path, make: Callable[[], dict[str, bytes]]
) -> None:
    for is_guessing in (True, False):
        options = ReadOptions(
            type_guessing=is_guessing, column_types={"people": T.TEXT, "ratio": T.NUMERIC}
        )
        types, table = _typed(tmp_path, make, options)
        assert (types["people"], types["ratio"]) == (T.TEXT, T.NUMERIC)
        assert table.column("people").to_pylist() == ["700000", "1080000"]
