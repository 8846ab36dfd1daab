"""Chosen rows and columns of a typed file, without the rest of it in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from synctables.importer.apply.row_sets import NEW, Numbers
from synctables.importer.model import HASH_COLUMNS, TypedLayer

POSITION = "#position"
"""Columns of ours beside the file's carry a "#", which no column name of a table has."""


def chosen_rows(layer: TypedLayer, positions: Numbers, names: Sequence[str]) -> Iterator[pa.Table]:
    """These columns of the rows at these positions (ascending, from 1), their position first."""
    with pq.ParquetFile(layer.path) as file:
        first = 1
        for group in range(file.num_row_groups):
            row_count = file.metadata.row_group(group).num_rows
            begin, end = np.searchsorted(positions, [first, first + row_count])
            if begin < end:
                chosen = positions[begin:end]
                rows = file.read_row_group(group, columns=list(names)).take(chosen - first)
                yield rows.select(list(names)).add_column(0, POSITION, pa.array(chosen))
            first += row_count


def hashed_rows(layer: TypedLayer) -> Iterator[NDArray[Any]]:
    """The hash of every row, in blocks in file order, laid out as `row_sets.NEW`."""
    with pq.ParquetFile(layer.path) as file:
        first = 1
        for batch in file.iter_batches(batch_size=1 << 18, columns=list(HASH_COLUMNS)):
            yield _block(batch, np.arange(first, first + len(batch)))
            first += len(batch)


def hashes_at(layer: TypedLayer, positions: Numbers) -> NDArray[Any]:
    """The hashes of the rows at these positions (ascending), laid out as `row_sets.NEW`."""
    blocks = [
        _block(rows, rows[POSITION].to_numpy())
        for rows in chosen_rows(layer, positions, HASH_COLUMNS)
    ]
    return np.concatenate(blocks) if blocks else np.empty(0, NEW)


def _block(rows: pa.Table | pa.RecordBatch, positions: Numbers) -> NDArray[Any]:
    block = np.empty(len(rows), NEW)
    block["low"], block["high"] = (rows[name].to_numpy() for name in HASH_COLUMNS)
    block["position"] = positions
    return block
