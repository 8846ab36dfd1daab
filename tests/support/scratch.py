"""Where tests put whole clusters: in memory where there is room.

Measured on 2 busy cores: a clone of the template takes 0.02 s in memory and 0.4 s on disk.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_NEEDED_BYTES = 2_000_000_000


@contextmanager
def short_directory(prefix: str = "st-") -> Iterator[Path]:
    """A new directory that other users may enter, its path short enough for a socket's."""
    place = Path(tempfile.mkdtemp(prefix=prefix, dir=_root()))
    place.chmod(0o755)
    try:
        yield place
    finally:
        shutil.rmtree(place)


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A `short_directory` for one test."""
    with short_directory() as place:
        yield place


@pytest.fixture(scope="session")
def session_dir() -> Iterator[Path]:
    """A `short_directory` for the cluster that all tests of a session share."""
    with short_directory() as place:
        yield place


def _root() -> Path:
    memory = Path("/dev/shm")
    with contextlib.suppress(OSError):
        if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _NEEDED_BYTES:
            return memory
    return Path("/tmp")
