"""One file as the Drive API describes it, and what that means for a sync. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from synctables.datasources.base import Item, SourceVersion
from synctables.datasources.file_names import DEFAULT_FILE_NAME, has_known_extension, safe_file_name
from synctables.datasources.gdrive.reference import FileId

FOLDER = "application/vnd.google-apps.folder"
SHEET = "application/vnd.google-apps.spreadsheet"
SHORTCUT = "application/vnd.google-apps.shortcut"
NATIVE_PREFIX = "application/vnd.google-apps."

FIELDS = (
    "id,name,mimeType,size,md5Checksum,headRevisionId,version,modifiedTime,trashed,parents,"
    "driveId,webViewLink,resourceKey,shortcutDetails(targetId,targetMimeType,targetResourceKey)"
)


@dataclass(frozen=True, kw_only=True)
class DriveFile:
    """``kind`` is the MIME type, of a shortcut that of its target; ``target`` leads there."""

    id: str
    name: str
    kind: str
    version: SourceVersion
    size_bytes: int | None = None
    md5: str | None = None
    is_trashed: bool = False
    parents: tuple[str, ...] = ()
    web_link: str | None = None
    resource_key: str | None = field(default=None, repr=False)
    target: FileId | None = None

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> DriveFile:
        """From a ``File`` of the Drive API v3, asked for with `FIELDS`."""
        shortcut: Mapping[str, Any] = answer.get("shortcutDetails") or {}
        target = shortcut.get("targetId")
        size = answer.get("size")
        kind = shortcut.get("targetMimeType") or answer["mimeType"]
        is_blob = not kind.startswith(NATIVE_PREFIX) and not target
        return cls(
            id=answer["id"],
            name=answer["name"],
            kind=kind,
            version=_version(answer),
            size_bytes=int(size) if is_blob and size is not None else None,
            md5=answer.get("md5Checksum"),
            is_trashed=bool(answer.get("trashed")),
            parents=tuple(answer.get("parents") or ()),
            web_link=answer.get("webViewLink"),
            resource_key=answer.get("resourceKey"),
            target=FileId(id=target, resource_key=shortcut.get("targetResourceKey"))
            if target
            else None,
        )

    @property
    def is_folder(self) -> bool:
        return self.kind == FOLDER

    @property
    def is_sheet(self) -> bool:
        return self.kind == SHEET

    @property
    def is_native(self) -> bool:
        """A document that only Google's own editors know: there are no bytes to download."""
        return self.kind.startswith(NATIVE_PREFIX)

    @property
    def is_readable(self) -> bool:
        """Whether the importer may read it, by its name."""
        return self.is_sheet or (not self.is_native and has_known_extension(self.name))

    @property
    def own_id(self) -> FileId:
        return FileId(id=self.id, resource_key=self.resource_key)

    @property
    def file_name(self) -> str:
        """A spreadsheet's is that of its export."""
        return self.exported_name("xlsx") if self.is_sheet else _safe(self.name)

    def exported_name(self, extension: str) -> str:
        return _safe(f"{self.name}.{extension}")

    def is_still(self, known: SourceVersion | None) -> bool:
        """Whether the known version says that nothing changed."""
        return bool(known and known.revision and known.revision == self.version.revision)

    def to_item(self, *, path: str | None = None) -> Item:
        """As people choose it; a shortcut to a folder is that folder."""
        is_folder = self.is_folder
        return Item(
            id=self.target.id if is_folder and self.target else self.id,
            title=self.name,
            file_name=self.name if is_folder else self.file_name,
            version=SourceVersion() if is_folder or self.target else self.version,
            size_bytes=self.size_bytes,
            path=path,
            web_link=self.web_link,
            is_folder=is_folder,
        )


def _version(answer: Mapping[str, Any]) -> SourceVersion:
    """By content where Google has a checksum of it, else by what it counts."""
    modified = answer.get("modifiedTime")
    if answer.get("md5Checksum"):
        revision = f"md5:{answer['md5Checksum']}"
    elif answer.get("headRevisionId"):
        revision = f"revision:{answer['headRevisionId']}"
    else:  # documents of Google's own: ``version`` counts what ``modifiedTime`` may not show
        revision = f"modified:{modified}/{answer.get('version')}"
    return SourceVersion(
        revision=revision, modified_at=datetime.fromisoformat(modified) if modified else None
    )


def _safe(name: str) -> str:
    return safe_file_name(name.replace("/", "_")) or DEFAULT_FILE_NAME
