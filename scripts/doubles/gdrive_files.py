"""What the double of Google Drive holds, and how a test or the demo changes it."""

from __future__ import annotations

import csv
import hashlib
import io
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import xlsxwriter

FOLDER = "application/vnd.google-apps.folder"
SHEET = "application/vnd.google-apps.spreadsheet"
SHORTCUT = "application/vnd.google-apps.shortcut"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CSV = "text/csv"

Sheets = Mapping[str, Sequence[Sequence[object]]]

_EPOCH = datetime(2026, 11, 1, 12, 0, 0, 500_000, tzinfo=UTC)


@dataclass(kw_only=True)
class StoredFile:
    id: str
    name: str
    mime_type: str
    parents: list[str]
    content: bytes | None = None
    exports: dict[str, bytes] = field(default_factory=dict)
    version: int = 1
    modified_at: datetime = _EPOCH
    revision_id: str = ""
    drive_id: str | None = None
    is_trashed: bool = False
    is_shared_with_me: bool = False
    resource_key: str | None = None
    needs_key: bool = False
    refusal: str | None = None
    """The reason why its content is not given out."""
    target: StoredFile | None = None
    next_content: bytes | None = None
    """What it is changed to as soon as somebody asks for its content."""
    root_id: str = ""

    @property
    def all_parents(self) -> list[str]:
        """With the alias of My Drive's own folder."""
        return [*self.parents, *(["root"] if self.root_id in self.parents else [])]

    def to_json(self, base_url: str) -> dict[str, Any]:
        """A ``File`` of the Drive API v3, all of it that the double knows."""
        answer: dict[str, Any] = {
            "kind": "drive#file",
            "id": self.id,
            "name": self.name,
            "mimeType": self.mime_type,
            "trashed": self.is_trashed,
            "version": str(self.version),
            "modifiedTime": self.modified_at.strftime("%Y-%m-%dT%H:%M:%S.")
            + f"{self.modified_at.microsecond // 1000:03}Z",
            "webViewLink": self._web_link(),
        }
        if not self.is_shared_with_me:  # the owner's folder is not the reader's to see
            answer["parents"] = self.parents
        if self.content is not None:
            answer["size"] = str(len(self.content))
            answer["md5Checksum"] = hashlib.md5(self.content, usedforsecurity=False).hexdigest()
            answer["sha256Checksum"] = hashlib.sha256(self.content).hexdigest()
            answer["headRevisionId"] = self.revision_id
        elif self.exports:
            answer["size"] = "1024"  # what it takes of the quota, not what an export has
            link = f"{base_url}/spreadsheets/export?id={self.id}&exportFormat="
            answer["exportLinks"] = {XLSX: f"{link}xlsx", CSV: f"{link}csv"}
        if self.drive_id:
            answer["driveId"] = self.drive_id
        if self.resource_key:
            answer["resourceKey"] = self.resource_key
        if self.target:
            answer["shortcutDetails"] = {
                "targetId": self.target.id,
                "targetMimeType": self.target.mime_type,
            }
            if self.target.resource_key:
                answer["shortcutDetails"]["targetResourceKey"] = self.target.resource_key
        return answer

    def _web_link(self) -> str:
        kind = "spreadsheets" if self.mime_type == SHEET else "file"
        host = "docs.google.com" if kind == "spreadsheets" else "drive.google.com"
        page = "edit" if kind == "spreadsheets" else "view"
        key = f"&resourcekey={self.resource_key}" if self.resource_key else ""
        return f"https://{host}/{kind}/d/{self.id}/{page}?usp=drivesdk{key}"


