"""The data directory: who owns which part of it, and who may enter.

::

    DATA              0751  the starter's, group of the database user
    DATA/postgres     0700  the database user's: PGDATA
    DATA/run          0750  the database user's: the socket
    DATA/secrets      0700  the starter's: passwords, each in a 0600 file
    DATA/workspaces   0711  the starter's: where runs keep their files
    DATA/token.keys   0600  the starter's: they seal tokens, where the settings hold no keys
    DATA/serve.lock         held while a `synctables serve` runs on DATA

The sandbox's user can walk through DATA into its own workspace, but reaches neither the socket
nor a password.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import secrets
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from synctables.errors import ConfigurationError

SOCKET_PORT = 5432  # only a part of the socket's file name: TCP is off
LONGEST_SOCKET_PATH = 107  # bytes; sockaddr_un.sun_path holds 108 with its closing NUL

_OURS = frozenset(
    {
        "local.json",
        "postgres",
        "postgres.new",
        "run",
        "secrets",
        "serve.lock",
        "token.keys",  # a service with a database elsewhere was here first
        "workspaces",
    }
)


def default_data_dir() -> Path:
    """``/var/lib/synctables`` for root, else the user's own data directory."""
    if os.geteuid() == 0:
        return Path("/var/lib/synctables")
    return platformdirs.user_data_path("synctables", appauthor=False)


@dataclass(frozen=True)
class DatabaseUser:
    """The system user that PostgreSQL runs as: it refuses to run as root."""

    name: str
    uid: int
    gid: int

    @classmethod
    def for_cluster(cls, directory: DataDirectory) -> DatabaseUser:
        """This process' own user; for root the cluster's, else ``postgres``, else ``nobody``."""
        if os.geteuid() != 0:
            return cls(_name_of(os.geteuid()), os.geteuid(), os.getegid())
        if directory.postgres.exists() and directory.postgres.stat().st_uid != 0:
            made_by = directory.postgres.stat()
            return cls(_name_of(made_by.st_uid), made_by.st_uid, made_by.st_gid)
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(name, entry.pw_uid, entry.pw_gid)
        raise ConfigurationError(
            "PostgreSQL refuses to run as root, and there is neither a user `postgres` nor a user "
            "`nobody`. Start synctables as an ordinary user."
        )

    @property
    def is_other(self) -> bool:
        """Whether processes and files must be handed over to this user."""
        return self.uid != os.geteuid()

    def may_enter(self, directory: Path) -> bool:
        """Tried as this user, so that access lists and mounts count too."""
        done = subprocess.run(
            ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(directory)],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            **self.as_process(),
        )
        return done.returncode == 0

    def as_process(self) -> dict[str, Any]:
        """The keyword arguments of `subprocess.Popen` that make a child this user."""
        if not self.is_other:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


