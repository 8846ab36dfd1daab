"""Dropbox for tests: the double with a connected account, or a folder at Dropbox itself.

Live tests want ``SYNCTABLES_TEST_DROPBOX_CLIENT_ID`` and ``SYNCTABLES_TEST_DROPBOX_REFRESH_TOKEN``
of an app that has ``files.content.write`` and ``sharing.write`` besides what Synctables asks for:
they put files into a folder of their own, and delete it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest

from doubles.dropbox import DropboxDouble
from doubles.oauth import Authority
from doubles.server import run_double
from synctables.datasources.base import Fetched, Item, NotModified, SourceVersion
from synctables.datasources.drives.model import OAuthToken
from synctables.datasources.dropbox.account import Account
from synctables.datasources.dropbox.datasource import DropboxDatasource
from synctables.datasources.dropbox.oauth import DropboxOAuthClient
from synctables.datasources.dropbox.session import open_client, open_session
from synctables.settings import Settings
from tests.support.clouds import CloudAuthority, MemoryTokens, Where, live_credentials

REDIRECT_URI = "https://sync.example.org/api/v1/imports/service/dropbox/oauth_callback/"


class Shelf(Protocol):
    """A folder whose files a test puts and changes; paths begin at the folder."""

    folder: str

    def put(self, path: str, content: bytes) -> str: ...
    def move(self, path: str, to: str) -> None: ...
    def delete(self, path: str) -> None: ...
    def share(self, path: str) -> str: ...
    def unshare(self, url: str) -> None: ...


@dataclass
class Reader:
    """A datasource, with what it told on its way."""

    settings: Settings
    tokens: MemoryTokens
    workspace: Path
    progress: list[tuple[int, int | None]] = field(default_factory=list)
    on_progress: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.datasource = self.another()

    def another(self) -> DropboxDatasource:
        """A datasource of another worker, on the same tokens."""
        account = Account(self.settings, self.tokens, DropboxOAuthClient(self.settings))
        return DropboxDatasource(
            account, max_bytes=self.settings.max_file_bytes, backoff_seconds=0.01
        )

    async def fetch(self, item: str, known: SourceVersion | None = None) -> Fetched | NotModified:
        return await self.datasource.fetch(
            item, known=known, into=self.workspace, on_bytes=self._tell
        )

    async def file(self, item: str, known: SourceVersion | None = None) -> Fetched:
        fetched = await self.fetch(item, known)
        assert isinstance(fetched, Fetched)
        return fetched

    async def content(self, item: str) -> bytes:
        return (await self.file(item)).path.read_bytes()

    async def item(self, item: str) -> Item:
        probed = await self.datasource.probe(item, known=None)
        assert isinstance(probed, Item)
        return probed

    def _tell(self, received: int, total: int | None) -> None:
        self.progress.append((received, total))
        self.on_progress()


class DoubleShelf:
    """A folder at the double."""

    folder = "/tests"

    def __init__(self, double: DropboxDouble) -> None:
        self._files = double.files
        self._files.make_folder(self.folder)

    def put(self, path: str, content: bytes) -> str:
        return self._files.put(self.folder + path, content)

    def move(self, path: str, to: str) -> None:
        self._files.move(self.folder + path, self.folder + to)

    def delete(self, path: str) -> None:
        self._files.delete(self.folder + path)

    def share(self, path: str) -> str:
        return self._files.share(self.folder + path)

    def unshare(self, url: str) -> None:
        self._files.unshare(url)


class LiveShelf:
    """A folder at Dropbox itself, through the SDK."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.folder = f"/synctables-tests-{secrets.token_hex(4)}"
        client.files_create_folder_v2(self.folder)

    def put(self, path: str, content: bytes) -> str:
        from dropbox.files import WriteMode

        put = self._client.files_upload(content, self.folder + path, mode=WriteMode.overwrite)
        return str(put.id)

    def move(self, path: str, to: str) -> None:
        self._client.files_move_v2(self.folder + path, self.folder + to)

    def delete(self, path: str) -> None:
        self._client.files_delete_v2(self.folder + path)

    def share(self, path: str) -> str:
        return str(self._client.sharing_create_shared_link_with_settings(self.folder + path).url)

    def unshare(self, url: str) -> None:
        self._client.sharing_revoke_shared_link(url)

    def remove(self) -> None:
        self._client.files_delete_v2(self.folder)


def union(*tags: str, **more: Any) -> str:
    """An error as Dropbox writes it."""
    error: dict[str, Any] = {".tag": tags[-1], **more}
    for tag in reversed(tags[:-1]):
        error = {".tag": tag, tag: error}
    return json.dumps({"error_summary": f"{'/'.join(tags)}/..", "error": error})


def granted(authority: Authority, *, lasts: timedelta = timedelta(hours=1)) -> OAuthToken:
    """A token as after a consent."""
    issued = authority.grant()
    return OAuthToken(
        access_token=issued.access_token,
        refresh_token=issued.refresh_token,
        expires_at=datetime.now(UTC) + lasts,
    )


@pytest.fixture
def dropbox_double(cloud_authority: CloudAuthority) -> Iterator[DropboxDouble]:
    double = DropboxDouble()
    with run_double(double, cloud_authority.ca):
        yield double


@pytest.fixture
def dropbox_settings(dropbox_double: DropboxDouble, cloud_authority: CloudAuthority) -> Settings:
    return Settings(
        dropbox_client_id=dropbox_double.authority.client_id,
        dropbox_endpoint=dropbox_double.base_url,
        drive_ca_file=cloud_authority.ca_file,
        connect_timeout_seconds=10,
        idle_timeout_seconds=10,
    )


@pytest.fixture
def reader(dropbox_double: DropboxDouble, dropbox_settings: Settings, tmp_path: Path) -> Reader:
    """A connected account at the double."""
    tokens = MemoryTokens(granted(dropbox_double.authority))
    return Reader(settings=dropbox_settings, tokens=tokens, workspace=tmp_path)


@pytest.fixture
def dropbox_anywhere(
    where: Where, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[Reader, Shelf]]:
    """A connected account and a folder in it, at the double and at Dropbox."""
    if where == "double":
        reader: Reader = request.getfixturevalue("reader")
        yield reader, DoubleShelf(request.getfixturevalue("dropbox_double"))
        return
    given = live_credentials("dropbox", "CLIENT_ID", "REFRESH_TOKEN")
    settings = Settings(dropbox_client_id=given["CLIENT_ID"])
    begun = OAuthToken(access_token="", refresh_token=given["REFRESH_TOKEN"])
    tokens = MemoryTokens(DropboxOAuthClient(settings).refresh(begun))
    with open_session(settings) as session:
        shelf = LiveShelf(open_client(tokens.current().access_token, session, settings))
        try:
            yield Reader(settings=settings, tokens=tokens, workspace=tmp_path), shelf
        finally:
            shelf.remove()
