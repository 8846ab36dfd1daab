"""Starting and stopping the private cluster of one data directory."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, urlencode

import psycopg

from synctables.errors import ConfigurationError
from synctables.localpg.binaries import find_binaries
from synctables.localpg.creation import (
    OWNER,
    SUPERUSER,
    create_database,
    initialise,
    write_settings,
)
from synctables.localpg.directory import (
    SOCKET_PORT,
    DatabaseUser,
    DataDirectory,
    read_secret,
)
from synctables.localpg.lock import exclusive
from synctables.localpg.postmaster import (
    Postmaster,
    clear_remains,
    end_of,
    find_postmaster,
    rotate,
    spawn,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from synctables.localpg.binaries import Binaries

READY_SECONDS = 90  # crash recovery included
STOP_SECONDS = 8


class LocalCluster:
    """The private cluster of one data directory; also a context manager.

    ``server_settings`` go to PostgreSQL's command line and win over everything (tests pass
    ``fsync=off``).
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        binaries: Binaries | None = None,
        server_settings: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = DataDirectory.at(data_dir)
        self._binaries = binaries
        self._server_settings = dict(server_settings or {})
        self._postmaster: Postmaster | None = None
        self._log_start = 0  # where in the server's log this start begins
        self._running = contextlib.ExitStack()

    @property
    def database_url(self) -> str:
        """libpq URL of the owner: it may create roles and schemas and is no superuser."""
        return _url(self.directory, role=OWNER, database=OWNER)

    def superuser_url(self, *, database: str = SUPERUSER) -> str:
        """libpq URL of the superuser, for maintenance and tests."""
        return _url(self.directory, role=SUPERUSER, database=database)

    def is_running(self) -> bool:
        return self._postmaster is not None and self._postmaster.is_alive()

    def start(self) -> None:
        """Bring the cluster up, or take over one that survived a crash; ready on return.

        Raises `ConfigurationError` for whatever an operator can mend.
        """
        user = DatabaseUser.for_cluster(self.directory)
        self.directory.prepare(user)
        with contextlib.ExitStack() as undo:
            undo.enter_context(exclusive(self.directory))
            undo.callback(self._stop_postmaster)
            self._bring_up(user)
            self._create_database()
            self._running = undo.pop_all()

    def stop(self) -> None:
        """End the cluster and give up the data directory; does nothing before `start`."""
        self._running.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _bring_up(self, user: DatabaseUser) -> None:
        """Leave a ready server in ``_postmaster``: the one that survived, or a new one."""
        self._postmaster = find_postmaster(self.directory)
        if self._postmaster is not None and self._becomes_ready(self._postmaster):
            return
        binaries = self._binaries or find_binaries(major=self.directory.cluster_major())
        if self.directory.cluster_major() is None:
            initialise(binaries, self.directory, user)
        write_settings(self.directory, user)
        clear_remains(self.directory)
        self._log_start = rotate(self.directory.server_log)
        self._postmaster = spawn(binaries, self.directory, user, self._server_settings)
        if not self._becomes_ready(self._postmaster):
            raise ConfigurationError(
                f"The private PostgreSQL cluster did not start. {self._end_of_log()}"
            )

    def _create_database(self) -> None:
        try:
            create_database(
                self.directory,
                superuser_url=self.superuser_url(),
                superuser_url_in_database=self.superuser_url(database=OWNER),
            )
        except psycopg.OperationalError as error:  # ended in the meantime, or its disk is full
            raise ConfigurationError(
                f"The private PostgreSQL cluster could not be prepared ({error}). "
                f"{self._end_of_log()}"
            ) from error

    def _becomes_ready(self, postmaster: Postmaster) -> bool:
        """Wait until it accepts connections; False when it ends instead.

        Raises `ConfigurationError` when it does neither within `READY_SECONDS`.
        """
        url, deadline = self.superuser_url(), time.monotonic() + READY_SECONDS
        problem = ""
        while postmaster.is_alive():
            try:
                psycopg.connect(url, connect_timeout=10).close()
            except psycopg.OperationalError as error:
                problem = str(error)
            else:
                return True
            if "password authentication failed" in problem:
                raise ConfigurationError(_LOST_SECRETS.format(self.directory.secrets))
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"The private PostgreSQL cluster was not ready within {READY_SECONDS} s "
                    f"({problem}). {self._end_of_log()}"
                )
            time.sleep(0.02)
        return False

    def _end_of_log(self) -> str:
        log = self.directory.server_log
        return f"Its log ({log}) ends:\n{end_of(log, start=self._log_start)}"

    def _stop_postmaster(self) -> None:
        if self._postmaster is not None:
            self._postmaster.stop(seconds=STOP_SECONDS)
            self._postmaster = None


def local_database_url(data_dir: Path) -> str:
    """The owner's URL of the cluster that a running `synctables serve` keeps on ``data_dir``.

    Raises `ConfigurationError` when it was never started, is not running, or may not be read.
    """
    directory = DataDirectory.at(data_dir)
    try:
        url = _url(directory, role=OWNER, database=OWNER)
        _knock(directory)
    except PermissionError as error:
        raise ConfigurationError(
            f"The private cluster in {directory.root} belongs to another user: "
            f"{error.filename or directory.socket} may not be read."
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"No private cluster runs in {directory.root}. Start `synctables serve` first, or "
            "name its directory with --data-dir."
        ) from error
    return url


_LOST_SECRETS = (
    "The private cluster does not accept the passwords in {}. Restore that directory from the "
    "backup that belongs to the cluster."
)


def _url(directory: DataDirectory, *, role: str, database: str) -> str:
    """With an explicit port, so that a PGPORT of the reader's does not lead elsewhere."""
    password = quote(read_secret(directory, role), safe="")
    place = urlencode({"host": str(directory.run), "port": SOCKET_PORT}, safe="", quote_via=quote)
    return f"postgresql://{role}:{password}@/{database}?{place}"


def _knock(directory: DataDirectory) -> None:
    """Raises OSError unless something listens on the socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(directory.socket))
