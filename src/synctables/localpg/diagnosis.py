"""What `synctables doctor` checks: what is there, what is missing, the line that mends it."""

from __future__ import annotations

import ctypes.util
from dataclasses import dataclass
from typing import TYPE_CHECKING

from synctables.errors import ConfigurationError
from synctables.localpg.binaries import find_binaries
from synctables.localpg.directory import DataDirectory, default_data_dir

if TYPE_CHECKING:
    from synctables.settings import Settings


@dataclass(frozen=True)
class Finding:
    """One checked thing; ``remedy`` is a command or a sentence, empty when all is well."""

    subject: str
    ok: bool
    detail: str
    remedy: str = ""


def diagnose(settings: Settings) -> list[Finding]:
    """Check this machine without changing anything on it."""
    directory = DataDirectory.at(settings.data_dir or default_data_dir())
    return [_postgres(directory), _libarchive()]


def _postgres(directory: DataDirectory) -> Finding:
    try:
        binaries = find_binaries(major=directory.cluster_major())
    except ConfigurationError as error:
        return Finding("PostgreSQL", ok=False, detail="missing", remedy=str(error))
    return Finding("PostgreSQL", ok=True, detail=f"{binaries.major} in {binaries.bin_dir}")


def _libarchive() -> Finding:
    name = ctypes.util.find_library("archive")
    return Finding("libarchive", ok=name is not None, detail=name or "missing")
