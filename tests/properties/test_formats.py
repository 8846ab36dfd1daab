"""Rows written in any format come back the same."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from synctables.importer import read
from synctables.importer.infer import infer
from synctables.importer.model import ReadOptions
from tests.support.arrow_files import read_typed_file
from tests.support.reading import LIMITS, read_bytes

Row = tuple[str, int, float | None, bool | None, dt.date | None]
HEADER = ("name", "count", "size", "is_open", "day")
TYPES = (pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.date32())

TEXT = st.text(
    st.characters(exclude_categories=["C"], exclude_characters="\u2028\u2029") | st.just("\n"),
    max_size=12,
).map(lambda text: f"x{text}x")  # never a number, a date or a blank
NUMBERS = st.integers(-(2**53), 2**53)
"""In every row: a last line with one cell alone would be told as a CSV's footer."""
SIZES = st.floats(-1e6, 1e6).map(lambda number: round(number, 3) + 0.0) | st.none()
DAYS = st.dates(dt.date(1901, 1, 1), dt.date(2199, 12, 31)) | st.none()
ROWS = st.lists(
    st.tuples(TEXT, NUMBERS, SIZES, st.booleans() | st.none(), DAYS), min_size=1, max_size=8
)


def _word(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def write_csv(rows: Sequence[Row]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([HEADER, *([_word(value) for value in row] for row in rows)])
    return text.getvalue().encode()


def _objects(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [dict(zip(HEADER, row, strict=True)) for row in rows]


def write_json(rows: Sequence[Row]) -> bytes:
    return json.dumps(_objects(rows), default=str).encode()


def write_json_lines(rows: Sequence[Row]) -> bytes:
    return "".join(json.dumps(row, default=str) + "\n" for row in _objects(rows)).encode()


def write_geojson(rows: Sequence[Row]) -> bytes:
    features = [
        {"type": "Feature", "properties": row, "geometry": {"type": "Point", "coordinates": [1, 2]}}
        for row in _objects(rows)
    ]
    collection = {"type": "FeatureCollection", "features": features}
    # As escapes, GDAL loses characters whose last 16 bits look like a surrogate (U+1D800, …).
    return json.dumps(collection, default=str, ensure_ascii=False).encode()


def write_xlsx(rows: Sequence[Row]) -> bytes:
    content = io.BytesIO()
    options = {"in_memory": True, "default_date_format": "yyyy-mm-dd"}
    with xlsxwriter.Workbook(content, options) as workbook:
        sheet = workbook.add_worksheet()
        for number, row in enumerate([HEADER, *rows]):
            sheet.write_string(number, 0, row[0])
            sheet.write_row(number, 1, row[1:])
    return content.getvalue()


def write_parquet(rows: Sequence[Row]) -> bytes:
    arrays = [
        pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), TYPES, strict=True)
    ]
    content = io.BytesIO()
    pq.write_table(pa.table(arrays, names=list(HEADER)), content)
    return content.getvalue()


WRITERS: dict[str, Callable[[Sequence[Row]], bytes]] = {
    "a.csv": write_csv,
    "a.json": write_json,
    "a.ndjson": write_json_lines,
    "a.geojson": write_geojson,
    "a.xlsx": write_xlsx,
    "a.parquet": write_parquet,
}


@pytest.mark.parametrize("name", WRITERS)
@given(rows=ROWS)
def test_rows_come_back_the_same_from(name: str, rows: list[Row]) -> None:
    table = _import(name, WRITERS[name](rows))
    assert table.num_rows == len(rows)
    for header, values in zip(HEADER, zip(*rows, strict=True), strict=True):
        typed = table.column(header).to_pylist()
        assert all(map(_is_same, values, typed)), (header, values, typed)


def _import(name: str, content: bytes) -> pa.Table:
    with tempfile.TemporaryDirectory() as folder:
        layers = read_bytes(Path(folder), name, content)
        typed = infer(
            layers, read.open_batches, ReadOptions(),
            into=Path(folder), limits=LIMITS, on_rows=lambda _: None,
        )  # fmt: skip
        return read_typed_file(typed.layers[0].path)


def _is_same(written: Any, typed: Any) -> bool:
    """Equal, or the text of the same where a type was refused; a day may be its midnight."""
    if isinstance(typed, dt.datetime):
        midnight = dt.datetime.combine(written, dt.time(), tzinfo=dt.UTC)
        return typed == midnight
    return bool(written == typed) or (written is not None and _word(written) == typed)
