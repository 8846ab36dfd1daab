"""What `synctables doctor` looks at, beyond the private cluster's needs."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import psycopg
from psycopg import sql

from synctables.accounts.reader_privileges import Surplus, find_surplus_privileges
from synctables.cli.client import Client
from synctables.cli.local_access import read_local_access
from synctables.cli.places import data_directory
from synctables.cli.work_diagnosis import (
    Work,
    examine_children,
    examine_work,
    examine_workspaces,
)
from synctables.db.pool import connect
from synctables.db.pooler import has_transaction_pooler
from synctables.errors import SynctablesError
from synctables.importer.confine import WALLS, is_active
from synctables.importer.sandbox import Sandbox, SandboxLimits
from synctables.importer.workspace import create_workspace
from synctables.localpg import Finding, diagnose
from synctables.settings import Settings
from synctables.syncs.vital_signs import read_vital_signs

OLDEST_POSTGRESQL = 14
OLDEST_POSTGIS = (3, 2)
_ASSETS = ("page.css", "page.js")

_IS_LINUX = sys.platform == "linux"
_NO_FILTER = "For the filter of system calls, install libseccomp (apt-get install libseccomp2)."

_DATABASE = """
SELECT current_setting('server_version_num')::integer / 10000 AS major,
       (SELECT extversion FROM pg_extension WHERE extname = 'postgis') AS postgis,
       (SELECT count(*) FROM pg_available_extensions WHERE name = 'postgis') AS available
"""

_ROLE = """
SELECT rolname, rolsuper, rolsuper OR rolcreaterole,
       has_database_privilege(current_database(), 'CREATE')
FROM pg_roles WHERE rolname = current_user
"""

_MAY_CREATE_POSTGIS = """
SELECT bool_or(rolsuper OR version.trusted)
FROM pg_roles, pg_available_extension_versions AS version
WHERE rolname = current_user AND version.name = 'postgis'
"""

_ROLE_OF_ITS_OWN = (
    "Triggers of users run with its rights. As an administrator, and then in the address: "
    "CREATE ROLE synctables LOGIN CREATEROLE PASSWORD '…'; "
    "CREATE DATABASE synctables OWNER synctables;"
)


def examine(settings: Settings) -> list[Finding]:
    """Look at everything a running service needs; changes nothing."""
    machine = diagnose(settings)
    if settings.database_url:
        machine = [item for item in machine if item.subject != "PostgreSQL"]
        machine[:0] = _external_database(settings.database_url)
    directory = data_directory(settings)
    left = [examine_workspaces(directory), examine_children(directory)]
    return [*machine, *_sandbox(), _assets(), *left, *_server(settings)]


def _external_database(url: str) -> list[Finding]:
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            found = [_server_version(connection), _role(connection)]
        found.append(_connection(url))
        found += asyncio.run(_contents(url))
    except psycopg.Error as error:
        return [
            _missing(
                "database",
                f"not reachable: {error}",
                "Correct SYNCTABLES_DATABASE_URL, or unset it.",
            )
        ]
    return found


def _role(connection: psycopg.Connection) -> Finding:
    """Triggers of users run with the writer's rights: these must be no more than it needs."""
    row = connection.execute(_ROLE).fetchone()
    name, is_superuser, may_create_roles, may_create_schemas = row or ("", True, False, False)
    if is_superuser:
        return _missing("database role", f"{name} is a superuser", _ROLE_OF_ITS_OWN)
    role = sql.Identifier(name).as_string(connection)
    database = sql.Identifier(connection.info.dbname).as_string(connection)
    remedies = " ".join(
        remedy
        for is_due, remedy in (
            (not may_create_roles, f"ALTER ROLE {role} CREATEROLE;"),
            (not may_create_schemas, f"GRANT CREATE ON DATABASE {database} TO {role};"),
        )
        if is_due
    )
    if remedies:
        return _missing(
            "database role", f"{name} may do too little", f"As an administrator: {remedies}"
        )
    return Finding("database role", ok=True, detail=f"{name}, may create roles and schemas")


def _connection(url: str) -> Finding:
    if has_transaction_pooler(url):
        return _missing(
            "connection",
            "through a pooler in transaction mode",
            "Connect directly to PostgreSQL, or set the pooler to session mode.",
        )
    return Finding("connection", ok=True, detail="every session is one of its own")


