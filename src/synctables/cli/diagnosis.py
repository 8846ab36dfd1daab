"""What `synctables doctor` looks at, beyond the private cluster's needs."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import psycopg

from synctables.cli.client import Client
from synctables.cli.local_access import read_local_access
from synctables.cli.places import data_directory
from synctables.errors import SynctablesError
from synctables.importer.sandbox import Sandbox, SandboxLimits
from synctables.importer.workspace import create_workspace
from synctables.localpg import Finding, diagnose
from synctables.settings import Settings

OLDEST_POSTGRESQL = 14
OLDEST_POSTGIS = (3, 2)
_ASSETS = ("page.css", "page.js")

_DATABASE = """
SELECT current_setting('server_version_num')::integer / 10000 AS major,
       (SELECT extversion FROM pg_extension WHERE extname = 'postgis') AS postgis,
       (SELECT count(*) FROM pg_available_extensions WHERE name = 'postgis') AS available
"""


def examine(settings: Settings) -> list[Finding]:
    """Look at everything a running service needs; changes nothing."""
    machine = diagnose(settings)
    if settings.database_url:
        machine = [item for item in machine if item.subject != "PostgreSQL"]
        machine.insert(0, _external_database(settings.database_url))
    return [*machine, _sandbox(), _assets(), _server(settings)]


def _external_database(url: str) -> Finding:
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            row = connection.execute(_DATABASE).fetchone()
    except psycopg.Error as error:
        return _missing(
            "database", f"not reachable: {error}", "Correct SYNCTABLES_DATABASE_URL, or unset it."
        )
    major, postgis, available = row or (0, None, 0)
    detail = f"PostgreSQL {major}, PostGIS {postgis or 'not created yet'}"
    if major < OLDEST_POSTGRESQL:
        return _missing("database", detail, f"PostgreSQL {OLDEST_POSTGRESQL} or later is needed.")
    if postgis is None and not available:
        return _missing("database", detail, "Install PostGIS on the database server.")
    if postgis is not None and _version(postgis) < OLDEST_POSTGIS:
        return _missing("database", detail, "PostGIS 3.2 or later is needed.")
    return Finding("database", ok=True, detail=detail)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())


def _sandbox() -> Finding:
    """Start the child that reads files and ask what confines it here."""
    try:
        with tempfile.TemporaryDirectory(prefix="synctables-") as folder:
            Path(folder).chmod(0o711)  # the child may be another user, who must get through
            measures = asyncio.run(_confine(create_workspace(Path(folder))))
    except (SynctablesError, OSError) as error:
        return _missing("sandbox", f"does not start: {error}", "Install Synctables again.")
    return Finding(
        "sandbox", ok=True, detail=", ".join(f"{name}: {how}" for name, how in measures.items())
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


def _server(settings: Settings) -> Finding:
    directory = data_directory(settings)
    start = f"synctables serve --data-dir {directory}"
    try:
        access = read_local_access(directory)
        if access is None:
            return Finding("server", ok=True, detail="not running", remedy=start)
        Client.of(access).get("/api/v1/synchronizations")
    except SynctablesError as error:
        return _missing("server", str(error), start)
    return Finding("server", ok=True, detail=f"answers at {access.server}")


def _missing(subject: str, detail: str, remedy: str) -> Finding:
    return Finding(subject, ok=False, detail=detail, remedy=remedy)
