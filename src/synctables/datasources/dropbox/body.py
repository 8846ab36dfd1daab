"""A file's bytes from Dropbox, from any byte on, always of the same revision."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from synctables.datasources.dropbox.failures import body_failures
from synctables.datasources.dropbox.items import Found, Link, Place
from synctables.errors import DatasourceConnectError, PartialFileError

if TYPE_CHECKING:
    from synctables.datasources.dropbox.account import Visit

_CHUNK_BYTES = 1 << 18
_PARTIAL_CONTENT = 206
_RANGE_START = re.compile(r"bytes (\d+)-")

Opener = Callable[[int], Iterator[bytes]]


def opener(visit: Visit, found: Found, place: Place | Link) -> Opener:
    """What opens the file as it was found, from a byte on.

    One's own file by its revision, whatever becomes of the file meanwhile. Behind a link, and of
    an export, there is only the present: where that is another revision now, it is refused.
    """
    title = found.item.title
    if found.export_as:
        return _export_opener(visit, found)

    def open_at(offset: int) -> Iterator[bytes]:
        if offset and offset == found.item.size_bytes:
            return
        headers = _headers(offset)
        metadata, response = visit.call(
            lambda client: _ask(client, found, place, headers), about=title
        )
        with closing(response):
            _check_revision(metadata, found)
            yield from _without(offset - _start_of(response), _chunks(response, title), title)

    return open_at


def _export_opener(visit: Visit, found: Found) -> Opener:
    """An export is made anew each time, and has a hash of its own; ranges of it are not known."""
    title = found.item.title
    digests: set[str | None] = set()

    def open_at(offset: int) -> Iterator[bytes]:
        exported, response = visit.call(
            lambda client: client.files_export(found.item.id, found.export_as), about=title
        )
        with closing(response):
            _check_revision(exported.file_metadata, found)
            digest = exported.export_metadata.export_hash
            digests.add(digest)
            if len(digests) > 1:
                raise DatasourceConnectError(f"Dropbox made another export of {title} meanwhile.")
            yield from _without(offset, _verified(_chunks(response, title), digest, title), title)

    return open_at


def _verified(chunks: Iterator[bytes], digest: str | None, title: str) -> Iterator[bytes]:
    from dropbox.content_hash import DropboxContentHasher

    hasher = DropboxContentHasher()
    for chunk in chunks:
        hasher.update(chunk)
        yield chunk
    if digest and hasher.hexdigest() != digest:
        raise DatasourceConnectError(f"The export of {title} is not what its hash stands for.")


def _check_revision(metadata: Any, found: Found) -> None:
    if metadata.rev != found.rev:
        raise DatasourceConnectError(f"{found.item.title} was changed while it was fetched.")


def _headers(offset: int) -> dict[str, str]:
    """The SDK's ``extra_headers``. Bytes as they are: a range counts those of the coding."""
    asked = {"Range": f"bytes={offset}-"} if offset else {}
    return {"Accept-Encoding": "identity", **asked}


def _ask(client: Any, found: Found, place: Place | Link, headers: dict[str, str]) -> Any:
    from dropbox import sharing

    if isinstance(place, Link):
        link = sharing.GetSharedLinkMetadataArg(place.url, place.path)
        return client.request(
            sharing.get_shared_link_file, "sharing", link, None, extra_headers=headers
        )
    return client.files_download(f"rev:{found.rev}", extra_headers=headers)


def _chunks(response: Any, title: str) -> Iterator[bytes]:
    with body_failures(title):
        yield from response.iter_content(_CHUNK_BYTES)


def _without(surplus: int, chunks: Iterator[bytes], title: str) -> Iterator[bytes]:
    """The bytes but the first ``surplus``, where the answer begins before what was asked for."""
    if surplus < 0:
        raise PartialFileError(f"Dropbox went on with {title} at another byte than asked for.")
    for chunk in chunks:
        if surplus < len(chunk):
            yield chunk[surplus:]
        surplus = max(surplus - len(chunk), 0)


def _start_of(response: Any) -> int:
    if response.status_code != _PARTIAL_CONTENT:
        return 0
    start = _RANGE_START.match(response.headers.get("Content-Range", ""))
    return int(start[1]) if start else 0
