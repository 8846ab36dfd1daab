"""The bytes of one file: as they are, or as an export where Google alone knows the format."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path

from synctables.datasources.base import OnBytes
from synctables.datasources.drives.transfer import (
    CallOff,
    ContentHash,
    Expected,
    Received,
    receive,
)
from synctables.datasources.gdrive.client import DriveClient
from synctables.datasources.gdrive.drive_file import DriveFile
from synctables.datasources.gdrive.refusals import ExportTooLargeError
from synctables.errors import (
    DatasourceConnectError,
    DatasourceReadError,
    DriveFileDeletedError,
    PartialFileError,
)

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CSV = "text/csv"


class StartOverError(Exception):
    """What was received so far is of no use: begin anew with what Google says now."""


@dataclass(frozen=True, kw_only=True)
class Delivered:
    path: Path
    file_name: str
    content_type: str
    received: Received


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """How one file comes into the folder ``into``."""

    client: DriveClient
    into: Path
    max_bytes: int
    on_bytes: OnBytes
    call_off: CallOff
    backoff_seconds: float

    def bring(self, file: DriveFile) -> Delivered:
        """Raises a `RunError`, or `StartOverError` where the file changed on its way."""
        return self._bring_sheet(file) if file.is_sheet else self._bring_blob(file)

    def _bring_blob(self, file: DriveFile) -> Delivered:
        def open_at(offset: int) -> Iterable[bytes]:
            if offset:
                self._check_unchanged(file)
            if offset and offset == file.size_bytes:
                return ()  # it broke after the last byte
            return self.client.content(file.own_id, name=file.name, offset=offset)

        expected = Expected(size_bytes=file.size_bytes, digest=file.md5, new_hash=_md5)
        try:
            return self._receive(open_at, file.file_name, file.kind, expected=expected)
        except PartialFileError:
            self._check_unchanged(file)
            raise

    def _bring_sheet(self, file: DriveFile) -> Delivered:
        """With every sheet as a layer where Google can, else its first sheet alone.

        Google exports up to 10 MB; its export links, which browsers use, allow more.
        """
        links = partial(self.client.export_links, file.own_id)
        ways: list[tuple[str, str, Callable[[], Iterator[bytes]]]] = [
            ("xlsx", XLSX, partial(self.client.export, file.own_id, kind=XLSX, name=file.name)),
            ("xlsx", XLSX, lambda: self._linked(links().get(XLSX), file.name)),
            ("csv", CSV, partial(self.client.export, file.own_id, kind=CSV, name=file.name)),
        ]
        for extension, kind, start in ways:
            try:
                name = file.exported_name(extension)
                return self._receive(_only_once(start), name, kind, expected=Expected())
            except ExportTooLargeError as error:
                too_large = error
        raise too_large

    def _linked(self, link: str | None, name: str) -> Iterator[bytes]:
        """By an export link; whatever is wrong with it, there is a next way."""
        if not link:
            raise ExportTooLargeError(f"Google Drive has no link to export {name}.")
        try:
            yield from self.client.linked_export(link, name=name)
        except (DatasourceReadError, DriveFileDeletedError) as error:
            raise ExportTooLargeError(str(error)) from error
        except DatasourceConnectError as error:
            if error.http_status != HTTPStatus.UNAUTHORIZED:
                raise
            raise ExportTooLargeError(str(error)) from error

    def _receive(
        self,
        open_at: Callable[[int], Iterable[bytes]],
        file_name: str,
        kind: str,
        *,
        expected: Expected,
    ) -> Delivered:
        path = self.into / file_name
        received = receive(
            open_at,
            path,
            expected=expected,
            max_bytes=self.max_bytes,
            on_bytes=self.on_bytes,
            call_off=self.call_off,
            backoff_seconds=self.backoff_seconds,
        )
        return Delivered(path=path, file_name=file_name, content_type=kind, received=received)

    def _check_unchanged(self, file: DriveFile) -> None:
        if not self.client.file(file.own_id).is_still(file.version):
            raise StartOverError


def _only_once(start: Callable[[], Iterator[bytes]]) -> Callable[[int], Iterable[bytes]]:
    """An export is made anew each time: its bytes cannot be gone on with."""

    def open_at(offset: int) -> Iterable[bytes]:
        if offset:
            raise StartOverError
        return start()

    return open_at


def _md5() -> ContentHash:
    return hashlib.md5(usedforsecurity=False)
