"""The database of the tests: one private cluster per session, a fresh clone where a test commits.

``connection``    rolled back after the test; the cheapest, for whatever does not commit
``database_url``  a database of its own, migrated, as the role that owns it
``pool``          an open pool on such a database
``cluster``       the cluster itself, with its superuser

Other fixtures live in ``tests/support/``, one module per subject.
"""

from __future__ import annotations

import itertools
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import errors, sql

from synctables.db.migrate import migrate
from synctables.db.pool import connect, create_pool
from synctables.localpg import LocalCluster
from synctables.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from psycopg import AsyncConnection
    from psycopg.rows import DictRow
    from psycopg_pool import AsyncConnectionPool

pytest_plugins = [
    f"tests.support.{module.stem}"
    for module in sorted((Path(__file__).parent / "support").glob("[a-z]*.py"))
]
pytest.register_assert_rewrite(*pytest_plugins)  # whichever of them imports another first

_OWNER = "synctables"  # the role, and the database that serves as the template
_QUICK_AND_UNSAFE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "128MB",
}
_numbers = itertools.count(1)


def pytest_configure() -> None:
    """Settings of the developer's own shell are none of the tests'."""
    for name in Settings.model_fields:
        os.environ.pop(f"SYNCTABLES_{name.upper()}", None)


@pytest.fixture(scope="session")
def cluster(session_dir: Path) -> Iterator[LocalCluster]:
    """A private cluster; its database ``synctables`` is migrated and left alone: the template."""
    with LocalCluster(session_dir, server_settings=_QUICK_AND_UNSAFE) as running:
        migrate(running.database_url)
        yield running


@pytest.fixture
def database_url(cluster: LocalCluster) -> Iterator[str]:
    """The URL of a fresh, migrated database, for a test that commits."""
    with clone_database(cluster) as url:
        yield url


@pytest.fixture
async def pool(
    database_url: str,
) -> AsyncIterator[AsyncConnectionPool[AsyncConnection[DictRow]]]:
    """An open pool on a database of its own."""
    async with create_pool(database_url, application_name="tests") as opened:
        yield opened


@pytest.fixture(scope="session")
def session_database_url(cluster: LocalCluster) -> Iterator[str]:
    """A migrated database that all tests share: never commit to it."""
    with clone_database(cluster) as url:
        yield url


@pytest.fixture
async def connection(session_database_url: str) -> AsyncIterator[AsyncConnection[DictRow]]:
    """A connection inside a transaction that is rolled back after the test."""
    async with (
        await connect(session_database_url, application_name="tests") as opened,
        opened.transaction(force_rollback=True),
    ):
        yield opened


@contextmanager
def clone_database(cluster: LocalCluster) -> Iterator[str]:
    """The URL of a fresh, migrated database, dropped with the block."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(cluster.superuser_url(), autocommit=True) as superuser:
        can_choose = superuser.info.server_version >= 150000
        strategy = sql.SQL("STRATEGY file_copy" if can_choose else "")
        superuser.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {} {}").format(
                sql.Identifier(name), sql.Identifier(_OWNER), sql.Identifier(_OWNER), strategy
            )
        )
        try:
            yield cluster.database_url.replace(f"/{_OWNER}?", f"/{name}?")
        finally:
            superuser.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            _drop_roles(superuser)


def _drop_roles(superuser: psycopg.Connection) -> None:
    """Roles belong to the cluster: the readers of a dropped database would stay."""
    names = superuser.execute(
        "SELECT rolname FROM pg_roles WHERE rolname NOT IN ('postgres', 'synctables')"
        r" AND rolname NOT LIKE 'pg\_%'"
    ).fetchall()
    for (name,) in names:
        try:
            superuser.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
        except errors.DependentObjectsStillExist:  # another database's
            continue
