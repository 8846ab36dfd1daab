"""What `synctables doctor` checks: what is there, what is missing, the line that mends it."""

from __future__ import annotations

import ctypes.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from synctables.errors import ConfigurationError
from synctables.localpg.binaries import find_binaries
from synctables.localpg.directory import (
    DatabaseUser,
    DataDirectory,
    default_data_dir,
    nearest_visible,
)
from synctables.localpg.postmaster import find_postmaster
from synctables.localpg.system_packages import libarchive_command
from synctables.settings import Settings

_FREE_BYTES = 5_000_000_000  # enough for a few large files, their typed copies and their tables


@dataclass(frozen=True)
class Finding:
    """One checked thing; ``remedy`` is a command or a sentence, empty when all is well."""

    subject: str
    ok: bool
    detail: str
    remedy: str = ""


def diagnose(settings: Settings) -> list[Finding]:
    """Check what the private cluster and the worker need of this machine; changes nothing."""
    directory = DataDirectory.at(settings.data_dir or default_data_dir())
    return [
        _checked("PostgreSQL", lambda: _postgres(directory)),
        _checked("data directory", lambda: _data_directory(directory)),
        _disk(directory.root),
        _libarchive(),
    ]


def _checked(subject: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, ok=True, detail=check())
    except ConfigurationError as error:
        return Finding(subject, ok=False, detail="not usable", remedy=str(error))


def _postgres(directory: DataDirectory) -> str:
    binaries = find_binaries(major=directory.cluster_major())
    return f"{binaries.major} with PostGIS, in {binaries.bin_dir}"


def _data_directory(directory: DataDirectory) -> str:
    user = DatabaseUser.for_cluster(directory)
    directory.check(user)
    if directory.cluster_major() is None:
        return f"{directory.root}, made at the first start for the user {user.name}"
    running = find_postmaster(directory) is not None
    return f"{directory.root}, its cluster {'runs' if running else 'is stopped'}"


def _disk(root: Path) -> Finding:
    there = nearest_visible(root)
    free = shutil.disk_usage(there).free
    detail = f"{free / 1e9:.1f} GB free in {there}"
    if free >= _FREE_BYTES:
        return Finding("disk", ok=True, detail=detail)
    return Finding(
        "disk",
        ok=False,
        detail=detail,
        remedy=f"Free at least {_FREE_BYTES / 1e9:.0f} GB, or choose another --data-dir.",
    )


def _libarchive() -> Finding:
    name = ctypes.util.find_library("archive")
    if name is not None:
        return Finding("libarchive", ok=True, detail=name)
    return Finding("libarchive", ok=False, detail="missing", remedy=libarchive_command())
