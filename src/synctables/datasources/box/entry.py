"""What Box says of one file or folder, and what of it is ours to know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from synctables.datasources.base import Item, SourceVersion
from synctables.datasources.file_names import DEFAULT_FILE_NAME, safe_file_name

if TYPE_CHECKING:
    from box_sdk_gen import BaseObject

FIELDS = [
    *("type", "id", "name", "size", "sha1", "file_version", "modified_at"),
    *("item_status", "path_collection", "permissions"),
]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One item of Box. ``path`` from the root, "" for the root itself; None: out of sight.

    ``shared_link``: the link by which alone the account can reach it.
    """

    id: str
    name: str
    is_folder: bool = False
    size_bytes: int | None = None
    sha1: str | None = None
    version_id: str | None = None
    modified_at: datetime | None = None
    path: str | None = None
    is_trashed: bool = False
    may_download: bool | None = None
    shared_link: str | None = None

    @property
    def shown(self) -> str:
        """As messages name it."""
        return f"'{self.name}'"

    @property
    def revision(self) -> str | None:
        """Which content it is. Not Box's etag, which a new name or description changes, too."""
        return f"{self.version_id or ''}:{self.sha1}" if self.sha1 else None

    @property
    def version(self) -> SourceVersion:
        if self.is_folder:
            return SourceVersion()
        return SourceVersion(revision=self.revision, modified_at=self.modified_at)

    @property
    def file_name(self) -> str:
        return safe_file_name(self.name) or DEFAULT_FILE_NAME

    def as_item(self, *, site: str, asked_as: str | None = None) -> Item:
        """For users. ``site`` is where people open Box; ``asked_as`` stays the id of who asked."""
        kind = "folder" if self.is_folder else "file"
        page = f"{self.shared_link or site}/{kind}/{self.id}"
        return Item(
            id=asked_as or (page if self.shared_link else self.id),
            title=self.name,
            file_name=self.file_name,
            version=self.version,
            size_bytes=self.size_bytes,
            path=self.path,
            web_link=page,
            is_folder=self.is_folder,
        )


def entry_of(answer: BaseObject) -> Entry:
    """Read an object of the SDK, of which any field but the id may be missing.

    The name is never ''. Raises `TypeError` where it is none.
    """
    fields = vars(answer)
    number = _text(fields.get("id"))
    if not number:
        raise TypeError("an item has an id")
    name = _text(fields.get("name")) or number
    return Entry(
        id=number,
        name=name,
        is_folder=_text(fields.get("type")) != "file",
        size_bytes=_size(fields.get("size")),
        sha1=_text(fields.get("sha_1")),
        version_id=_text(_part(fields.get("file_version"), "id")),
        modified_at=_moment(fields.get("modified_at")),
        path=_path(fields.get("path_collection"), name),
        is_trashed=_text(fields.get("item_status")) in ("trashed", "deleted"),
        may_download=_part(fields.get("permissions"), "can_download"),
    )


def _part(value: Any, name: str) -> Any:
    """The SDK leaves a nested object as JSON where Box left out a field that it thinks is there."""
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def _text(value: Any) -> str | None:
    """Also an enumeration's value; Box's own None may be an object of the SDK's."""
    return str(getattr(value, "value", value)) if isinstance(value, str) else None


def _size(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def _moment(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) else None


def _path(ancestors: Any, name: str) -> str | None:
    """Begins below "All Files"; an item seen by a link only has no ancestors there."""
    entries = _part(ancestors, "entries")
    if not entries:
        return None
    names = [str(_part(one, "name") or "") for one in entries[1:]]
    return "/" + "/".join([*names, name])
