"""What names a file in Dropbox, and what Dropbox says of it, in our own words. Pure.

An item is an ID (``id:…``), a path (case does not matter), a path in a namespace (``ns:…``), an
address of one's own files on dropbox.com, or a shared link. In a link to a folder, ``preview``
names the file, as in the browser's address.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from synctables.datasources.base import Item, SourceVersion
from synctables.datasources.file_names import (
    DEFAULT_FILE_NAME,
    KNOWN_EXTENSIONS,
    has_known_extension,
    safe_file_name,
)
from synctables.errors import DatasourceReadError
from synctables.log import public_url

_HOSTS = ("dropbox.com", "www.dropbox.com")
_OWN = ("home", "work")
"""First segments of addresses that show one's own files."""
_WITHIN = "preview"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Something of the account itself; ``path`` as the API takes it, ``""`` for the root."""

    path: str

    @property
    def about(self) -> str:
        """What messages call it."""
        return self.path or "/"


@dataclass(frozen=True, kw_only=True)
class Link:
    """Something behind a shared link; ``path`` within a linked folder (``/cities.csv``)."""

    url: str
    path: str | None = None

    @property
    def about(self) -> str:
        """Without the query: ``rlkey`` is the permission."""
        return f"{public_url(self.url)}{self.path or ''}"

    def within(self, name: str) -> str:
        """The item for a file or folder directly in this linked folder."""
        parts = urlsplit(self.url)
        pairs = [*parse_qsl(parts.query), (_WITHIN, f"{self.path or ''}/{name}".lstrip("/"))]
        return urlunsplit(parts._replace(query=urlencode(pairs, quote_via=quote)))


@dataclass(frozen=True, kw_only=True)
class Found:
    """A file as it is now. ``export_as``: it can be had only in this format (an extension)."""

    item: Item
    rev: str
    content_hash: str | None = None
    export_as: str | None = None


def parse_place(item: str) -> Place | Link:
    """Where an item is. Raises `DatasourceReadError` where it cannot be in Dropbox."""
    text = item.strip()
    if text.startswith(("https://", "http://")):
        return _parse_address(text)
    if text.startswith(("id:", "ns:")):
        return Place(path=text)
    path = text.strip("/")
    return Place(path=f"/{path}" if path else "")


def _parse_address(url: str) -> Place | Link:
    try:
        parts = urlsplit(url)
        shown = public_url(url)
    except ValueError:  # a port or an IPv6 address that is none
        raise DatasourceReadError("This is no address of Dropbox, nor of anything.") from None
    if parts.hostname not in _HOSTS:
        raise DatasourceReadError(f"{shown} is no address of Dropbox.")
    pairs = parse_qsl(parts.query)
    within = dict(pairs).get(_WITHIN, "").strip("/")
    first, _, rest = parts.path.lstrip("/").partition("/")
    if first in _OWN:
        path = "/".join(part for part in (unquote(rest).strip("/"), within) if part)
        return Place(path=f"/{path}" if path else "")
    query = urlencode([pair for pair in pairs if pair[0] != _WITHIN], quote_via=quote)
    bare = urlunsplit(parts._replace(query=query, fragment=""))
    return Link(url=bare, path=f"/{within}" if within else None)


def own_file(metadata: Any) -> Found:
    """From the SDK's ``FileMetadata``; the version holds ``rev`` and ``content_hash``."""
    export_as = _export_as(metadata)
    item = Item(
        id=metadata.id,
        title=metadata.name,
        file_name=_file_name(metadata.name, export_as),
        version=SourceVersion(
            revision=f"{metadata.rev}:{metadata.content_hash or ''}",
            modified_at=_in_utc(metadata.server_modified),
        ),
        size_bytes=None if export_as else metadata.size,
        path=metadata.path_display,
        web_link=_page_of(metadata.path_display, is_folder=False),
    )
    return Found(
        item=item,
        rev=metadata.rev,
        content_hash=None if export_as else metadata.content_hash,
        export_as=export_as,
    )


def own_folder(metadata: Any) -> Item:
    """From the SDK's ``FolderMetadata``."""
    return Item(
        id=metadata.id,
        title=metadata.name,
        file_name=metadata.name,
        path=metadata.path_display,
        web_link=_page_of(metadata.path_display, is_folder=True),
        is_folder=True,
    )


def linked_file(metadata: Any, *, item_id: str) -> Found:
    """From the SDK's ``FileLinkMetadata``, which has no hash of the content."""
    item = Item(
        id=item_id,
        title=metadata.name,
        file_name=_file_name(metadata.name, None),
        version=SourceVersion(revision=metadata.rev, modified_at=_in_utc(metadata.server_modified)),
        size_bytes=metadata.size,
        web_link=item_id,
    )
    return Found(item=item, rev=metadata.rev)


def linked_entry(metadata: Any, *, link: Link, is_folder: bool) -> Item:
    """From the SDK's metadata in a listing of the linked folder, whose entries have no paths."""
    item_id = link.within(metadata.name)
    path = f"{link.path or ''}/{metadata.name}"
    if is_folder:
        return Item(
            id=item_id, title=metadata.name, file_name=metadata.name, path=path, is_folder=True
        )
    return replace(linked_file(metadata, item_id=item_id).item, path=path)


def is_readable(metadata: Any) -> bool:
    """Whether the importer reads files of this name, or of the format that it is exported as."""
    if metadata.is_downloadable:
        return has_known_extension(metadata.name)
    return _export_as(metadata) in KNOWN_EXTENSIONS


def is_same(revision: str | None, known: str | None) -> bool:
    """Whether two revisions hold the same content: a file that was moved has a new ``rev`` only."""
    if not revision or not known:
        return False
    content_hash = revision.partition(":")[2]
    return revision == known or bool(content_hash and content_hash == known.partition(":")[2])


def _export_as(metadata: Any) -> str | None:
    """Documents of other services (Google Sheets) have no bytes of their own."""
    if metadata.is_downloadable or not metadata.export_info:
        return None
    export_as: str | None = metadata.export_info.export_as
    return export_as


def _file_name(name: str, export_as: str | None) -> str:
    shown = str(PurePosixPath(name).with_suffix(f".{export_as}")) if export_as else name
    return safe_file_name(shown) or DEFAULT_FILE_NAME


def _in_utc(moment: datetime) -> datetime:
    """The SDK's moments are in UTC and do not say so."""
    return moment.replace(tzinfo=UTC)


def _page_of(path: str | None, *, is_folder: bool) -> str | None:
    """The page of one's own files that shows it; None where the path is not told."""
    if not path:
        return None
    folder, _, name = path.rpartition("/")
    page = f"https://www.dropbox.com/home{quote(path if is_folder else folder)}"
    return page if is_folder else f"{page}?{_WITHIN}={quote(name)}"
