"""The typed file: one Arrow file of final names and types, written batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import pyarrow as pa

from synctables.importer.model import GEOMETRY_COLUMN, HASH_COLUMNS, WEBMERCATOR_COLUMN

CHUNK_ROWS = 65_536
CHUNK_BYTES = 64 * 1024 * 1024
MERGE_ROWS = CHUNK_ROWS // 2
"""Smaller batches are put together until they have so many rows."""


class TypedFile:
    """Writes chunks of final columns. What is on disk is whole only after the ``with`` block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._schema = pa.schema([])
        self._closing = ExitStack()
        self._writer: pa.ipc.RecordBatchFileWriter | None = None

    def open(self, fields: Sequence[pa.Field]) -> None:
        """Begin the file, once the columns between geometries and hashes are known."""
        geometry = [pa.field(name, pa.binary()) for name in (GEOMETRY_COLUMN, WEBMERCATOR_COLUMN)]
        hashes = [pa.field(name, pa.uint64(), nullable=False) for name in HASH_COLUMNS]
        self._schema = pa.schema([*geometry, *fields, *hashes])
        file = self._closing.enter_context(pa.OSFile(str(self._path), "wb"))
        # Arrow's own format is written with half of Parquet's work, and read with a seventh.
        options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
        self._writer = self._closing.enter_context(
            pa.ipc.new_file(file, self._schema, options=options)
        )

    def write(self, arrays: Sequence[pa.Array]) -> None:
        """Append one chunk: both geometries, the columns, both hashes."""
        assert self._writer is not None  # noqa: S101  # opened before
        self._writer.write_batch(pa.RecordBatch.from_arrays(list(arrays), schema=self._schema))

    def __enter__(self) -> TypedFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.close()


def chunked(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in chunks of a size that is quick to work on and bounded in memory."""
    small: list[pa.RecordBatch] = []
    for batch in batches:
        for part in _split(batch):
            small.append(part)
            rows, size = sum(map(len, small)), sum(piece.nbytes for piece in small)
            if rows >= MERGE_ROWS or size >= CHUNK_BYTES:
                yield _merge(small)
                small = []
    if small:
        yield _merge(small)


def _split(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut a batch by rows and by bytes."""
    if not len(batch):
        return
    row_bytes = max(1, batch.nbytes // len(batch))
    rows = max(1, min(CHUNK_ROWS, CHUNK_BYTES // row_bytes))
    for start in range(0, len(batch), rows):
        yield batch.slice(start, rows)


def _merge(parts: list[pa.RecordBatch]) -> pa.RecordBatch:
    return parts[0] if len(parts) == 1 else pa.concat_batches(parts)
