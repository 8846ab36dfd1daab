"""Google Drive as a datasource: probe, fetch and list, each in a thread of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from synctables.datasources.base import Fetched, Item, NotModified, OnBytes, SourceVersion
from synctables.datasources.drives.transfer import CallOff, in_thread
from synctables.datasources.gdrive.client import DriveClient, OpenAccount
from synctables.datasources.gdrive.delivery import Delivered, Delivery, StartOverError
from synctables.datasources.gdrive.drive_file import DriveFile
from synctables.datasources.gdrive.listing import list_items
from synctables.datasources.gdrive.paths import find_file
from synctables.datasources.gdrive.reference import FilePath, parse_reference
from synctables.errors import DriveFileDeletedError, PartialFileError, UnsupportedFileError
from synctables.settings import Settings

_MOST_STARTS = 3
"""Of one download: a file that changes more often on its way is left to the next run."""


class GoogleDriveDatasource:
    """The drive of one account; an item is an id, a path or a link (see `reference`)."""

    def __init__(
        self, settings: Settings, open_client: OpenAccount, *, backoff_seconds: float = 0.5
    ) -> None:
        self._open_client = open_client
        self._max_bytes = settings.max_file_bytes
        self._backoff_seconds = backoff_seconds

    async def probe(self, item: str, *, known: SourceVersion | None) -> Item | NotModified:
        """See `Datasource.probe`. Raises a `RunError`."""

        def call(_: CallOff) -> Item | NotModified:
            with self._open_client() as client:
                file = locate(client, item)
            if known and file.is_still(known):
                return NotModified(version=known)
            return file.to_item()

        return await in_thread(call)

    async def fetch(
        self, item: str, *, known: SourceVersion | None, into: Path, on_bytes: OnBytes
    ) -> Fetched | NotModified:
        """See `Datasource.fetch`. ``on_bytes`` is called in a thread. Raises a `RunError`."""

        def call(call_off: CallOff) -> Fetched | NotModified:
            with self._open_client() as client:
                delivery = Delivery(
                    client=client,
                    into=into,
                    max_bytes=self._max_bytes,
                    on_bytes=on_bytes,
                    call_off=call_off,
                    backoff_seconds=self._backoff_seconds,
                )
                return _fetch(client, delivery, item, known)

        return await in_thread(call)

    async def list(self, *, search: str | None = None, folder: str | None = None) -> list[Item]:
        """See `Datasource.list`. ``folder`` is an id or a path. Raises a `RunError`."""

        def call(_: CallOff) -> list[Item]:
            with self._open_client() as client:
                return list_items(client, search=search, folder=folder)

        return await in_thread(call)


def locate(client: DriveClient, item: str) -> DriveFile:
    """The file itself: by id, path or link, shortcuts followed; one that can be read."""
    which = parse_reference(item)
    file = find_file(client, which) if isinstance(which, FilePath) else client.file(which)
    _check_kept(file)
    if file.target:
        file = client.file(file.target)
        _check_kept(file)
    if file.is_folder:
        raise UnsupportedFileError(f"{file.name} is a folder. Choose a file in it.")
    if file.is_native and not file.is_sheet:
        raise UnsupportedFileError(
            f"{file.name} is a document of Google's own, but no spreadsheet."
        )
    return file


def _check_kept(file: DriveFile) -> None:
    if file.is_trashed:
        raise DriveFileDeletedError(f"{file.name} is in the bin of Google Drive.")


def _fetch(
    client: DriveClient, delivery: Delivery, item: str, known: SourceVersion | None
) -> Fetched | NotModified:
    for _ in range(_MOST_STARTS):
        file = locate(client, item)
        if known and file.is_still(known):
            return NotModified(version=known)
        try:
            return _judge(file, delivery.bring(file), known)
        except StartOverError:
            continue
    raise PartialFileError(f"{item} in Google Drive changed again and again on its way here.")


def _judge(
    file: DriveFile, delivered: Delivered, known: SourceVersion | None
) -> Fetched | NotModified:
    """Tell by its hash whether the file is new."""
    received = delivered.received
    version = replace(file.version, content_sha256=received.sha256)
    if known and known.content_sha256 == received.sha256:
        delivered.path.unlink()
        return NotModified(version=version)
    return Fetched(
        path=delivered.path,
        file_name=delivered.file_name,
        content_type=delivered.content_type,
        size_bytes=received.size_bytes,
        version=version,
        web_link=file.web_link,
    )
