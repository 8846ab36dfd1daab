"""The zoo: every file in ``tests/files`` is named for its fault and becomes what it must.

A new file is a whole contribution: give it a line here, or one in `test_error_codes` if it must
end with a code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import shapely

from synctables.importer import read
from synctables.importer.infer import infer
from synctables.importer.model import ColumnType, Misfit, ReadOptions
from tests.integration.test_error_codes import FAULTY_FILES
from tests.support.arrow_files import read_typed_file
from tests.support.reading import FILES, LIMITS, read_sample

if TYPE_CHECKING:
    from pathlib import Path

T = ColumnType


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What the first table must hold: columns with type and values, shapes, what did not fit."""

    columns: dict[str, tuple[ColumnType, list[Any]]]
    shapes: list[str | None] = field(default_factory=list)
    misfits: dict[str, int] = field(default_factory=dict)
    """How many cells by reason."""
    table_count: int = 1


SAMPLES = {
    "integers_beyond_int64.csv": Sample(
        columns={"id": (T.NUMERIC, [Decimal(1), Decimal(2**63)])},
    ),
    "leading_zeros_and_plus_signs.csv": Sample(
        columns={
            "zip": (T.TEXT, ["01067", "99"]),
            "phone": (T.TEXT, ["+49301234", "110"]),
            "code": (T.TEXT, ["1e5", "7"]),
            "size": (T.DOUBLE, [1.5, 2.25]),
        },
    ),
    "digits_beyond_a_double.csv": Sample(
        columns={"size": (T.NUMERIC, [Decimal("0.1234567890123456789"), Decimal("1.5")])},
    ),
    "days_and_months_in_doubt.csv": Sample(
        columns={
            "open": (T.TEXT, ["01/02/2026", "03/04/2026"]),
            "settled": (T.DATE, [date(2026, 2, 1), date(2026, 4, 25)]),
        },
    ),
    "nine_spellings_of_null.csv": Sample(
        columns={
            "empty": (T.BIGINT, [None, 1, 2, 3, 4, 5, 6, 7, 8]),
            "other": (T.TEXT, ["NULL", "null", "NA", "N/A", "nan", "-", "None", "\\N", "#N/A"]),
        },
    ),
    "headers_in_four_scripts.csv": Sample(
        columns={
            "strasse": (T.BIGINT, [1]),
            "voyno": (T.BIGINT, [2]),
            "gora": (T.BIGINT, [3]),
            "shan": (T.BIGINT, [4]),
        },
    ),
    "headers_that_are_equal_empty_or_reserved.csv": Sample(
        columns={
            "name": (T.TEXT, ["a"]),
            "name_1": (T.TEXT, ["b"]),
            "field_3": (T.TEXT, ["c"]),
            "_select": (T.TEXT, ["d"]),
            "the_geom_webmercator_1": (T.TEXT, ["e"]),
            "_2abc": (T.TEXT, ["g"]),
        },
    ),
    "degrees_with_commas_and_signs.csv": Sample(
        columns={"lat": (T.TEXT, ["50,93°", "-0,18"]), "lon": (T.TEXT, ["11,59°", "-78,47"])},
        shapes=["POINT (11.59 50.93)", "POINT (-78.47 -0.18)"],
    ),
    "metres_called_latitude.csv": Sample(
        columns={"lat": (T.DOUBLE, [5643210.1]), "lon": (T.DOUBLE, [682345.2])},
        shapes=[None],
    ),
    "words_called_geometry.csv": Sample(
        columns={"geometry": (T.TEXT, ["square", "triangle"])},
        shapes=[None, None],
    ),
    "polygon_like_a_bow_tie.csv": Sample(
        columns={"name": (T.TEXT, ["bow"])},
        shapes=["MULTIPOLYGON (((1 1, 2 2, 2 0, 1 1)), ((0 0, 0 2, 1 1, 0 0)))"],
        misfits={"invalid polygon, repaired": 1},
    ),
    "shapes_of_all_kinds_in_four_notations.csv": Sample(
        columns={"name": (T.TEXT, ["a", "b", "c", "d"])},
        shapes=["POINT (1 2)", "POINT (0 0)", "LINESTRING (0 0, 1 1)", "POINT (1 2)"],
    ),
    "cities.xls": Sample(columns={"name": (T.TEXT, ["Oslo"]), "people": (T.BIGINT, [])}),
    "error_cell_and_dates_of_1900.xls": Sample(
        columns={"key": (T.TEXT, ["a"]), "value": (T.BIGINT, []), "day": (T.DATE, [])},
        misfits={"error cells, kept as NULL (the numbers are rows of the sheet)": 1},
    ),
    "error_cell_and_dates_of_1904.xls": Sample(
        columns={"key": (T.TEXT, ["a"]), "value": (T.BIGINT, []), "day": (T.DATE, [])},
        misfits={"error cells, kept as NULL (the numbers are rows of the sheet)": 1},
    ),
    "shapefile_with_cpg_ending_in_newline.zip": Sample(
        columns={"name": (T.TEXT, []), "people": (T.BIGINT, [])}
    ),
    "shapefile_without_prj_and_cpg.zip": Sample(
        columns={"name": (T.TEXT, []), "people": (T.BIGINT, [])}
    ),
    "three_layers.gpkg": Sample(columns={"name": (T.TEXT, [])}, table_count=2),
    "two_folders.kml": Sample(columns={"name": (T.TEXT, [])}, table_count=2),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_file_becomes(tmp_path: Path, name: str) -> None:
    sample = SAMPLES[name]
    layers = read_sample(tmp_path, name, every_layer=True)
    typed = infer(
        layers, read.open_batches, ReadOptions(every_layer=True),
        into=tmp_path, limits=LIMITS, on_rows=lambda _: None,
    )  # fmt: skip
    assert len(typed.layers) == sample.table_count
    first = typed.layers[0]
    types = {column.name: column.type for column in first.columns}
    table = read_typed_file(first.path)
    for column, (column_type, values) in sample.columns.items():
        assert types[column] is column_type
        assert table.column(column).slice(0, len(values)).to_pylist() == values
    if sample.shapes:
        assert _wkt(table.column("the_geom").to_pylist()) == sample.shapes
    assert _counts(first.misfits) == sample.misfits


def test_every_file_has_its_line() -> None:
    expected = {*SAMPLES, *(name for _, name in FAULTY_FILES)}
    assert {path.name for path in FILES.iterdir()} == expected


def _wkt(blobs: list[bytes | None]) -> list[str | None]:
    shapes = shapely.from_wkb(blobs)
    return [None if shape is None else shapely.to_wkt(shape.normalize()) for shape in shapes]


def _counts(misfits: tuple[Misfit, ...]) -> dict[str, int]:
    return {misfit.reason: misfit.count for misfit in misfits}
