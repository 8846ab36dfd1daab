"""Making the cluster, its owner and its database: every step may have been interrupted before."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from synctables.errors import ConfigurationError
from synctables.localpg.directory import keep_secret, write_private
from synctables.localpg.postmaster import scrubbed_environment
from synctables.localpg.system_packages import install_command

if TYPE_CHECKING:
    from pathlib import Path

    from synctables.localpg.binaries import Binaries
    from synctables.localpg.directory import DatabaseUser, DataDirectory

OWNER = "synctables"  # the role, and the database it owns
SUPERUSER = "postgres"

# An operator's ALTER SYSTEM wins over these: they are a file that postgresql.conf includes.
SERVER_SETTINGS = {
    "max_connections": "100",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "256MB",
    "work_mem": "16MB",
    "max_wal_size": "4GB",
    "wal_level": "minimal",  # a new table is not written twice; docs/decisions/0004
    "max_wal_senders": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %a ",
    "log_checkpoints": "off",
    "log_min_error_statement": "panic",  # a statement that failed may hold a password
    "client_connection_check_interval": "5s",  # a dead worker's statement gives up its locks
}

# An account's reader may read and nothing else; what everybody may do by default is taken away as
# far as a superuser can (refresh.md 22). accounts/reader_privileges.py looks whether it worked.
_KEEP_READERS_OUT = "REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC"
_KEEP_READERS_TO_READING = """
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) FROM PUBLIC
"""

_SETTINGS_FILE = "synctables.conf"
_SMALLEST_DEV_SHM_BYTES = 1_000_000_000


def initialise(binaries: Binaries, directory: DataDirectory, user: DatabaseUser) -> None:
    """Run `initdb` aside and rename the result: a kill in the middle leaves nothing half made."""
    draft = directory.unfinished_postgres
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    password_file = directory.run / "initdb-password"
    password_file.unlink(missing_ok=True)
    write_private(password_file, keep_secret(directory, SUPERUSER))
    if user.is_other:
        os.chown(draft, user.uid, user.gid)
        os.chown(password_file, user.uid, user.gid)
    try:
        _run_initdb(binaries, draft, password_file, user)
    finally:
        password_file.unlink()
    with (draft / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(f"\ninclude_if_exists = '{_SETTINGS_FILE}'\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(directory.postgres)


def write_settings(directory: DataDirectory, user: DatabaseUser) -> None:
    """Bring the settings file up to what this version of the program wants."""
    path = directory.postgres / _SETTINGS_FILE
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    lines = ["# Written by synctables at each start; change with ALTER SYSTEM instead."]
    settings = {**SERVER_SETTINGS, "dynamic_shared_memory_type": _shared_memory()}
    lines += [f"{name} = '{value}'" for name, value in settings.items()]
    write_private(draft, "\n".join(lines) + "\n")
    if user.is_other:
        os.chown(draft, user.uid, user.gid)
    draft.rename(path)


def create_database(
    directory: DataDirectory, *, superuser_url: str, superuser_url_in_database: str
) -> None:
    """The owner's role, its database and PostGIS in it: whatever of them is missing."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        _create_owner(connection, password=keep_secret(directory, OWNER))
        if not _exists(connection, "SELECT 1 FROM pg_database WHERE datname = %s"):
            connection.execute(
                sql.SQL("CREATE DATABASE {0} OWNER {0}").format(sql.Identifier(OWNER))
            )
        connection.execute(_KEEP_READERS_OUT.encode())
    with psycopg.connect(superuser_url_in_database, autocommit=True) as connection:
        prepare_database(connection)


def prepare_database(connection: psycopg.Connection) -> None:
    """PostGIS in ``public``, up to date with the installed package; nobody else creates there."""
    connection.execute(_KEEP_READERS_TO_READING.encode())
    connection.execute(
        sql.SQL("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC").format(
            sql.Identifier(connection.info.dbname)
        )
    )
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS postgis SCHEMA public")
    except psycopg.OperationalError as error:  # its package is broken, or a library of it missing
        raise ConfigurationError(
            f"PostGIS does not load ({error.diag.message_primary}). Install it again: "
            f"{install_command(major=connection.info.server_version // 10000, has_server=True)}"
        ) from error
    outdated = connection.execute(
        "SELECT 1 FROM pg_extension e JOIN pg_available_extensions a ON a.name = e.extname"
        " WHERE e.extname = 'postgis' AND e.extversion <> a.default_version"
    ).fetchone()
    if outdated:
        connection.execute("ALTER EXTENSION postgis UPDATE")


def _shared_memory() -> str:
    """A container's /dev/shm often has 64 MB: parallel queries fail in it. System V has no cap."""
    try:
        place = os.statvfs("/dev/shm")  # noqa: S108 - nothing is written there
    except OSError:
        return "posix"
    return "posix" if place.f_frsize * place.f_blocks >= _SMALLEST_DEV_SHM_BYTES else "sysv"


def _run_initdb(binaries: Binaries, draft: Path, password_file: Path, user: DatabaseUser) -> None:
    """Sorting and case by Unicode code points: the same on every system, and the fastest."""
    problem = ""
    for locale in _locales(binaries.major):
        done = subprocess.run(
            [
                str(binaries.initdb),
                f"--pgdata={draft}",
                f"--username={SUPERUSER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--no-instructions",
                *locale,
            ],
            cwd="/",
            env=scrubbed_environment(binaries),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **user.as_process(),
        )
        if done.returncode == 0:
            return
        problem = done.stderr.strip()
    raise ConfigurationError(f"The private PostgreSQL cluster could not be made:\n{problem}")


def _locales(major: int) -> list[list[str]]:
    """From the best to what always works: not every system has C.UTF-8."""
    built_in = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return [*([built_in] if major >= 17 else []), ["--locale=C.UTF-8"], ["--locale=C"]]


def _create_owner(connection: psycopg.Connection, *, password: str) -> None:
    """A login role that may create roles, and whose password is the one we keep.

    From PostgreSQL 16 on, a role with CREATEROLE is only an administrator of the roles it makes;
    ``createrole_self_grant`` makes it a member too, as it effectively was before.
    """
    owner = sql.Identifier(OWNER)
    if not _exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s"):
        connection.execute(sql.SQL("CREATE ROLE {}").format(owner))
    connection.execute(
        sql.SQL("ALTER ROLE {} LOGIN CREATEROLE NOSUPERUSER PASSWORD {}").format(
            owner, sql.Literal(password)
        )
    )
    if connection.info.server_version >= 160000:
        connection.execute(
            sql.SQL("ALTER ROLE {} SET createrole_self_grant = 'set, inherit'").format(owner)
        )


def _exists(connection: psycopg.Connection, query: str) -> bool:
    return connection.execute(query.encode(), [OWNER]).fetchone() is not None
