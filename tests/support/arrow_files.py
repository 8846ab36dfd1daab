"""Typed files, as the infer stage writes them and apply reads them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa


def write_typed_file(path: Path, table: pa.Table, *, batch_rows: int | None = None) -> None:
    """``batch_rows``: how many rows are written at once; None: all."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        for batch in table.combine_chunks().to_batches(max_chunksize=batch_rows):
            writer.write_batch(batch)


def read_typed_file(path: Path) -> pa.Table:
    with pa.OSFile(str(path)) as file:
        return pa.ipc.open_file(file).read_all()
