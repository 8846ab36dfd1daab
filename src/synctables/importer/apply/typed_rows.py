"""Chosen rows and columns of a typed file, without the rest of it in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synctables.errors import LoadError
from synctables.importer.apply.row_layouts import NEW, Numbers
from synctables.importer.model import HASH_COLUMNS, TypedLayer

POSITION = "#position"
"""Columns of ours beside the file's carry a "#", which no column name of a table has."""


def typed_schema(layer: TypedLayer) -> pa.Schema:
    """All columns of the typed file. Raises `LoadError` where it is no such file."""
    with _coded(), pa.OSFile(str(layer.path)) as file:
        return pa.ipc.open_file(file).schema


def typed_batches(layer: TypedLayer, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """These columns of all rows, in the batches in which they were written.

    The sandbox wrote the file: nothing that it says of itself is taken for true. Raises `LoadError`
    where lengths or offsets lead out of it, or text is none.
    """
    schema = typed_schema(layer)
    fields = [schema.get_field_index(name) for name in names]
    options = pa.ipc.IpcReadOptions(included_fields=fields)
    with pa.OSFile(str(layer.path)) as file:
        reader = pa.ipc.open_file(file, options=options)
        for number in range(reader.num_record_batches):
            with _coded():
                batch = reader.get_batch(number).select(list(names))
                batch.validate(full=True)
            yield batch


@contextmanager
def _coded() -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        raise LoadError(f"The typed file cannot be read: {error}") from error


def chosen_rows(
    layer: TypedLayer, positions: Numbers, names: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """These columns of the rows at these positions (ascending, from 1), their position first."""
    first = 1
    for batch in typed_batches(layer, names):
        begin, end = np.searchsorted(positions, [first, first + len(batch)])
        if begin < end:
            chosen = positions[begin:end]
            rows = batch.take(pa.array(chosen - first))
            yield rows.add_column(0, POSITION, pa.array(chosen))
        first += len(batch)


def hashed_rows(layer: TypedLayer) -> Iterator[NDArray[Any]]:
    """The hash of every row, in blocks in file order, laid out as `row_sets.NEW`."""
    first = 1
    for batch in typed_batches(layer, HASH_COLUMNS):
        yield _block(batch, np.arange(first, first + len(batch)))
        first += len(batch)


def hashes_at(layer: TypedLayer, positions: Numbers) -> NDArray[Any]:
    """The hashes of the rows at these positions (ascending), laid out as `row_sets.NEW`."""
    blocks = [
        _block(rows, rows.column(POSITION).to_numpy())
        for rows in chosen_rows(layer, positions, HASH_COLUMNS)
    ]
    return np.concatenate(blocks) if blocks else np.empty(0, NEW)


def _block(rows: pa.RecordBatch, positions: Numbers) -> NDArray[Any]:
    block = np.empty(len(rows), NEW)
    block["low"], block["high"] = (rows.column(name).to_numpy() for name in HASH_COLUMNS)
    block["position"] = positions
    return block
