"""The most memory that the worker and its child held together, looked at while a run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

import psutil

LOOK_SECONDS = 0.2
"""A look takes milliseconds, on cores that others are measured on."""


class MemoryWatch:
    """Sum of the resident sizes of all that `synctables serve` started: worker and child.

    The database is none of it. Pages that processes share are counted in each: an upper bound.
    """

    def __init__(self, service_pid: int) -> None:
        self._service = psutil.Process(service_pid)
        self.peak_bytes = 0

    def look(self) -> None:
        total = 0
        for process in self._service.children(recursive=True):
            with suppress(psutil.Error):
                total += process.memory_info().rss
        self.peak_bytes = max(self.peak_bytes, total)


@contextmanager
def watch_memory(service_pid: int) -> Iterator[MemoryWatch]:
    """Look from a thread until the end of the block."""
    watch = MemoryWatch(service_pid)
    ended = Event()

    def look_on() -> None:
        while not ended.wait(LOOK_SECONDS):
            with suppress(psutil.Error):
                watch.look()

    thread = Thread(target=look_on, name="memory watch")
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()
