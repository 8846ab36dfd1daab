"""Files in Dropbox as a `Datasource`: look the file up, compare, bring it, verify it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from synctables.datasources.base import Fetched, Item, NotModified, OnBytes, SourceVersion
from synctables.datasources.drives.transfer import (
    CallOff,
    Expected,
    Received,
    in_loop,
    in_thread,
    receive,
)
from synctables.datasources.dropbox.body import opener
from synctables.datasources.dropbox.items import (
    Found,
    Link,
    Place,
    is_readable,
    is_same,
    linked_file,
    own_file,
    parse_place,
)
from synctables.datasources.dropbox.listing import list_items
from synctables.datasources.sink import check_size
from synctables.errors import DatasourceReadError, DriveFileDeletedError, UnsupportedFileError

if TYPE_CHECKING:
    from pathlib import Path

    from synctables.datasources.dropbox.account import Account, Visit


class DropboxDatasource:
    """One account's Dropbox; an item is an ID, a path, or a shared link.

    ``backoff_seconds``: the pause before the first attempt to go on with a broken download.
    """

    def __init__(self, account: Account, *, max_bytes: int, backoff_seconds: float = 0.5) -> None:
        self._account = account
        self._max_bytes = max_bytes
        self._backoff_seconds = backoff_seconds

    async def probe(self, item: str, *, known: SourceVersion | None) -> Item | NotModified:
        """What Dropbox says of ``item``; not modified where ``rev`` or the content's hash is."""

        def look(_: CallOff) -> Item | NotModified:
            with self._account.visit() as visit:
                found = self._find(visit, parse_place(item), item)
            return _unchanged(found, known) or found.item

        return await in_thread(look)

    async def fetch(
        self, item: str, *, known: SourceVersion | None, into: Path, on_bytes: OnBytes
    ) -> Fetched | NotModified:
        """Bring the file into the folder ``into``, verified, unless it still is ``known``."""
        tell = in_loop(on_bytes)

        def bring(call_off: CallOff) -> Fetched | NotModified:
            place = parse_place(item)
            with self._account.visit() as visit:
                found = self._find(visit, place, item)
                if unchanged := _unchanged(found, known):
                    return unchanged
                path = into / found.item.file_name
                received = receive(
                    opener(visit, found, place),
                    path,
                    expected=_expected(found),
                    max_bytes=self._max_bytes,
                    on_bytes=tell,
                    call_off=call_off,
                    backoff_seconds=self._backoff_seconds,
                )
            return _judge(found, received, path, known)

        return await in_thread(bring)

    async def list(self, *, search: str | None = None, folder: str | None = None) -> list[Item]:
        """Files that the importer reads; ``folder``: a path, an ID, or a link to a folder."""

        def look(call_off: CallOff) -> list[Item]:
            with self._account.visit() as visit:
                return list_items(visit, search=search, folder=folder, call_off=call_off)

        return await in_thread(look)

    def _find(self, visit: Visit, place: Place | Link, item: str) -> Found:
        """The file's metadata. Raises a `RunError` where there is no such file, or too large."""
        found = (
            _behind(visit, place, item) if isinstance(place, Link) else _in_account(visit, place)
        )
        check_size(found.item.size_bytes or 0, self._max_bytes)
        return found


def _in_account(visit: Visit, place: Place) -> Found:
    from dropbox.files import DeletedMetadata, FileMetadata

    if not place.path:
        raise DatasourceReadError("The root of Dropbox is a folder. Choose a file in it.")
    metadata = visit.call(
        lambda client: client.files_get_metadata(place.path, include_deleted=True),
        about=place.about,
    )
    if isinstance(metadata, DeletedMetadata):
        raise DriveFileDeletedError(f"{metadata.name} was deleted in Dropbox.")
    if not isinstance(metadata, FileMetadata):
        raise _is_folder(metadata.name)
    found = own_file(metadata)
    if not metadata.is_downloadable and not is_readable(metadata):
        raise UnsupportedFileError(f"Dropbox cannot hand out {metadata.name} as a file.")
    return found


def _behind(visit: Visit, link: Link, item: str) -> Found:
    from dropbox.sharing import FileLinkMetadata

    metadata: Any = visit.call(
        lambda client: client.sharing_get_shared_link_metadata(link.url, path=link.path),
        about=link.about,
    )
    if not isinstance(metadata, FileLinkMetadata):
        raise _is_folder(metadata.name)
    return linked_file(metadata, item_id=item)


def _is_folder(name: str) -> DatasourceReadError:
    return DatasourceReadError(f"{name} is a folder. Choose a file in it.")


def _unchanged(found: Found, known: SourceVersion | None) -> NotModified | None:
    version = found.item.version
    if not known or not is_same(version.revision, known.revision):
        return None
    return NotModified(version=replace(version, content_sha256=known.content_sha256))


def _expected(found: Found) -> Expected:
    from dropbox.content_hash import DropboxContentHasher

    return Expected(
        size_bytes=found.item.size_bytes,
        digest=found.content_hash,
        new_hash=DropboxContentHasher,
    )


def _judge(
    found: Found, received: Received, path: Path, known: SourceVersion | None
) -> Fetched | NotModified:
    """Tell by its hash whether what came is new."""
    version = replace(found.item.version, content_sha256=received.sha256)
    if known and known.content_sha256 == received.sha256:
        path.unlink()
        return NotModified(version=version)
    return Fetched(
        path=path,
        file_name=found.item.file_name,
        content_type=None,
        size_bytes=received.size_bytes,
        version=version,
        web_link=found.item.web_link,
    )