async def _contents(url: str) -> list[Finding]:
    async with await connect(url, application_name="synctables doctor") as connection:
        cursor = await connection.execute(
            "SELECT to_regclass('synctables.checks') IS NOT NULL AS is_current"
        )
        row = await cursor.fetchone()
        if row is None or not row["is_current"]:
            return []  # nothing of ours is there yet, or not of this version
        work = Work.of_signs(await read_vital_signs(connection))
        return [*examine_work(work), *_readers(await find_surplus_privileges(connection))]


def _readers(found: list[Surplus]) -> list[Finding]:
    if not found:
        return [Finding("readers", ok=True, detail="may read, and nothing else")]
    return [
        Finding(
            "readers",
            ok=True,
            detail=f"{surplus.role} {surplus.words}",
            remedy=f"As an administrator: {surplus.remedy};",
        )
        for surplus in found
    ]


def _server_version(connection: psycopg.Connection) -> Finding:
    major, postgis, available = connection.execute(_DATABASE).fetchone() or (0, None, 0)
    detail = f"PostgreSQL {major}, PostGIS {postgis or 'not created yet'}"
    if major < OLDEST_POSTGRESQL:
        return _missing("database", detail, f"PostgreSQL {OLDEST_POSTGRESQL} or later is needed.")
    if postgis is None and not available:
        return _missing("database", detail, "Install PostGIS on the database server.")
    if postgis is None and not _may_create_postgis(connection):
        return _missing("database", detail, "As an administrator: CREATE EXTENSION postgis;")
    if postgis is not None and _version(postgis) < OLDEST_POSTGIS:
        return _missing("database", detail, "PostGIS 3.2 or later is needed.")
    return Finding("database", ok=True, detail=detail)


def _may_create_postgis(connection: psycopg.Connection) -> bool:
    row = connection.execute(_MAY_CREATE_POSTGIS).fetchone()
    return bool(row and row[0])


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())


def _sandbox() -> list[Finding]:
    """Start the child that reads files and ask what confines it here."""
    try:
        with tempfile.TemporaryDirectory(prefix="synctables-") as folder:
            Path(folder).chmod(0o711)  # the child may be another user, who must get through
            measures = asyncio.run(_confine(create_workspace(Path(folder))))
    except (SynctablesError, OSError) as error:
        return [_missing("sandbox", f"does not start: {error}", "Install Synctables again.")]
    return [_wall(name, measures.get(name, "")) for name in WALLS]


def _wall(name: str, achieved: str) -> Finding:
    """One wall: active, or why not. None is required: where one is not, others stand."""
    stands = is_active(achieved)
    return Finding(
        f"sandbox, {name}",
        ok=True,
        detail=f"active: {achieved}" if stands else f"not active: {achieved or 'nothing was said'}",
        remedy=_NO_FILTER if name == "calls" and not stands and _IS_LINUX else "",
    )


async def _confine(workspace: Path) -> dict[str, str]:
    limits = SandboxLimits(memory_bytes=1_000_000_000, seconds=30, max_file_bytes=1_000_000)
    async with Sandbox.start(workspace, limits) as sandbox:
        return sandbox.measures


def _assets() -> Finding:
    static = Path(__file__).parents[1] / "web" / "static"
    absent = [name for name in _ASSETS if not (static / name).is_file()]
    if absent:
        return _missing("web assets", f"without {', '.join(absent)}", "npm ci && npm run build")
    return Finding("web assets", ok=True, detail="built")


def _server(settings: Settings) -> list[Finding]:
    """The server of this machine; of a private cluster only it can say how the work goes."""
    directory = data_directory(settings)
    start = f"synctables serve --data-dir {directory}"
    try:
        access = read_local_access(directory)
        if access is None:
            return [Finding("server", ok=True, detail="not running", remedy=start)]
        client = Client.of(access)
        client.get("/api/v1/synchronizations")
        work = None if settings.database_url else Work.of_health(client.get("/health"))
    except SynctablesError as error:
        return [_missing("server", str(error), start)]
    found = Finding("server", ok=True, detail=f"answers at {access.server}")
    return [found, *(examine_work(work) if work else [])]


def _missing(subject: str, detail: str, remedy: str) -> Finding:
    return Finding(subject, ok=False, detail=detail, remedy=remedy)
