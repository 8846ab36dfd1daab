"""Where everything is measured: one private cluster, one service on it, one file server."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from comparison.server import FileServer, run_file_server
from demonstration.service import ENVIRONMENT, Service, run_service
from synctables.localpg import LocalCluster

PEERS_SCHEMA = "peers"
"""What others make stands beside ours, in the same database."""

SETTLE_SECONDS = 300.0
LOOK_SECONDS = 0.2
QUIET_LOOKS = 3
QUIET_SHARE = 0.1
"""Of one core: a service that only waits uses less."""

Connection = psycopg.Connection[tuple[Any, ...]]

# Our ANALYZE after a run, and an autovacuum, are not to be paid for by whoever comes next.
_BUSY = """
    SELECT count(*) FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND state = 'active'
      AND backend_type IN ('client backend', 'autovacuum worker')"""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The parts that every measurement uses. Made by `open_bench`."""

    folder: Path
    server: FileServer
    service: Service
    owner: Connection
    """The owner of the database, as whom all peers write too; each statement a transaction."""
    _superuser: Connection

    def settle(self) -> None:
        """Wait until database and service have nothing to do, then CHECKPOINT.

        So everybody starts alike, and pays for full-page images of all pages touched.
        """
        deadline = time.monotonic() + SETTLE_SECONDS
        quiet_looks = 0
        while quiet_looks < QUIET_LOOKS and time.monotonic() < deadline:
            used_seconds = self._used_seconds()
            time.sleep(LOOK_SECONDS)
            (busy_count,) = self._superuser.execute(_BUSY).fetchone() or (0,)
            is_idle = self._used_seconds() - used_seconds < QUIET_SHARE * LOOK_SECONDS
            quiet_looks = quiet_looks + 1 if is_idle and not busy_count else 0
        self._superuser.execute("CHECKPOINT")

    def _used_seconds(self) -> float:
        """Processor time of the service; its worker prepares the next child after each run."""
        total = 0.0
        for process in psutil.Process(self.service.process.pid).children(recursive=True):
            with suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def wal_position(self) -> int:
        """Bytes of WAL written since the cluster was made."""
        query = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint"
        (position,) = self._superuser.execute(query).fetchone() or (0,)
        return int(position)

    @property
    def postmaster_pid(self) -> int:
        """The first process of the PostgreSQL server."""
        query = "SELECT current_setting('data_directory')"
        (folder,) = self._superuser.execute(query).fetchone() or ("",)
        return int((Path(folder) / "postmaster.pid").read_text().split()[0])

    def setting(self, name: str) -> str:
        """A setting of the PostgreSQL server."""
        (value,) = self.owner.execute("SELECT current_setting(%s)", [name]).fetchone() or ("",)
        return str(value)

    def libpq_environment(self) -> dict[str, str]:
        """The owner's address for programs of others; no password in a list of processes."""
        parts = psycopg.conninfo.conninfo_to_dict(self.service.database_url)
        names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER"}
        names |= {"password": "PGPASSWORD", "dbname": "PGDATABASE"}
        return {variable: str(parts[name]) for name, variable in names.items()}


@contextmanager
def open_bench(
    folder: Path | None, *, server_settings: Mapping[str, str] | None = None
) -> Iterator[Bench]:
    """A new bench below ``folder`` (default: where temporary files go), removed at the end.

    ``server_settings`` differ from those of the product's own cluster.
    """
    with ExitStack() as stack:
        here = Path(tempfile.mkdtemp(prefix="bench-", dir=folder))
        stack.callback(shutil.rmtree, here, ignore_errors=True)
        here.chmod(0o755)  # as root, the database runs as another user
        cluster = LocalCluster(here / "cluster", server_settings=server_settings)
        stack.enter_context(cluster)
        environment = {**ENVIRONMENT, "SYNCTABLES_DATABASE_URL": cluster.database_url}
        service = stack.enter_context(
            run_service(here / "service", port=0, environment=environment)
        )
        owner = _connect(stack, cluster.database_url)
        owner.execute(f"CREATE SCHEMA {PEERS_SCHEMA}")
        yield Bench(
            folder=here,
            server=stack.enter_context(run_file_server()),
            service=service,
            owner=owner,
            _superuser=_connect(stack, cluster.superuser_url()),
        )


def _connect(stack: ExitStack, url: str) -> Connection:
    return stack.enter_context(psycopg.connect(url, autocommit=True))
