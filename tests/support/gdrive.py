"""Google Drive for tests: the double, or for real, behind one way to put and change files.

For real: ``SYNCTABLES_TEST_GDRIVE_CLIENT_ID``, ``…_CLIENT_SECRET`` and ``…_REFRESH_TOKEN``, whose
consent covers the scopes ``drive.readonly`` and ``drive.file``: the second is for the test's own
files, which lie in a folder that is deleted at the end.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from doubles.gdrive import GoogleDriveDouble
from doubles.gdrive_files import FOLDER, SHEET, SHORTCUT, XLSX, Sheets, Store, workbook
from doubles.server import run_double
from synctables.datasources.base import Fetched, Item, NotModified, SourceVersion
from synctables.datasources.drives.model import OAuthToken, Tokens
from synctables.datasources.gdrive import DRIVE
from synctables.datasources.gdrive.client import open_account
from synctables.datasources.gdrive.datasource import GoogleDriveDatasource
from synctables.errors import RunError
from synctables.settings import Settings
from tests.support.clouds import CloudAuthority, MemoryTokens, Where, live_credentials

BODY = b"name,lat,lon\n" + b"Jena,50.9,11.6\n" * 80_000


class DriveFiles(Protocol):
    """What a test does to files as their owner; see `Store`."""

    def put(self, name: str, content: bytes, *, parent: str | None = None) -> str: ...
    def put_sheet(self, name: str, sheets: Sheets, *, parent: str | None = None) -> str: ...
    def put_folder(self, name: str, *, parent: str | None = None) -> str: ...
    def put_shortcut(self, name: str, target_id: str, *, parent: str | None = None) -> str: ...
    def change(self, file_id: str, content: bytes) -> None: ...
    def change_sheet(self, file_id: str, sheets: Sheets) -> None: ...
    def rename(self, file_id: str, name: str) -> None: ...
    def move(self, file_id: str, parent: str) -> None: ...
    def trash(self, file_id: str) -> None: ...
    def delete(self, file_id: str) -> None: ...


class ConnectedDrive:
    """An account's drive as a run uses it, with its workspace and what it was told of progress."""

    def __init__(
        self, files: DriveFiles, settings: Settings, tokens: Tokens, workspace: Path
    ) -> None:
        self.files = files
        self.settings = settings
        self.tokens = tokens
        self.workspace = workspace
        self.progress: list[tuple[int, int | None]] = []
        self.folder_name = "synctables tests"
        self.folder = files.put_folder(self.folder_name)
        self.datasource = GoogleDriveDatasource(
            settings, open_account(settings, tokens), backoff_seconds=0
        )

    async def fetch(self, item: str, known: SourceVersion | None = None) -> Fetched | NotModified:
        return await self.datasource.fetch(
            item,
            known=known,
            into=self.workspace,
            on_bytes=lambda received, total: self.progress.append((received, total)),
        )

    async def file(self, item: str, known: SourceVersion | None = None) -> Fetched:
        fetched = await self.fetch(item, known)
        assert isinstance(fetched, Fetched)
        return fetched

    async def nothing_new(self, item: str, known: SourceVersion) -> NotModified:
        outcome = await self.fetch(item, known)
        assert isinstance(outcome, NotModified)
        return outcome

    async def item(self, item: str) -> Item:
        probed = await self.datasource.probe(item, known=None)
        assert isinstance(probed, Item)
        return probed

    async def failure(self, item: str, known: SourceVersion | None = None) -> RunError:
        with pytest.raises(RunError) as caught:
            await self.fetch(item, known)
        return caught.value


def double_settings(
    double: GoogleDriveDouble, authority: CloudAuthority, **others: object
) -> Settings:
    given = {
        "gdrive_client_id": double.authority.client_id,
        "gdrive_client_secret": double.authority.client_secret,
        "gdrive_endpoint": double.base_url,
        "drive_ca_file": authority.ca_file,
        **others,
    }
    return Settings.model_validate(given)


def granted(double: GoogleDriveDouble) -> OAuthToken:
    """A token as after a consent; it does not say when it ends, so only a 401 tells."""
    issued = double.authority.grant()
    return OAuthToken(access_token=issued.access_token, refresh_token=issued.refresh_token)


@pytest.fixture
def gdrive_double(cloud_authority: CloudAuthority) -> Iterator[GoogleDriveDouble]:
    double = GoogleDriveDouble()
    with run_double(double, cloud_authority.ca):
        yield double


