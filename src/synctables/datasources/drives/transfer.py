"""A file on its way from a blocking SDK to disk: capped, hashed, resumed, verified.

What a drive gives is one revision of a file, so a broken body goes on where it stopped; what ends
up on disk is that revision by the service's own hash, or an error.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Protocol, TypeVar

from synctables.datasources.base import OnBytes
from synctables.datasources.sink import check_size, disk_errors
from synctables.errors import (
    DatasourceConnectError,
    DownloadError,
    DownloadTimeoutError,
    PartialFileError,
    TransientError,
)

_MOST_CALLS_AT_ONCE = 64
_MAX_FRUITLESS_ATTEMPTS = 5
_MENDABLE = (PartialFileError, DownloadTimeoutError, DownloadError, DatasourceConnectError)

Result = TypeVar("Result")


class ContentHash(Protocol):
    """A running hash, as hashlib's are."""

    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the service says of the bytes that it is about to give; None where it does not say.

    ``new_hash`` makes the service's own kind of hash, ``digest`` is what that must come to (hex).
    """

    size_bytes: int | None = None
    digest: str | None = None
    new_hash: Callable[[], ContentHash] | None = None


@dataclass(frozen=True, kw_only=True)
class Received:
    """A whole file on disk."""

    size_bytes: int
    sha256: str


class CallOff:
    """Tells a thread that nobody waits for it any more: threads cannot be cancelled."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def wait(self, seconds: float) -> None:
        """Wait, and raise `CancelledError` as soon as nobody waits."""
        self._event.wait(seconds)
        self.check()

    def check(self) -> None:
        if self._event.is_set():
            raise asyncio.CancelledError


async def in_thread(call: Callable[[CallOff], Result]) -> Result:
    """Run a blocking call in a thread, and call it off when the awaiting task is cancelled."""
    call_off = CallOff()
    run = partial(contextvars.copy_context().run, call, call_off)
    try:
        return await asyncio.get_running_loop().run_in_executor(_threads(), run)
    finally:
        call_off.set()


@cache
def _threads() -> ThreadPoolExecutor:
    """Their own: downloads take hours, and asyncio has six threads here for the whole process.

    All else that blocks needs those, the names of hosts first of all.
    """
    return ThreadPoolExecutor(_MOST_CALLS_AT_ONCE, thread_name_prefix="drive")


def in_loop(on_bytes: OnBytes) -> OnBytes:
    """``on_bytes`` for a thread: called there, it runs in the event loop that runs here."""
    loop = asyncio.get_running_loop()

    def relay(received: int, total: int | None) -> None:
        loop.call_soon_threadsafe(on_bytes, received, total)

    return relay


def receive(
    open_at: Callable[[int], Iterable[bytes]],
    path: Path,
    *,
    expected: Expected,
    max_bytes: int,
    on_bytes: OnBytes,
    call_off: CallOff,
    backoff_seconds: float = 0.5,
) -> Received:
    """Write the file to ``path``. Blocks.

    ``open_at(offset)`` opens the same revision anew from this byte on; it and its chunks raise
    `RunError` classes. After one that may be mended it goes on, and gives up after five attempts
    in a row that brought no byte. ``on_bytes`` is called in this thread (see `in_loop`). Raises
    `FileTooBigError` beyond ``max_bytes``, `DiskFullError`, and `PartialFileError` where size or
    hash differ.
    """
    check_size(expected.size_bytes or 0, max_bytes)
    writer = _Writer(path, expected=expected, max_bytes=max_bytes, on_bytes=on_bytes)
    fruitless = 0
    with writer:
        while True:
            before = writer.size_bytes
            try:
                for chunk in open_at(before):
                    call_off.check()
                    writer.add(chunk)
                return writer.verified()
            except _MENDABLE as error:
                fruitless = 1 if writer.size_bytes > before else fruitless + 1
                if _must_wait(error) or fruitless >= _MAX_FRUITLESS_ATTEMPTS or writer.is_spoiled:
                    raise
            call_off.wait(backoff_seconds * 2 ** (fruitless - 1))


def _must_wait(error: TransientError) -> bool:
    return bool(getattr(error, "retry_after_seconds", None))


class _Writer:
    """The file being written, and both hashes of it."""

    def __init__(
        self, path: Path, *, expected: Expected, max_bytes: int, on_bytes: OnBytes
    ) -> None:
        self._expected = expected
        self._max_bytes = max_bytes
        self._on_bytes = on_bytes
        self._sha256 = hashlib.sha256()
        self._own = expected.new_hash() if expected.new_hash and expected.digest else None
        self.size_bytes = 0
        self.is_spoiled = False
        """More bytes than announced, or others: going on would not make it the right file."""
        with disk_errors():
            self._file = path.open("wb")

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, chunk: bytes) -> None:
        self.size_bytes += len(chunk)
        check_size(self.size_bytes, self._max_bytes)
        with disk_errors():
            self._file.write(chunk)
        self._sha256.update(chunk)
        if self._own:
            self._own.update(chunk)
        self._on_bytes(self.size_bytes, self._expected.size_bytes)

    def verified(self) -> Received:
        with disk_errors():
            self._file.flush()
        total = self._expected.size_bytes
        if total is not None and self.size_bytes != total:
            self.is_spoiled = self.size_bytes > total
            message = f"{self.size_bytes:,} bytes came of {total:,}."
            raise PartialFileError(message)
        if self._own and self._own.hexdigest() != self._expected.digest:
            self.is_spoiled = True
            raise PartialFileError("What came is not what the service's own hash stands for.")
        return Received(size_bytes=self.size_bytes, sha256=self._sha256.hexdigest())
