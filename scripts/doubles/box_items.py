"""What the double of Box holds: files and folders, as the API describes them.

Shapes from https://developer.box.com/reference/resources/file--full/ and its neighbours.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

ROOT = "0"
_EPOCH = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
_MINI = {
    "file": {"type", "id", "etag", "sequence_id", "sha1", "name", "file_version"},
    "folder": {"type", "id", "etag", "sequence_id", "name"},
}


_PERMISSIONS = (
    *("can_delete", "can_download", "can_invite_collaborator", "can_rename"),
    *("can_set_share_access", "can_share", "can_annotate", "can_comment", "can_preview"),
    *("can_upload", "can_view_annotations_all", "can_view_annotations_self"),
)


@dataclass(kw_only=True)
class Version:
    id: str
    content: bytes
    sha1: str


@dataclass(kw_only=True)
class Node:
    """One file (with its newest version) or one folder (without)."""

    id: str
    name: str
    parent: str | None
    modified_at: datetime
    version: Version | None = None
    etag: int = 0
    is_trashed: bool = False
    is_foreign: bool = False
    """Somebody else's: out of sight but for those who come by a link."""
    link: str | None = None
    link_password: str | None = None
    can_download: bool = True
    refusal: tuple[int, str, str] | None = None
    """Status, code and message that its content is answered with."""
    spoiled: bytes | None = None
    """Sent instead of the content, whose hash stays."""

    @property
    def kind(self) -> str:
        return "file" if self.version else "folder"


@dataclass(kw_only=True)
class Items:
    """The whole of one Box. A test changes it by these methods, from any thread."""

    nodes: dict[str, Node] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1_000_000_000)
        self._moments = itertools.count()
        self.nodes[ROOT] = Node(id=ROOT, name="All Files", parent=None, modified_at=_EPOCH)

    def put(self, path: str, content: bytes) -> str:
        """Upload a file, or a new version of it. Returns its id."""
        *folders, name = path.strip("/").split("/")
        with self.lock:
            parent = self.folder("/".join(folders))
            node = self.child(parent, name) or self._add(name, parent)
            self._write(node, content)
            return node.id

    def folder(self, path: str) -> str:
        """The id of a folder, made where it is missing. "" is the root."""
        with self.lock:
            number = ROOT
            for name in filter(None, path.strip("/").split("/")):
                found = self.child(number, name) or self._add(name, number)
                number = found.id
            return number

    def make(self, parent: str, name: str, content: bytes | None) -> str:
        """Add a file, or a folder where there is no content. Returns its id."""
        with self.lock:
            node = self._add(name, parent)
            if content is not None:
                self._write(node, content)
            return node.id

    def rename(self, number: str, name: str) -> None:
        """Another etag, the same content."""
        with self.lock:
            self._touch(self.nodes[number])
            self.nodes[number].name = name

    def write(self, number: str, content: bytes) -> None:
        """A new version."""
        with self.lock:
            self._write(self.nodes[number], content)

    def move(self, number: str, path: str) -> None:
        """Give an item another name and folder."""
        *folders, name = path.strip("/").split("/")
        with self.lock:
            self.nodes[number].parent = self.folder("/".join(folders))
            self.rename(number, name)

    def trash(self, number: str, *, is_trashed: bool = True) -> None:
        with self.lock:
            self._touch(self.nodes[number])
            self.nodes[number].is_trashed = is_trashed

    def purge(self, number: str) -> None:
        """Delete for good."""
        with self.lock:
            del self.nodes[number]

    def share(self, number: str, link: str, *, password: str | None = None) -> str:
        with self.lock:
            node = self.nodes[number]
            node.link, node.link_password = link, password
            return link

    def child(self, parent: str, name: str) -> Node | None:
        return next((one for one in self.children(parent) if one.name == name), None)

    def children(self, parent: str) -> list[Node]:
        """Folders first, by id: markers page through the root in no other order."""
        inside = [one for one in self.nodes.values() if one.parent == parent and not one.is_trashed]
        return sorted(inside, key=lambda one: (one.version is not None, one.id))

    def ancestors(self, node: Node) -> list[Node]:
        """From the root down, without the node itself."""
        above: list[Node] = []
        while node.parent is not None:
            node = self.nodes[node.parent]
            above.insert(0, node)
        return above

    def describe(self, node: Node, fields: str | None) -> dict[str, Any]:
        """As JSON: ``fields`` adds to the mini representation, without it all that is standard."""
        full = self._full(node)
        if not fields:
            full.pop("permissions", None)
            return full
        wanted = _MINI[node.kind] | set(fields.split(","))
        return {name: value for name, value in full.items() if name in wanted}

    def _full(self, node: Node) -> dict[str, Any]:
        above = [_folder_mini(one) for one in self.ancestors(node) if not one.is_foreign]
        full: dict[str, Any] = {
            "type": node.kind,
            "id": node.id,
            "sequence_id": str(node.etag) if node.id != ROOT else None,
            "etag": str(node.etag) if node.id != ROOT else None,
            "name": node.name,
            "path_collection": {"total_count": len(above), "entries": above},
            "modified_at": node.modified_at.isoformat(),
            "item_status": "trashed" if node.is_trashed else "active",
            "shared_link": _shared_link(node) if node.link else None,
            "permissions": dict.fromkeys(_PERMISSIONS, True) | {"can_download": node.can_download},
        }
        if node.version:
            version = node.version
            full |= {"size": len(version.content), "sha1": version.sha1}
            full["file_version"] = {"type": "file_version", "id": version.id, "sha1": version.sha1}
        return full

    def _add(self, name: str, parent: str) -> Node:
        node = Node(id=str(next(self._numbers)), name=name, parent=parent, modified_at=_EPOCH)
        self.nodes[node.id] = node
        return node

    def _write(self, node: Node, content: bytes) -> None:
        sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        node.version = Version(id=str(next(self._numbers)), content=content, sha1=sha1)
        self._touch(node)

    def _touch(self, node: Node) -> None:
        node.etag += 1
        node.modified_at = _EPOCH + timedelta(minutes=next(self._moments))


def _shared_link(node: Node) -> dict[str, Any]:
    return {
        "url": node.link,
        "download_url": None,
        "vanity_url": None,
        "access": "open",
        "effective_access": "open",
        "effective_permission": "can_download" if node.can_download else "can_preview",
        "is_password_enabled": node.link_password is not None,
        "unshared_at": None,
        "download_count": 0,
        "preview_count": 0,
        "permissions": {"can_preview": True, "can_download": node.can_download, "can_edit": False},
    }


def _folder_mini(node: Node) -> dict[str, Any]:
    return {"type": "folder", "id": node.id, "sequence_id": None, "etag": None, "name": node.name}
