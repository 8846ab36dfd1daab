"""Which installed PostgreSQL runs the private cluster."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synctables.errors import ConfigurationError
from synctables.localpg.system_packages import install_command

if TYPE_CHECKING:
    from collections.abc import Iterator

OLDEST_MAJOR = 14

_PLACES = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # Red Hat family, from postgresql.org
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)


@dataclass(frozen=True)
class Binaries:
    """One installed PostgreSQL server."""

    bin_dir: Path
    share_dir: Path | None
    library_dir: Path
    major: int

    @property
    def initdb(self) -> Path:
        return self.bin_dir / "initdb"

    @property
    def postgres(self) -> Path:
        return self.bin_dir / "postgres"

    @property
    def has_postgis(self) -> bool:
        """Whether both halves are there: Debian has its SQL and its library in two packages."""
        if self.share_dir is None or not any(self.library_dir.glob("postgis-3.*")):
            return False
        return (self.share_dir / "extension/postgis.control").is_file()


def find_binaries(*, major: int | None = None) -> Binaries:
    """The newest installed PostgreSQL with PostGIS; with ``major``, only of that version.

    An existing cluster can only be run by the major version that made it. Raises
    `ConfigurationError` with the install command of this system.
    """
    installed = installed_binaries()
    fitting = [one for one in installed if major in (None, one.major)]
    if major is not None and installed and not fitting:
        found = ", ".join(str(one.major) for one in installed)
        raise ConfigurationError(
            f"The data directory was made by PostgreSQL {major}, but only {found} is installed. "
            f"Install it beside: {install_command(major=major)}"
        )
    usable = [one for one in fitting if one.major >= OLDEST_MAJOR]
    if not usable:
        raise ConfigurationError(_missing_text(fitting, major))
    with_postgis = [one for one in usable if one.has_postgis]
    if not with_postgis:
        newest = usable[0].major
        raise ConfigurationError(
            f"PostGIS for PostgreSQL {newest} is missing. Install it: "
            f"{install_command(major=newest, has_server=True)}"
        )
    return with_postgis[0]


def installed_binaries() -> list[Binaries]:
    """Every installed PostgreSQL server, newest first; one for each directory of binaries."""
    found: dict[Path, Binaries] = {}
    for bin_dir in _candidate_dirs():
        if (bin_dir / "initdb").is_file() and (bin_dir / "postgres").is_file():
            major = _major_of(bin_dir / "postgres")
            if major is not None:
                found.setdefault(bin_dir.resolve(), _inspect(bin_dir, major))
    return sorted(found.values(), key=lambda one: (one.major, one.has_postgis), reverse=True)


def _missing_text(fitting: list[Binaries], major: int | None) -> str:
    command = install_command(major=major)
    if fitting:
        return (
            f"PostgreSQL {fitting[0].major} is too old; {OLDEST_MAJOR} or newer is needed. "
            f"Install one: {command}"
        )
    return f"PostgreSQL is not installed. Install it with PostGIS: {command}"


def _candidate_dirs() -> Iterator[Path]:
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    pg_config = shutil.which("pg_config")
    if pg_config:
        bin_dir = _output_of(pg_config, "--bindir")
        if bin_dir:
            yield Path(bin_dir)
    for place in _PLACES:
        yield from Path("/").glob(place.lstrip("/"))


def _major_of(postgres: Path) -> int | None:
    match = re.search(r"\) (\d+)", _output_of(postgres, "--version") or "")
    return int(match.group(1)) if match else None


def _inspect(bin_dir: Path, major: int) -> Binaries:
    told = _output_of(bin_dir / "pg_config", "--pkglibdir")
    return Binaries(
        bin_dir=bin_dir,
        share_dir=_share_dir(bin_dir, major),
        library_dir=Path(told) if told else bin_dir.parent / "lib",
        major=major,
    )


def _share_dir(bin_dir: Path, major: int) -> Path | None:
    """Where the extensions' control files are; None when it cannot be told."""
    told = _output_of(bin_dir / "pg_config", "--sharedir")
    candidates = [Path(told)] if told else []
    candidates += [
        Path(f"/usr/share/postgresql/{major}"),
        bin_dir.parent / "share/postgresql",
        bin_dir.parent / "share",
    ]
    return next((place for place in candidates if (place / "postgres.bki").is_file()), None)


def _output_of(program: str | Path, argument: str) -> str | None:
    """What a program prints; None if it does not run."""
    try:
        done = subprocess.run(
            [str(program), argument], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
