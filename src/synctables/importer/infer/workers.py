"""Threads for the columns of a chunk, and one that reads ahead; none of them for a small layer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

import pyarrow as pa

_WORTH_A_THREAD_ROWS = 4_096
Result = TypeVar("Result")


class Workers:
    """Arrow and GEOS let go of the interpreter's lock, so threads do work at the same time."""

    def __init__(self) -> None:
        self._columns = ThreadPoolExecutor(max_workers=os.cpu_count() or 1)
        self._reading = ThreadPoolExecutor(max_workers=1)
        self._is_large = False

    def each(self, work: Callable[..., Result], *arguments: Iterable[Any]) -> Iterator[Result]:
        """As ``map``, in threads if the layer is large."""
        return self._columns.map(work, *arguments) if self._is_large else map(work, *arguments)

    def ahead(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The same batches, the next one being read while the last is worked on."""
        first = next(batches, None)
        if first is None:
            return
        self._is_large = len(first) >= _WORTH_A_THREAD_ROWS
        if not self._is_large:
            yield first
            yield from batches
            return
        coming = self._reading.submit(next, batches, None)
        yield first
        while (batch := coming.result()) is not None:
            coming = self._reading.submit(next, batches, None)
            yield batch

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._columns.shutdown()
        self._reading.shutdown()
