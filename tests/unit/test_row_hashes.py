"""The rows' hashes: fixed for their tag, and of a shape as the file has it."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely

from synctables.importer.infer.row_hashes import SIGNATURE_TAG, HashedColumn, row_hashes
from synctables.importer.model import HASH_COLUMNS, ColumnType
from tests.support.inferring import Inferred, infer_columns

T = ColumnType
BOW_TIE = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])


def hashes_of(values: pa.Array, kind: str = "x") -> list[tuple[int, int]]:
    low, high = row_hashes([HashedColumn(name="x", kind=kind, values=values)])
    return list(zip(low.to_pylist(), high.to_pylist(), strict=True))


def hashes(inferred: Inferred) -> list[tuple[int, int]]:
    return list(zip(*(inferred.values(name) for name in HASH_COLUMNS), strict=True))


CASES: list[tuple[ColumnType, pa.DataType, Any, tuple[int, int]]] = [
    (T.BOOLEAN, pa.bool_(), True, (0x792e09c27b4adf13, 0xe4165b775239232f)),
    (T.BIGINT, pa.int64(), -1, (0x1faeb91ae1fc3b2b, 0x90aee946240b4e77)),
    (T.DOUBLE, pa.float64(), -0.0, (0xee929e10324080a1, 0x6b9fc74ecac7e2df)),
    (T.DOUBLE, pa.float64(), math.nan, (0x1c12e309b3f33a62, 0xc743540a30a71506)),
    (T.NUMERIC, pa.decimal128(38, 3), Decimal("-1.5"), (0x260c3faf882f81c5, 0x131d764f896b0b3e)),
    (T.NUMERIC, pa.decimal128(9, 1), Decimal("-1.5"), (0x260c3faf882f81c5, 0x131d764f896b0b3e)),
    (T.DATE, pa.date32(), dt.date(2024, 2, 29), (0xb05c58bf17c0c527, 0xbfeb113787cbc8ee)),
    (T.TIMESTAMPTZ, pa.timestamp("us", "UTC"), dt.datetime(2024, 2, 29, tzinfo=dt.UTC),
     (0x5ecc95201827e4a7, 0x49c519ecfb1a7b05)),
    (T.TIME, pa.time64("us"), dt.time(1, 2, 3), (0x83aa0bc7550f8ca2, 0xe5c8a5ed92a2d588)),
    (T.TEXT, pa.string(), "", (0x5a8de3a7a1a43ac2, 0x8eb66f509d15d21e)),
    (T.TEXT, pa.string(), "Vadsø, Åndalsnes", (0x657f56c2c851562d, 0x2ee363c5a1fdd6af)),
    (T.TEXT, pa.string(), "long " * 200, (0x80ccce986c902cab, 0x5ffb78dbd2ec5055)),
    (T.JSONB, pa.string(), '{"a": 1}', (0x537a3e83610691f5, 0x2452c4717569a753)),
    (T.BYTEA, pa.binary(), b"\0", (0x30ac3a6228ed6996, 0x93659919e13af7ff)),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "arrow", "value", "expected"), CASES)
def test_a_value_has_the_hash_of_the_tag(
    kind: ColumnType, arrow: pa.DataType, value: Any, expected: tuple[int, int]
) -> None:
    """Signatures are kept for years: whatever changes one of these needs another tag."""
    assert SIGNATURE_TAG == "rows-1"
    assert hashes_of(pa.array([value], arrow), kind) == [expected]


def test_null_adds_nothing() -> None:
    assert hashes_of(pa.array([None, ""], pa.string()))[0] == (0, 0)
    assert 0 not in hashes_of(pa.array([""]))[0]


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 15, 16, 17, 511, 512, 513, 999])
def test_every_byte_of_a_text_counts_wherever_it_begins(length: int) -> None:
    zeros = b"\0" * length
    texts = [zeros, *(zeros[:at] + b"\1" + zeros[at + 1 :] for at in range(length))]
    for before in range(9):
        found = hashes_of(pa.array([b"#" * before, *texts]))[1:]
        assert found == hashes_of(pa.array(texts))
        for lane in (0, 1):
            assert len({pair[lane] for pair in found}) == len(texts)


def test_pieces_of_hashes_are_equal_as_often_as_chance_has_it() -> None:
    """Of both lanes, and across them: 32 bits of 300,000 rows in a row, of which 10.5 coincide."""
    numbers = pa.array(range(300_000))
    for values in (numbers, numbers.cast(pa.string()), numbers.cast(pa.float64())):
        columns = [HashedColumn(name="x", kind="x", values=values)]
        low, high = (lane.to_numpy() for lane in row_hashes(columns))
        half = np.uint64(32)
        for piece in (low >> half, low << half, high >> half, high << half, (low ^ high) << half):
            assert len(values) - len(np.unique(piece)) < 40
        for lane in (low, high):
            assert len(np.unique(lane)) == len(values)


def test_a_shape_counts_as_it_is_in_the_file() -> None:
    """Before repair: the polygons that a bow tie becomes hash otherwise than the bow tie."""
    repaired = shapely.make_valid(BOW_TIE, method="structure")
    inferred = infer_columns(
        {"x": ["1", "1", "1"]}, shapes=[BOW_TIE, repaired, BOW_TIE], crs="EPSG:4326"
    )
    first, second, third = hashes(inferred)
    assert inferred.values("the_geom")[0] == inferred.values("the_geom")[1]
    assert first == third != second


def test_a_shape_in_another_coordinate_system_is_another() -> None:
    one, other = (
        infer_columns({"x": ["1"]}, shapes=[shapely.Point(1, 2)], crs=crs)
        for crs in ("EPSG:4326", "EPSG:3857")
    )
    assert hashes(one) != hashes(other)


def test_the_text_of_a_shape_counts() -> None:
    inferred = infer_columns({"x": ["1"] * 3, "geom": ["POINT (1 2)", "POINT (1 3)", None]})
    assert len(set(hashes(inferred))) == 3


def test_points_made_of_degrees_count_beside_the_degrees() -> None:
    """The file loses the row that made degrees of none: now every row has a point."""
    without = infer_columns({"lat": ["1", "91"], "lon": ["2", "2"]})
    with_points = infer_columns({"lat": ["1", "89"], "lon": ["2", "2"]})
    assert without.values("lat")[0] == with_points.values("lat")[0]
    assert hashes(without)[0] != hashes(with_points)[0]
