"""One Box to test at: the double, or Box itself, and an account there.

``box``        the double, with everything that it can be told to do wrong
``box_place``  where a conformance test runs: at the double and, in `make test-live`, at Box

At Box a test needs one variable, ``SYNCTABLES_TEST_BOX_DEVELOPER_TOKEN``: the developer token that
Box's developer console makes for an app with both scopes, good for an hour. Everything happens in
a folder of its own, which is deleted at the end.

The SDK is imported where it is used: every run of pytest loads this module.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from doubles.box import BoxDouble
from doubles.oauth import Issued
from doubles.server import run_double
from synctables.datasources.base import Fetched, Item, NotModified, SourceVersion
from synctables.datasources.box import DRIVE
from synctables.datasources.drives.model import OAuthToken, Tokens
from synctables.settings import Settings
from tests.support.clouds import CloudAuthority, MemoryTokens, Where, live_credentials

if TYPE_CHECKING:
    from pathlib import Path

    from box_sdk_gen import BoxClient

    from synctables.datasources.box.datasource import BoxDatasource


@dataclass(kw_only=True)
class BoxFetcher:
    """One account's Box, as the importer sees it."""

    datasource: BoxDatasource
    into: Path
    progress: list[tuple[int, int | None]] = field(default_factory=list)

    async def fetch(self, item: str, known: SourceVersion | None = None) -> Fetched | NotModified:
        return await self.datasource.fetch(
            item, known=known, into=self.into, on_bytes=lambda *seen: self.progress.append(seen)
        )

    async def file(self, item: str, known: SourceVersion | None = None) -> Fetched:
        fetched = await self.fetch(item, known)
        assert isinstance(fetched, Fetched)
        return fetched

    async def item(self, item: str) -> Item:
        found = await self.datasource.probe(item, known=None)
        assert isinstance(found, Item)
        return found


@dataclass(kw_only=True)
class BoxAtHand:
    """A running double and an account that is connected to it."""

    double: BoxDouble
    settings: Settings
    tokens: MemoryTokens
    fetcher: BoxFetcher

    def fetcher_with(self, tokens: Tokens, into: Path, **changes: object) -> BoxFetcher:
        return make_fetcher(self.settings.model_copy(update=changes), tokens, into)


@dataclass(kw_only=True)
class BoxPlace:
    """A folder of its own at the double or at Box, written to by Box's own SDK."""

    client: BoxClient
    fetcher: BoxFetcher
    folder: str
    folder_id: str

    def put(self, name: str, content: bytes, *, folder_id: str | None = None) -> str:
        from box_sdk_gen import UploadFileAttributes, UploadFileAttributesParentField

        parent = UploadFileAttributesParentField(id=folder_id or self.folder_id)
        attributes = UploadFileAttributes(name=name, parent=parent)
        files = self.client.uploads.upload_file(
            attributes, io.BytesIO(content), file_file_name=name
        )
        return str((files.entries or [])[0].id)

    def write(self, number: str, content: bytes) -> None:
        """A new version."""
        from box_sdk_gen import UploadFileVersionAttributes

        name = self.client.files.get_file_by_id(number).name or ""
        attributes = UploadFileVersionAttributes(name=name)
        self.client.uploads.upload_file_version(
            number, attributes, io.BytesIO(content), file_file_name=name
        )

    def rename(self, number: str, name: str) -> None:
        self.client.files.update_file_by_id(number, name=name)

    def trash(self, number: str) -> None:
        self.client.files.delete_file_by_id(number)

    def purge(self, number: str) -> None:
        """Delete for good what is in the trash."""
        self.client.trashed_files.delete_trashed_file_by_id(number)

    def make_folder(self, name: str) -> str:
        from box_sdk_gen import CreateFolderParent

        return self.client.folders.create_folder(name, CreateFolderParent(id=self.folder_id)).id

    def share(self, number: str) -> str:
        """The link that lets anybody read the file."""
        from box_sdk_gen import (
            AddShareLinkToFileSharedLink,
            AddShareLinkToFileSharedLinkAccessField,
        )

        access = AddShareLinkToFileSharedLinkAccessField.OPEN
        shared = self.client.shared_links_files.add_share_link_to_file(
            number, "shared_link", shared_link=AddShareLinkToFileSharedLink(access=access)
        )
        assert shared.shared_link
        return shared.shared_link.url


def make_fetcher(settings: Settings, tokens: Tokens, into: Path) -> BoxFetcher:
    from synctables.datasources.box.datasource import BoxDatasource

    into.mkdir(exist_ok=True)
    oauth = DRIVE.oauth_client(settings)
    return BoxFetcher(
        datasource=BoxDatasource(settings, tokens, oauth, backoff_seconds=0.001), into=into
    )


def stored_token(issued: Issued) -> OAuthToken:
    """As this installation keeps what a double gave."""
    return OAuthToken(
        access_token=issued.access_token,
        refresh_token=issued.refresh_token,
        expires_at=datetime.now(UTC) + timedelta(seconds=issued.expires_in),
    )


@contextmanager
def box_at_hand(
    double: BoxDouble, cloud_authority: CloudAuthority, into: Path
) -> Iterator[BoxAtHand]:
    """Run ``double``, with an account that is connected to it."""
    with run_double(double, cloud_authority.ca):
        settings = Settings(
            box_client_id=double.authority.client_id,
            box_client_secret=SecretStr(double.authority.client_secret),
            box_endpoint=double.base_url,
            drive_ca_file=cloud_authority.ca_file,
        )
        tokens = MemoryTokens(stored_token(double.authority.grant()))
        fetcher = make_fetcher(settings, tokens, into)
        yield BoxAtHand(double=double, settings=settings, tokens=tokens, fetcher=fetcher)


@pytest.fixture
def box(cloud_authority: CloudAuthority, tmp_path: Path) -> Iterator[BoxAtHand]:
    """The double of Box, and an account that is connected to it."""
    with box_at_hand(BoxDouble(), cloud_authority, tmp_path / "box") as at_hand:
        yield at_hand


@pytest.fixture
def box_place(where: Where, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BoxPlace]:
    """A folder of its own, in Box or in the double."""
    from box_sdk_gen import BoxClient, CreateFolderParent

    from synctables.datasources.box.sdk import StoredToken, open_network

    if where == "double":
        at_hand: BoxAtHand = request.getfixturevalue("box")
        settings, tokens = at_hand.settings, at_hand.tokens
    else:
        given = live_credentials("box", "DEVELOPER_TOKEN")
        settings = Settings(box_client_id="none", box_client_secret=SecretStr("none"))
        tokens = MemoryTokens(OAuthToken(access_token=given["DEVELOPER_TOKEN"]))
    oauth = DRIVE.oauth_client(settings)
    with open_network(settings) as network:
        signed = StoredToken(tokens, oauth.refresh)
        client = BoxClient(signed, network_session=network.session)
        name = f"synctables-test-{uuid.uuid4()}"
        folder_id = client.folders.create_folder(name, CreateFolderParent(id="0")).id
        fetcher = make_fetcher(settings, tokens, tmp_path / "place")
        yield BoxPlace(client=client, fetcher=fetcher, folder=f"/{name}", folder_id=folder_id)
        client.folders.delete_folder_by_id(folder_id, recursive=True)
