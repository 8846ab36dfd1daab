"""Collections that come in pages, read through the datasource as a run reads them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from synctables.datasources._http import create_http_session
from synctables.datasources.base import Fetched, NotModified, SourceVersion
from synctables.datasources.public_url import PublicUrlDatasource
from synctables.errors import RunError
from synctables.importer.fetch import fetch
from synctables.settings import Settings
from tests.support.fetching import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path


class Paging:
    """The datasource as a run uses it."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.settings: dict[str, Any] = {"allowed_networks": LOOPBACK}

    async def fetch(self, url: str, known: SourceVersion | None = None) -> Fetched | NotModified:
        settings = Settings.model_validate(self.settings)
        async with create_http_session(settings) as session:
            return await fetch(
                PublicUrlDatasource(session, settings, backoff_seconds=0),
                url,
                known=known,
                into=self.workspace,
                on_bytes=lambda received, total: None,
            )

    async def file(self, url: str) -> Fetched:
        fetched = await self.fetch(url)
        assert isinstance(fetched, Fetched)
        whole = fetched.path.read_bytes()
        assert fetched.size_bytes == len(whole)
        assert fetched.version.content_sha256 == hashlib.sha256(whole).hexdigest()
        assert [path.name for path in fetched.path.parent.iterdir()] == [fetched.file_name]
        return fetched

    async def features(self, url: str) -> list[dict[str, Any]]:
        fetched = await self.file(url)
        found = json.loads(fetched.path.read_bytes())
        assert found["type"] == "FeatureCollection"
        return list(found["features"])

    async def failure(self, url: str) -> RunError:
        with pytest.raises(RunError) as caught:
            await self.fetch(url)
        return caught.value


@pytest.fixture
def paging(tmp_path: Path) -> Paging:
    return Paging(tmp_path)
