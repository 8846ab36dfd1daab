"""Threads for the columns of a chunk, one that reads ahead, and one that writes behind.

A small layer needs none of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar

import pyarrow as pa

_WORTH_A_THREAD_ROWS = 4_096
Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers:
    """Arrow and GEOS let go of the interpreter's lock, so threads do work at the same time."""

    def __init__(self) -> None:
        self._columns = ThreadPoolExecutor(max_workers=os.cpu_count() or 1)
        self._reading = ThreadPoolExecutor(max_workers=1)
        self._writing = ThreadPoolExecutor(max_workers=1)
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
        try:
            yield first
            while (batch := coming.result()) is not None:
                coming = self._reading.submit(next, batches, None)
                yield batch
        finally:
            wait([coming])  # a pass that is given up leaves nothing running

    @contextmanager
    def behind(self, write: Callable[[Item], None]) -> Iterator[Callable[[Item], None]]:
        """``write``, which goes on while the next item is made: one call at a time, in order.

        The first call after a failed one raises its error, and so does the end of the block.
        """
        pending: Future[None] | None = None

        def hand_over(item: Item) -> None:
            nonlocal pending
            if not self._is_large:
                write(item)
                return
            if pending is not None:
                pending.result()
            pending = self._writing.submit(write, item)

        try:
            yield hand_over
        finally:
            if pending is not None:
                wait([pending])
        if pending is not None:
            pending.result()

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
        self._writing.shutdown()
