"""A PostgreSQL server that the test stops and starts with ``pg_ctl``, as an operator does.

It stands on a private cluster of its own, so that no other test loses its database with it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from synctables.db.migrate import migrate
from synctables.localpg import LocalCluster
from synctables.localpg.binaries import find_binaries
from synctables.localpg.directory import SOCKET_PORT, DatabaseUser, DataDirectory
from synctables.localpg.postmaster import scrubbed_environment

_SETTINGS = {"fsync": "off", "autovacuum": "off", "shared_buffers": "64MB"}


class RestartingServer:
    """``superuser_url`` leads to the owner's database, as an administrator; restarts keep it."""

    def __init__(self, data_dir: Path, *, superuser_url: str) -> None:
        self.superuser_url = superuser_url
        self._directory = DataDirectory.at(data_dir)
        self._user = DatabaseUser.for_cluster(self._directory)
        self._log = self._directory.postgres / "pg_ctl.log"
        self._binaries = find_binaries(major=self._directory.cluster_major())

    def crash(self) -> None:
        """As by a power cut: no session is ended in order, nothing is written out."""
        self._pg_ctl("stop", "-m", "immediate")

    def start(self, **settings: str) -> None:
        """Ready on return; crash recovery is over."""
        places = {"unix_socket_directories": f'"{self._directory.run}"', "port": str(SOCKET_PORT)}
        given = {**_SETTINGS, "listen_addresses": "", **places, **settings}
        options = " ".join(f"-c '{name}={value}'" for name, value in given.items())
        self._pg_ctl("start", "-w", "-l", str(self._log), "-o", options)

    def read_log(self) -> str:
        """What the server wrote since it was first started."""
        return self._log.read_text()

    def restart_after_crash(self) -> None:
        self.crash()
        self.start()

    def let_in(self, network: str) -> None:
        """The owner may connect from these addresses, from the next start on."""
        rules = self._directory.postgres / "pg_hba.conf"
        with rules.open("a") as file:
            file.write(f"host all all {network} scram-sha-256\n")

    def _pg_ctl(self, *arguments: str) -> None:
        subprocess.run(
            [str(self._binaries.bin_dir / "pg_ctl"), "-D", str(self._directory.postgres),
             *arguments],
            cwd="/",
            env=scrubbed_environment(self._binaries),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
            **self._user.as_process(),
        )  # fmt: skip


@pytest.fixture
def own_server(short_dir: Path) -> Iterator[tuple[RestartingServer, str]]:
    """One that runs, with its migrated database, and that database's URL."""
    place = short_dir / "server"
    with LocalCluster(place) as cluster:
        migrate(cluster.database_url)
        database = conninfo_to_dict(cluster.database_url)["dbname"]
        superuser_url = cluster.superuser_url(database=str(database))
        server = RestartingServer(place, superuser_url=superuser_url)
        server.restart_after_crash()
        try:
            yield server, cluster.database_url
        finally:
            server.crash()
