"""The most memory that the worker and its child held together, looked at while a run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

import psutil

from demonstration.processes import resident_bytes

LOOK_SECONDS = 0.2
"""A look takes milliseconds, on cores that others are measured on."""


class MemoryWatch:
    """Resident sizes of the worker that `synctables serve` started and of the child that reads.

    Other children only wait, all alike, for runs to come. The database is none of it. Pages that
    processes share are counted in each: an upper bound.
    """

    def __init__(self, service_pid: int) -> None:
        self._service = psutil.Process(service_pid)
        self.peak_bytes = 0

    def look(self) -> None:
        workers = self._service.children()
        children = [child for worker in workers for child in _children(worker)]
        held = sum(map(resident_bytes, workers)) + max(map(resident_bytes, children), default=0)
        self.peak_bytes = max(self.peak_bytes, held)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


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
