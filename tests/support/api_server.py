"""The real API on loopback: uvicorn in a thread, over a real database.

``api``           a new account on a server that all tests share; its methods make HTTP calls
``shared_server`` that server, to add accounts or to ask its database about one account
``api_server``    a server over the test's own ``database_url``
``serve_api``     the same by hand, with other settings
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import requests
import uvicorn
from psycopg.rows import dict_row

from synctables.accounts.service import create_account
from synctables.app import create_app
from synctables.db.pool import connect
from synctables.settings import Settings
from tests.conftest import clone_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg.rows import DictRow

    from synctables.localpg import LocalCluster

_TIMEOUT_SECONDS = 20
_numbers = itertools.count(1)

URL = "https://example.org/parks.csv"
"""An address that nothing fetches in these tests."""


@dataclass(frozen=True, kw_only=True)
class ApiAccount:
    """One account, and the address of the server that serves it."""

    name: str
    api_key: str = field(repr=False)
    server: ApiServer

    @property
    def base_url(self) -> str:
        return self.server.base_url

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """An HTTP call below ``/api/v1/`` with this account's key as a Bearer token."""
        headers = {"Authorization": f"Bearer {self.api_key}", **options.pop("headers", {})}
        return self.call_plain(method, f"/api/v1/{path}", headers=headers, **options)

    def call_plain(self, method: str, path: str, **options: Any) -> requests.Response:
        """An HTTP call without any key."""
        return self.server.call(method, path, **options)

    def create_sync(self, **parameters: Any) -> dict[str, Any]:
        """Create a sync table of `URL`, if nothing else is said."""
        answer = self.call(
            "POST",
            "synchronizations",
            json={"url": URL, "interval": 3600, **parameters},
        )
        assert answer.status_code == 200, answer.text
        created: dict[str, Any] = answer.json()
        return created


@dataclass(frozen=True, kw_only=True)
class ApiServer:
    base_url: str
    database_url: str

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """An HTTP call without any key."""
        options.setdefault("timeout", _TIMEOUT_SECONDS)
        return requests.request(method, f"{self.base_url}{path}", **options)

    def create_account(self, name: str) -> ApiAccount:
        async def create() -> str:
            async with await connect(self.database_url, application_name="tests") as connection:
                return (await create_account(connection, name=name))[1]

        return ApiAccount(name=name, api_key=_run(create), server=self)

    def query(self, statement: str, *values: Any) -> list[DictRow]:
        """Rows of a statement, with ``synctables`` first in the search path; it commits."""
        with psycopg.connect(
            self.database_url, row_factory=dict_row, options="-c search_path=synctables,public"
        ) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []


def count_rows(server: ApiServer, api: ApiAccount) -> tuple[int, int]:
    """How many syncs and runs the account has."""
    (row,) = server.query(
        "SELECT (SELECT count(*) FROM syncs WHERE account_id = accounts.id) AS syncs,"
        " (SELECT count(*) FROM runs WHERE account_id = accounts.id) AS runs"
        " FROM accounts WHERE name = %s",
        api.name,
    )
    return row["syncs"], row["runs"]


def _run(function: Any) -> Any:
    """Run a coroutine to its end, whether or not this thread already runs a loop."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(asyncio.run(function())))
    thread.start()
    thread.join()
    return results[0]


@contextmanager
def serve_api(database_url: str, **settings: Any) -> Iterator[ApiServer]:
    """A running API with these settings."""
    app = create_app(Settings(**settings), database_url=database_url)
    server = _Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert server.is_ready.wait(_TIMEOUT_SECONDS), "the API did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        yield ApiServer(base_url=f"http://127.0.0.1:{port}", database_url=database_url)
    finally:
        server.should_exit = True
        thread.join(_TIMEOUT_SECONDS)


class _Server(uvicorn.Server):
    """Says when it takes calls; leaves signals to pytest."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_ready = threading.Event()

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        self.is_ready.set()


@pytest.fixture
def api_server(database_url: str) -> Iterator[ApiServer]:
    with serve_api(database_url) as server:
        yield server


@pytest.fixture(scope="session")
def shared_server(cluster: LocalCluster) -> Iterator[ApiServer]:
    # No worker runs here, so that nobody need wait for a preview.
    with clone_database(cluster) as url, serve_api(url, preview_wait_seconds=0) as server:
        yield server


@pytest.fixture
def api(shared_server: ApiServer) -> ApiAccount:
    return shared_server.create_account(f"alice-{next(_numbers)}")
