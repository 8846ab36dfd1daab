"""Bytes on their way to one file on disk: counted, capped, hashed, never blocking the loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
from collections.abc import Iterator
from pathlib import Path

from synctables.errors import DiskFullError, FileTooBigError

_BATCH_BYTES = 1 << 20
"""Written and hashed in a thread at once: a hop costs about 0.1 ms, a batch 2 ms."""

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""EFBIG is `ulimit -f`: the system lets this process write no more into a file."""


class FileSink:
    """One file being written: `add` as bytes come, `finish` at their end, `close` in any case.

    ``size_bytes`` counts at once what was added; `sha256` covers all of it after `finish`.
    Raises `FileTooBigError` beyond ``max_bytes`` and `DiskFullError` where the disk is full.
    """

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self.path = path
        self.size_bytes = 0
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self._pending = bytearray()
        with disk_errors():
            self._file = path.open("wb")

    async def add(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self.size_bytes += len(chunk)
        check_size(self.size_bytes, self._max_bytes)
        self._pending += chunk
        if len(self._pending) >= _BATCH_BYTES:
            await self._flush()

    async def finish(self) -> None:
        """Write what is still pending."""
        await self._flush()
        with disk_errors():
            await asyncio.to_thread(self._file.flush)

    def close(self) -> None:
        """Let go of the file. After `finish` nothing is lost; before, the file is of no use."""
        with contextlib.suppress(OSError):
            self._file.close()

    def restart(self) -> None:
        """Forget everything: the file begins anew."""
        self._pending.clear()
        self._hash = hashlib.sha256()
        self.size_bytes = 0
        with disk_errors():
            self._file.seek(0)
            self._file.truncate()

    @property
    def sha256(self) -> str:
        """In hex."""
        return self._hash.hexdigest()

    async def _flush(self) -> None:
        batch, self._pending = bytes(self._pending), bytearray()
        if batch:
            with disk_errors():
                await asyncio.to_thread(self._write, batch)

    def _write(self, batch: bytes) -> None:
        self._file.write(batch)
        self._hash.update(batch)


def check_size(size_bytes: int, max_bytes: int) -> None:
    """Raise `FileTooBigError` beyond the cap."""
    if size_bytes > max_bytes:
        raise FileTooBigError(f"The file is larger than the {max_bytes:,} bytes allowed here.")


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Turn "no space left" into `DiskFullError`; everything else passes as it is."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise DiskFullError("The disk of this server was full while the file came.") from error
        raise
