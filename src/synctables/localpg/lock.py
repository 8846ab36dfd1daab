"""One `synctables serve` per data directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from synctables.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from synctables.localpg.directory import DataDirectory


@contextlib.contextmanager
def exclusive(directory: DataDirectory) -> Iterator[None]:
    """Hold the directory's lock file; the kernel lets go of it however this process ends.

    Raises `ConfigurationError` that names the process that holds it.
    """
    handle = os.open(directory.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise ConfigurationError(
                f"Another synctables (process {holder}) runs on the data directory "
                f"{directory.root}. Stop it, or give another one with --data-dir."
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)
        yield
    finally:
        os.close(handle)
