"""Bringing the database up to this version: our own schema first, then the queue's."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from alembic import command
from alembic.config import Config
from procrastinate.schema import SchemaManager
from psycopg import errors
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from synctables.db.origin import follow_restored_tables
from synctables.db.pool import connection_options
from synctables.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = "synctables"
OLDEST_SERVER = 14
OLDEST_POSTGIS = (3, 2)

_LOCK = 0x53594E43  # one migration at a time: "SYNC" as a number, the key of the advisory lock
_OPTIONS = connection_options("synctables migrate")


def migrate(database_url: str) -> None:
    """Create or upgrade everything in the schema ``synctables``; changes nothing the second time.

    Two processes may call it at once: one waits for the other. Raises `ConfigurationError` when
    the server is unreachable, too old, or lacks PostGIS.
    """
    with _open(database_url) as connection:
        _check_server(connection)
        connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        _provide_postgis(connection)
        connection.execute("CREATE SCHEMA IF NOT EXISTS synctables")
        _migrate_own(database_url)
        follow_restored_tables(connection)
        _migrate_queue(connection)


def migrate_to(database_url: str, revision: str) -> None:
    """Bring our own schema, and nothing else, to an older revision of the code's; for tests."""
    with _open(database_url) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS synctables")
        _migrate_own(database_url, revision)


@contextlib.contextmanager
def _open(database_url: str) -> Iterator[psycopg.Connection]:
    """An autocommit session, whose end also lets go of the advisory lock."""
    try:
        connection = psycopg.connect(database_url, autocommit=True, **_OPTIONS)
    except psycopg.OperationalError as error:
        raise ConfigurationError(f"The database cannot be reached: {error}") from error
    except psycopg.ProgrammingError:  # its text would quote the address, password included
        raise ConfigurationError(
            "SYNCTABLES_DATABASE_URL is not a libpq address such as "
            "postgresql://user:password@host:5432/database"
        ) from None
    with connection:
        yield connection


def _check_server(connection: psycopg.Connection) -> None:
    version = connection.info.server_version
    if version < OLDEST_SERVER * 10000:
        raise ConfigurationError(
            f"The database server is PostgreSQL {version // 10000}; "
            f"{OLDEST_SERVER} or newer is needed."
        )


def _provide_postgis(connection: psycopg.Connection) -> None:
    """PostGIS in the schema ``public``, created where this role may."""
    found = _find_postgis(connection)
    if found is None:
        _create_postgis(connection)
        found = _find_postgis(connection)
    version, schema = found or ("0.0", "public")
    if schema != "public":
        raise ConfigurationError(
            f"PostGIS is installed in the schema {schema}; it must be in public. As an "
            "administrator, in a database that does not use it yet: "
            "DROP EXTENSION postgis; CREATE EXTENSION postgis SCHEMA public;"
        )
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_POSTGIS:
        raise ConfigurationError(
            f"The database has PostGIS {version}; {OLDEST_POSTGIS[0]}.{OLDEST_POSTGIS[1]} or newer "
            "is needed. Install it, then as an administrator: ALTER EXTENSION postgis UPDATE;"
        )


def _find_postgis(connection: psycopg.Connection) -> tuple[str, str] | None:
    return connection.execute(
        "SELECT extversion, extnamespace::regnamespace::text"
        " FROM pg_extension WHERE extname = 'postgis'"
    ).fetchone()


def _create_postgis(connection: psycopg.Connection) -> None:
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS postgis SCHEMA public")
    except (
        errors.InsufficientPrivilege,
        errors.FeatureNotSupported,
        errors.UndefinedFile,
    ) as error:
        raise ConfigurationError(
            f"The database {connection.info.dbname} has no PostGIS ({error.diag.message_primary}). "
            "As an administrator, once the package is installed on the server: "
            "CREATE EXTENSION postgis SCHEMA public;"
        ) from error


def _migrate_own(database_url: str, revision: str = "head") -> None:
    """Alembic runs our numbered SQL files; its version table lives in our schema too."""
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(database_url, **_OPTIONS),  # knows socket addresses
        poolclass=NullPool,
    )
    config = Config()
    config.set_main_option("script_location", "synctables.db:migrations")
    config.set_main_option("path_separator", "os")
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def _migrate_queue(connection: psycopg.Connection) -> None:
    """The queue brings its whole schema, and for later versions numbered files of changes."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS synctables.queue_migrations ("
        " name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    files = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    rows = connection.execute("SELECT name FROM synctables.queue_migrations").fetchall()
    applied = {str(name) for (name,) in rows}
    if not applied:
        _apply(connection, SchemaManager.get_schema(), names=[file.name for file in files])
    for file in files:
        if applied and file.name not in applied:
            _apply(connection, file.read_text("utf-8"), names=[file.name])


def _apply(connection: psycopg.Connection, statements: str, *, names: list[str]) -> None:
    """Run the queue's own SQL and remember it, or neither."""
    with connection.transaction():
        connection.execute(statements.encode())
        connection.cursor().executemany(
            "INSERT INTO synctables.queue_migrations (name) VALUES (%s)", [[name] for name in names]
        )