@pytest.fixture
def gdrive_settings(gdrive_double: GoogleDriveDouble, cloud_authority: CloudAuthority) -> Settings:
    return double_settings(gdrive_double, cloud_authority)


@pytest.fixture
def gdrive(
    gdrive_double: GoogleDriveDouble, gdrive_settings: Settings, tmp_path: Path
) -> ConnectedDrive:
    """The double's drive, connected."""
    tokens = MemoryTokens(granted(gdrive_double))
    return ConnectedDrive(gdrive_double.store, gdrive_settings, tokens, tmp_path)


@pytest.fixture
def any_gdrive(where: Where, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """The drive of a conformance test."""
    if where == "double":
        yield request.getfixturevalue("gdrive")
        return
    with _live_drive(tmp_path) as drive:
        yield drive


@contextlib.contextmanager
def _live_drive(workspace: Path) -> Iterator[ConnectedDrive]:
    given = live_credentials("gdrive", "CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN")
    settings = Settings.model_validate(
        {
            "gdrive_client_id": given["CLIENT_ID"],
            "gdrive_client_secret": given["CLIENT_SECRET"],
        }
    )
    client = DRIVE.oauth_client(settings)
    token = client.refresh(OAuthToken(access_token="", refresh_token=given["REFRESH_TOKEN"]))
    files = LiveFiles(token)
    drive = ConnectedDrive(files, settings, MemoryTokens(token), workspace)
    try:
        yield drive
    finally:
        files.delete(drive.folder)


class LiveFiles:
    """The same with Google Drive itself."""

    def __init__(self, token: OAuthToken) -> None:
        import google.oauth2.credentials
        from googleapiclient.discovery import build

        credentials = google.oauth2.credentials.Credentials(token=token.access_token)
        self._files = build("drive", "v3", credentials=credentials, cache_discovery=False).files()

    def put(self, name: str, content: bytes, *, parent: str | None = None) -> str:
        return self._create(name, parent, content=content)

    def put_sheet(self, name: str, sheets: Sheets, *, parent: str | None = None) -> str:
        return self._create(name, parent, kind=SHEET, content=workbook(sheets))

    def put_folder(self, name: str, *, parent: str | None = None) -> str:
        return self._create(name, parent, kind=FOLDER)

    def put_shortcut(self, name: str, target_id: str, *, parent: str | None = None) -> str:
        details = {"targetId": target_id}
        return self._create(name, parent, kind=SHORTCUT, shortcutDetails=details)

    def change(self, file_id: str, content: bytes) -> None:
        self._update(file_id, media_body=_media(content, "text/csv"))

    def change_sheet(self, file_id: str, sheets: Sheets) -> None:
        self._update(file_id, media_body=_media(workbook(sheets), XLSX))

    def rename(self, file_id: str, name: str) -> None:
        self._update(file_id, body={"name": name})

    def move(self, file_id: str, parent: str) -> None:
        before = self._files.get(fileId=file_id, fields="parents").execute()["parents"]
        self._update(file_id, addParents=parent, removeParents=",".join(before))

    def trash(self, file_id: str) -> None:
        self._update(file_id, body={"trashed": True})

    def delete(self, file_id: str) -> None:
        self._files.delete(fileId=file_id).execute()

    def _create(
        self,
        name: str,
        parent: str | None,
        *,
        kind: str | None = None,
        content: bytes | None = None,
        **more: object,
    ) -> str:
        body = {
            "name": name,
            **({"parents": [parent]} if parent else {}),
            **({"mimeType": kind} if kind else {}),
            **more,
        }
        media = {}
        if content is not None:
            media["media_body"] = _media(content, XLSX if kind == SHEET else "text/csv")
        created: dict[str, str] = self._files.create(body=body, fields="id", **media).execute()
        return created["id"]

    def _update(self, file_id: str, **change: object) -> None:
        self._files.update(fileId=file_id, **change).execute()


def _media(content: bytes, kind: str) -> Any:
    from googleapiclient.http import MediaIoBaseUpload

    return MediaIoBaseUpload(io.BytesIO(content), mimetype=kind)


def store(drive: ConnectedDrive) -> Store:
    """The double's own store, for what only its maker can do."""
    assert isinstance(drive.files, Store)
    return drive.files
