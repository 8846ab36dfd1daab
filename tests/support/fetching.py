"""The URL datasource as a run uses it, in a workspace of the test's own, and files to fetch."""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
from typing import TYPE_CHECKING

import pytest

from synctables.datasources._http import create_http_session
from synctables.datasources.base import Fetched, NotModified, SourceVersion
from synctables.datasources.url import UrlDatasource
from synctables.errors import RunError
from synctables.importer.fetch import fetch
from synctables.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


BODY = b"name,lat,lon\n" + b"Jena,50.9,11.6\n" * 20_000
OTHER = b"name,lat,lon\n" + b"Weimar,51.0,11.3\n" * 20_000
SHA = hashlib.sha256(BODY).hexdigest()
SUNDAY = "Sun, 01 Nov 2026 12:00:00 GMT"
SATURDAY = "Sat, 31 Oct 2026 12:00:00 GMT"
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


class Fetcher:
    """The datasource with its workspace and settings; `fetch` as the pipeline calls it."""

    def __init__(self, workspace: Path, settings: Settings, tls: ssl.SSLContext | None) -> None:
        self.workspace = workspace
        self.settings = settings
        self.progress: list[tuple[int, int | None]] = []
        self.tls = tls

    async def fetch(self, url: str, known: SourceVersion | None = None) -> Fetched | NotModified:
        async with create_http_session(self.settings, tls=self.tls) as session:
            return await fetch(
                UrlDatasource(session, self.settings, backoff_seconds=0),
                url,
                known=known,
                into=self.workspace,
                on_bytes=lambda received, total: self.progress.append((received, total)),
            )

    async def file(self, url: str, known: SourceVersion | None = None) -> Fetched:
        fetched = await self.fetch(url, known)
        assert isinstance(fetched, Fetched)
        return fetched

    async def nothing_new(self, url: str, known: SourceVersion) -> NotModified:
        outcome = await self.fetch(url, known)
        assert isinstance(outcome, NotModified)
        return outcome

    async def failure(self, url: str, known: SourceVersion | None = None) -> RunError:
        with pytest.raises(RunError) as caught:
            await self.fetch(url, known)
        return caught.value


@pytest.fixture
def fetcher(tmp_path: Path) -> Fetcher:
    return make_fetcher(tmp_path)


def make_fetcher(
    workspace: Path, *, tls: ssl.SSLContext | None = None, **settings: object
) -> Fetcher:
    given = {"allowed_networks": LOOPBACK, **settings}
    return Fetcher(workspace, Settings.model_validate(given), tls)
