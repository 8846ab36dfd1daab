"""What the rows' hashes cost, beside what DuckDB's own functions would.

    .venv/bin/python benchmarks/row_hashes.py [--rows 2000000] [--runs 5]

Ten columns of the usual kinds and a point, as infer hands them on, in chunks of 65,536 rows. The
table gives medians of processor seconds (all threads).
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable

import duckdb
import numpy as np
import pyarrow as pa
import shapely
from reading import FIELDS, row

from synctables.importer.infer.row_hashes import HashedColumn, row_hashes

CHUNK_ROWS = 65_536


def make(row_count: int) -> list[pa.RecordBatch]:
    """The rows of `reading`, typed, with their points as WKB."""
    source = random.Random(1)
    columns = list(zip(*(row(source, number) for number in range(row_count)), strict=True))
    arrays = [pa.array(values) for values in columns]
    latitudes, longitudes = (arrays[FIELDS.index(name)].to_numpy() for name in ("lat", "lon"))
    points = shapely.to_wkb(shapely.points(longitudes, latitudes))
    arrays.append(pa.array(points, pa.binary()))
    return list(pa.table(arrays, names=[*FIELDS, "geom"]).to_batches(max_chunksize=CHUNK_ROWS))


def ours(batch: pa.RecordBatch) -> int:
    columns = [
        HashedColumn(name=name, kind=str(values.type), values=values)
        for name, values in zip(batch.schema.names, batch.columns, strict=True)
    ]
    return len(row_hashes(columns)[0])


def in_duckdb(expressions: str) -> Callable[[pa.RecordBatch], int]:
    """Two numbers of 64 bits for each value, ``expressions`` of ``{0}``, as NumPy arrays."""
    connection = duckdb.connect(config={"threads": 1})

    def measured(batch: pa.RecordBatch) -> int:
        chosen = ", ".join(expressions.format(name) for name in batch.schema.names)
        found = connection.from_arrow(batch).project(chosen).fetchnumpy()
        return sum(int(np.bitwise_xor.reduce(values)) & 1 for values in found.values())

    return measured


WAYS: dict[str, Callable[[pa.RecordBatch], int]] = {
    "ours, 128 bits and their sum": ours,
    "DuckDB hash(x), 64 bits": in_duckdb("hash({0})"),
    "DuckDB hash(x), hash('#' || x)": in_duckdb("hash({0}), hash('#' || {0}::VARCHAR)"),
    "DuckDB md5 in two halves": in_duckdb(
        "md5_number_lower({0}::VARCHAR), md5_number_upper({0}::VARCHAR)"
    ),
}


def seconds(way: Callable[[pa.RecordBatch], int], batches: list[pa.RecordBatch]) -> float:
    began = time.process_time()
    for batch in batches:
        way(batch)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    batches = make(asked.rows)
    print(f"| {asked.rows:,} rows, 11 columns | processor time |\n|---|---|")
    for name, way in WAYS.items():
        found = statistics.median(seconds(way, batches) for _ in range(asked.runs))
        print(f"| {name} | {found:.2f} s |", flush=True)


if __name__ == "__main__":
    main()
