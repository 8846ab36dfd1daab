"""The exact command that installs PostgreSQL and PostGIS on this system."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess

_NEWEST_DEBIAN_NAME = "postgresql"


def install_command(*, major: int | None = None, has_server: bool = False) -> str:
    """One line to paste into a shell, or a sentence where no package manager is known.

    ``major`` names the PostgreSQL version wanted (None: the system's own); ``has_server`` leaves
    out the server, because only PostGIS is missing.
    """
    prefix = "" if os.geteuid() == 0 else "sudo "
    if shutil.which("apt-get"):
        return (
            f"{prefix}apt-get install -y {' '.join(_debian_packages(major, has_server=has_server))}"
        )
    if platform.system() == "Darwin" or shutil.which("brew"):
        return "brew install postgresql postgis"
    for program, command in _OTHER_SYSTEMS.items():
        if shutil.which(program):
            return prefix + command
    return (
        f"install PostgreSQL {major or '14 or newer'} with the extension PostGIS 3.2 or newer "
        "(https://postgis.net/documentation/getting_started/)"
    )


def libarchive_command() -> str:
    """The same for the library that opens archives."""
    prefix = "" if os.geteuid() == 0 else "sudo "
    if shutil.which("apt-get"):
        # renamed in 2024 for 64-bit times; apt finds either under the old name
        return f"{prefix}apt-get install -y libarchive13"
    if platform.system() == "Darwin" or shutil.which("brew"):
        return "brew install libarchive"
    return "Install libarchive 3.4 or newer with your system's package manager."


_OTHER_SYSTEMS = {
    "dnf": "dnf install -y postgresql-server postgis",
    "zypper": "zypper install -y postgresql-server postgresql-postgis",
    "pacman": "pacman -S --needed postgresql postgis",
    "apk": "apk add postgresql postgis",
}


def _debian_packages(major: int | None, *, has_server: bool) -> list[str]:
    version = major or _debian_major()
    postgis = f"postgresql-{version}-postgis-3" if version else "postgresql-postgis"
    if has_server:
        return [postgis]
    server = f"postgresql-{major}" if major else _NEWEST_DEBIAN_NAME
    return [server, postgis]


def _debian_major() -> int | None:
    """The PostgreSQL version that Debian's or Ubuntu's own ``postgresql`` package brings."""
    try:
        done = subprocess.run(
            ["apt-cache", "depends", _NEWEST_DEBIAN_NAME],  # noqa: S607 - found by the caller
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    for word in done.stdout.split():
        if word.startswith("postgresql-") and word.removeprefix("postgresql-").isdigit():
            return int(word.removeprefix("postgresql-"))
    return None