@dataclass(frozen=True)
class DataDirectory:
    """The paths inside one data directory."""

    root: Path

    @classmethod
    def at(cls, path: Path) -> DataDirectory:
        return cls(path.expanduser().resolve())

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def unfinished_postgres(self) -> Path:
        """What `initdb` writes into; renamed when it is done."""
        return self.root / "postgres.new"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def socket(self) -> Path:
        return self.run / f".s.PGSQL.{SOCKET_PORT}"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def workspaces(self) -> Path:
        return self.root / "workspaces"

    @property
    def lock(self) -> Path:
        return self.root / "serve.lock"

    @property
    def server_log(self) -> Path:
        return self.root / "postgres.log"

    def cluster_major(self) -> int | None:
        """The PostgreSQL version that made the cluster; None before the first start."""
        try:
            return int((self.postgres / "PG_VERSION").read_text("ascii").split(".", 1)[0])
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise ConfigurationError(
                f"The data directory {self.root} belongs to another user. "
                "Give another one with --data-dir."
            ) from error

    def check(self, user: DatabaseUser) -> None:
        """Raises `ConfigurationError` if `prepare` would; changes nothing.

        That is for a path that no socket can have, a directory that holds other things, and a
        parent that the database user may not enter.
        """
        self._check_socket_path()
        there = nearest_visible(self.root)
        if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
            raise self._unusable(os.strerror(errno.EACCES))
        if there == self.root:
            self._check_contents()
            there = self.root.parent  # its own mode is ours to set
        self._check_entrance(there, user)

    def prepare(self, user: DatabaseUser) -> None:
        """Create what is missing and set every owner and mode.

        Raises `ConfigurationError` like `check`, and for a directory that cannot be written.
        """
        self.check(user)
        try:
            self._create(user)
        except OSError as error:
            raise self._unusable(error.strerror) from error
        self._check_entrance(self.run, user)  # access lists and mounts count too

    def _unusable(self, reason: str | None) -> ConfigurationError:
        return ConfigurationError(
            f"The data directory {self.root} cannot be prepared: {reason}. "
            "Give another one with --data-dir."
        )

    def _create(self, user: DatabaseUser) -> None:
        own = (os.geteuid(), os.getegid())
        self.root.mkdir(mode=0o751, parents=True, exist_ok=True)
        _own(self.root, owner=(own[0], user.gid if user.is_other else -1), mode=0o751)
        for directory, owner, mode in (
            (self.secrets, own, 0o700),  # first: it marks the directory as ours
            (self.workspaces, own, 0o711),
            (self.run, (user.uid, user.gid), 0o750),
        ):
            directory.mkdir(mode=mode, exist_ok=True)
            _own(directory, owner=owner, mode=mode)

    def _check_contents(self) -> None:
        found = {entry.name for entry in self.root.iterdir()} - {"lost+found"}
        if found and not found & _OURS:
            raise ConfigurationError(
                f"{self.root} holds other things ({', '.join(sorted(found)[:3])}, …). "
                "Give an empty or a new directory with --data-dir."
            )

    def _check_socket_path(self) -> None:
        length = len(os.fsencode(self.socket))
        if length > LONGEST_SOCKET_PATH:
            raise ConfigurationError(
                f"The data directory {self.root} is too deep: the path of its socket would have "
                f"{length} bytes, {LONGEST_SOCKET_PATH} are allowed. "
                "Give a shorter one with --data-dir."
            )
        if "," in str(self.root):
            raise ConfigurationError(  # libpq takes it for a list of hosts, and knows no escape
                f"The data directory {self.root} may not have a comma in its path. "
                "Give another one with --data-dir."
            )

    def _check_entrance(self, place: Path, user: DatabaseUser) -> None:
        if user.may_enter(place):
            return
        parts = [*reversed(place.parents), place]
        closed = next((part for part in parts if not user.may_enter(part)), place)
        raise ConfigurationError(
            f"PostgreSQL runs as the user {user.name}, who may not enter {closed}, which the data "
            f"directory {self.root} is in. Give another one with --data-dir, or open it: "
            f"chmod o+x {shlex.quote(str(closed))}"
        )


def nearest_visible(path: Path) -> Path:
    """The path itself or the nearest parent that exists, as far as this user can tell."""
    for part in (path, *path.parents):
        with contextlib.suppress(OSError):
            part.stat()
            return part
    return Path("/")


def read_secret(directory: DataDirectory, name: str) -> str:
    """A password that `keep_secret` wrote. Raises OSError."""
    return (directory.secrets / name).read_text("ascii").strip()


def keep_secret(directory: DataDirectory, name: str) -> str:
    """The password of this name, made on the first call; whole on disk or not at all."""
    path = directory.secrets / name
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        write_private(draft, secrets.token_urlsafe(24))
        draft.rename(path)
    return read_secret(directory, name)


def write_private(path: Path, text: str) -> None:
    """Create a file that only its owner reads."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _own(path: Path, *, owner: tuple[int, int], mode: int) -> None:
    if os.geteuid() == 0:
        os.chown(path, *owner)
    path.chmod(mode)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a container's user without an entry
        return str(uid)
