"""Which PostgreSQL is chosen, and what a user is told where none fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from synctables.errors import ConfigurationError
from synctables.localpg import DataDirectory, binaries, diagnose, find_binaries
from synctables.settings import Settings


class Machine:
    """A machine whose only installed servers are the ones below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def install(self, version: str, *, postgis: bool) -> None:
        bin_dir, share = self.root / version / "bin", self.root / version / "share"
        (share / "extension").mkdir(parents=True)
        (share / "postgres.bki").touch()
        (share / "extension/postgis.control").touch()
        if postgis:
            (self.root / version / "lib").mkdir()
            (self.root / version / "lib/postgis-3.so").touch()
        bin_dir.mkdir()
        for name in ("initdb", "postgres"):
            program = bin_dir / name
            program.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version} (Debian)'\n")
            program.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine without PostgreSQL, seen by root, whose packages are Debian's."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, answer in (("apt-get", ""), ("apt-cache", "  Depends: postgresql-15\n")):
        (tools / name).write_text(f"#!/bin/sh\nprintf '{answer}'\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/bin")
    monkeypatch.setattr(binaries, "_PLACES", (f"{tmp_path}/*/bin",))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name: _only_in(tools, name))
    return Machine(tmp_path)


def _only_in(folder: Path, name: str) -> str | None:
    return str(folder / name) if (folder / name).exists() else None


@pytest.mark.parametrize(
    ("installed", "major", "chosen"),
    [
        ({"15.4": True}, None, 15),
        ({"9.6.24": True, "14.9": True, "17.1": True}, None, 17),
        ({"16.2": True, "18.0": False}, None, 16),
        ({"15.4": True, "17.1": True}, 15, 15),
        ({"18beta1": True}, None, 18),
    ],
    ids=[
        "the only one",
        "the newest",
        "the newest that has PostGIS",
        "the one that made the data directory",
        "a coming version",
    ],
)
def test_the_server_that_is_chosen(
    machine: Machine, installed: dict[str, bool], major: int | None, chosen: int
) -> None:
    for version, postgis in installed.items():
        machine.install(version, postgis=postgis)
    assert find_binaries(major=major).major == chosen


@pytest.mark.parametrize(
    ("installed", "major", "told"),
    [
        (
            {},
            None,
            "PostgreSQL is not installed. Install it with PostGIS: "
            "apt-get install -y postgresql postgresql-15-postgis-3",
        ),
        (
            {"13.3": True},
            None,
            "PostgreSQL 13 is too old; 14 or newer is needed. Install one: "
            "apt-get install -y postgresql postgresql-15-postgis-3",
        ),
        (
            {"16.1": False},
            None,
            "PostGIS for PostgreSQL 16 is missing. Install it: "
            "apt-get install -y postgresql-16-postgis-3",
        ),
        (
            {"17.1": True},
            15,
            "The data directory was made by PostgreSQL 15, but only 17 is installed. "
            "Install it beside: apt-get install -y postgresql-15 postgresql-15-postgis-3",
        ),
    ],
    ids=["nothing", "too old", "without PostGIS", "another version than the data's"],
)
def test_what_is_missing_comes_with_the_command_that_installs_it(
    machine: Machine, installed: dict[str, bool], major: int | None, told: str
) -> None:
    for version, postgis in installed.items():
        machine.install(version, postgis=postgis)
    with pytest.raises(ConfigurationError) as caught:
        find_binaries(major=major)
    assert str(caught.value) == told


def test_the_doctor_names_every_part_and_what_mends_it(machine: Machine, tmp_path: Path) -> None:
    data_dir = tmp_path / ("deep" * 30)
    found = {one.subject: one for one in diagnose(Settings(data_dir=data_dir))}
    assert set(found) == {"PostgreSQL", "data directory", "disk", "libarchive"}
    assert "apt-get install -y postgresql" in found["PostgreSQL"].remedy
    assert "is too deep" in found["data directory"].remedy
    assert not data_dir.exists()


def test_the_version_of_a_cluster_is_read_from_its_directory(tmp_path: Path) -> None:
    directory = DataDirectory.at(tmp_path)
    assert directory.cluster_major() is None
    directory.postgres.mkdir()
    (directory.postgres / "PG_VERSION").write_text("16\n")
    assert directory.cluster_major() == 16