class Store:
    """My Drive, shared drives, and what others share with the account. Thread-safe."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.root_id = _new_id("0A")
        self.drives: dict[str, str] = {}
        self.files: dict[str, StoredFile] = {}
        self._ticks = 0
        self._add(id=self.root_id, name="My Drive", mime_type=FOLDER, parents=[])

    def put(
        self,
        name: str,
        content: bytes,
        *,
        parent: str | None = None,
        mime_type: str = "text/csv",
        is_shared_with_me: bool = False,
    ) -> str:
        """A new file, also where there is one of this name already. Returns its id."""
        return self._add(
            name=name,
            mime_type=mime_type,
            parents=["in-anothers-drive"] if is_shared_with_me else [parent or self.root_id],
            content=content,
            is_shared_with_me=is_shared_with_me,
        )

    def put_sheet(self, name: str, sheets: Sheets, *, parent: str | None = None) -> str:
        """A native spreadsheet: rows by the names of its sheets."""
        return self._add(
            id=_new_id("1S", length=44),
            name=name,
            mime_type=SHEET,
            parents=[parent or self.root_id],
            exports=_exports(sheets),
        )

    def put_folder(self, name: str, *, parent: str | None = None) -> str:
        return self._add(name=name, mime_type=FOLDER, parents=[parent or self.root_id])

    def put_document(self, name: str) -> str:
        """One of Google's own that is no spreadsheet."""
        kind = "application/vnd.google-apps.document"
        return self._add(name=name, mime_type=kind, parents=[self.root_id])

    def put_shortcut(self, name: str, target_id: str, *, parent: str | None = None) -> str:
        return self._add(
            name=name,
            mime_type=SHORTCUT,
            parents=[parent or self.root_id],
            target=self.files[target_id],
        )

    def put_shared_drive(self, name: str) -> str:
        """Its id is that of its topmost folder."""
        drive_id = _new_id("0B")
        with self.lock:
            self.drives[drive_id] = name
        return self._add(id=drive_id, name=name, mime_type=FOLDER, parents=[])

    def change(self, file_id: str, content: bytes) -> None:
        """A new revision of the same file."""
        with self.lock:
            file = self.files[file_id]
            file.content, file.revision_id = content, _new_id("0R")
            self._touch(file)

    def change_sheet(self, file_id: str, sheets: Sheets) -> None:
        with self.lock:
            self.files[file_id].exports = _exports(sheets)
            self._touch(self.files[file_id])

    def change_on_the_way(self, file_id: str, content: bytes) -> None:
        """A new revision as soon as somebody asks for the content."""
        with self.lock:
            self.files[file_id].next_content = content

    def rename(self, file_id: str, name: str) -> None:
        with self.lock:
            self.files[file_id].name = name
            self.files[file_id].version += 1

    def move(self, file_id: str, parent: str) -> None:
        with self.lock:
            self.files[file_id].parents = [parent]
            self.files[file_id].version += 1

    def trash(self, file_id: str, *, is_trashed: bool = True) -> None:
        with self.lock:
            self.files[file_id].is_trashed = is_trashed
            self.files[file_id].version += 1

    def delete(self, file_id: str) -> None:
        """For good; or no longer shared with the account: the API makes no difference."""
        with self.lock:
            del self.files[file_id]

    def refuse(self, file_id: str, reason: str | None) -> None:
        """Let nobody have its content, for this reason of Google's."""
        with self.lock:
            self.files[file_id].refusal = reason

    def share_by_link(self, file_id: str) -> str:
        """The link that alone opens the file from now on (a resource key)."""
        with self.lock:
            file = self.files[file_id]
            file.resource_key, file.needs_key = "0-" + secrets.token_urlsafe(16), True
            return str(file.to_json("")["webViewLink"])

    def take_next_content(self, file: StoredFile) -> None:
        """Carry out `change_on_the_way`."""
        with self.lock:
            if file.next_content is not None:
                content, file.next_content = file.next_content, None
                self.change(file.id, content)

    def _add(self, *, parents: list[str], **given: Any) -> str:
        with self.lock:
            given.setdefault("id", _new_id("1f"))
            file = StoredFile(
                parents=parents, root_id=self.root_id, revision_id=_new_id("0R"), **given
            )
            above = self.files.get(parents[0]) if parents else None
            inherited = above.drive_id if above else None
            file.drive_id = file.id if file.id in self.drives else inherited
            self._touch(file)
            self.files[file.id] = file
            return file.id

    def _touch(self, file: StoredFile) -> None:
        self._ticks += 1
        file.version += 1
        file.modified_at = _EPOCH + timedelta(seconds=self._ticks)


def _new_id(prefix: str, *, length: int = 33) -> str:
    return (prefix + secrets.token_urlsafe(length))[:length]


def _exports(sheets: Sheets) -> dict[str, bytes]:
    first = next(iter(sheets.values()))
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(first)
    return {XLSX: workbook(sheets), CSV: text.getvalue().encode()}


def workbook(sheets: Sheets) -> bytes:
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {"in_memory": True}) as workbook:
        workbook.set_properties({"created": _EPOCH.replace(tzinfo=None)})
        for name, rows in sheets.items():
            sheet = workbook.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    return content.getvalue()
