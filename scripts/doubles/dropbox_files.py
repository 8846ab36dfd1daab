"""What the double of Dropbox holds: files with their revisions, folders, shared links.

Paths here begin at the root of everything the user sees; case does not matter, but is kept. Change
it under ``lock``: requests read it from another thread.
"""

from __future__ import annotations

import hashlib
import itertools
import secrets
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime

_BLOCK_BYTES = 4 * 1024 * 1024


def content_hash(content: bytes) -> str:
    """Of each block the SHA-256, of all of them together the SHA-256.

    https://www.dropbox.com/developers/reference/content-hash
    """
    blocks = [
        hashlib.sha256(content[start : start + _BLOCK_BYTES]).digest()
        for start in range(0, len(content), _BLOCK_BYTES)
    ]
    return hashlib.sha256(b"".join(blocks)).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Revision:
    """One state of a file. ``served`` is what a download gives: the content, unless spoiled."""

    rev: str
    content: bytes
    served: bytes
    modified_at: datetime


@dataclass(kw_only=True)
class StoredFile:
    id: str
    path: str
    revisions: list[Revision]
    is_deleted: bool = False
    refusal: str | None = None
    """A tag of ``LookupError`` that every look at it meets."""
    export_as: str | None = None
    """A document of another service: no bytes of its own, only this export."""

    @property
    def now(self) -> Revision:
        return self.revisions[-1]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class StoredFolder:
    id: str
    path: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(kw_only=True)
class SharedLink:
    url: str
    path: str
    is_open: bool = True
    """False: only others than this account may follow it."""


@dataclass
class Files:
    """All of it, with what a test or a demo does to it."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    files: dict[str, StoredFile] = field(default_factory=dict)
    """By ID."""
    folders: dict[str, StoredFolder] = field(default_factory=dict)
    """By path in lower case."""
    links: dict[str, SharedLink] = field(default_factory=dict)
    """By URL without its query."""

    def __post_init__(self) -> None:
        self._numbers = itertools.count(0x5F1)

    def put(self, path: str, content: bytes, *, export_as: str | None = None) -> str:
        """A new file, or a new revision of the one that is there. Returns its ID."""
        with self.lock:
            known = self.find(path)
            if known:
                known.revisions.append(self._revision(content))
                return known.id
            self.make_folder(path.rpartition("/")[0])
            new = StoredFile(
                id=self._new_id(),
                path=path,
                revisions=[self._revision(content)],
                export_as=export_as,
            )
            self.files[new.id] = new
            return new.id

    def move(self, path: str, to: str) -> None:
        """The ID stays, the content too; ``rev`` is new."""
        with self.lock:
            moved = self._existing(path)
            self.make_folder(to.rpartition("/")[0])
            moved.path = to
            moved.revisions.append(self._revision(moved.now.content))

    def delete(self, path: str) -> None:
        with self.lock:
            self._existing(path).is_deleted = True

    def restore(self, path: str) -> None:
        with self.lock:
            for file in self.files.values():
                if file.path.lower() == path.lower():
                    file.is_deleted = False

    def refuse(self, path: str, tag: str) -> None:
        """Let every look at the file meet this tag of ``LookupError``."""
        with self.lock:
            self._existing(path).refusal = tag

    def spoil(self, path: str) -> None:
        """From now on downloads give other bytes than the hash says, as many as before."""
        with self.lock:
            now = self._existing(path).now
            spoilt = Revision(
                rev=now.rev,
                content=now.content,
                served=bytes(byte ^ 1 for byte in now.content),
                modified_at=now.modified_at,
            )
            self._existing(path).revisions[-1] = spoilt

    def make_folder(self, path: str) -> None:
        """The folder with all above it."""
        with self.lock:
            parts = [part for part in path.split("/") if part]
            for count in range(1, len(parts) + 1):
                above = "/" + "/".join(parts[:count])
                new = StoredFolder(id=self._new_id(), path=above)
                self.folders.setdefault(above.lower(), new)

    def share(self, path: str) -> str:
        """A link that everybody who has it may follow, also to a folder."""
        with self.lock:
            found = self.find(path)
            kind = "fi" if found else "fo"
            name = path.rpartition("/")[2]
            page = f"https://www.dropbox.com/scl/{kind}/{secrets.token_hex(6)}/{name}"
            url = f"{page}?rlkey=secret-rlkey-{secrets.token_hex(8)}&dl=0"
            self.links[page] = SharedLink(url=url, path=found.path if found else path)
            return url

    def unshare(self, url: str) -> None:
        with self.lock:
            del self.links[url.partition("?")[0]]

    def deny(self, url: str) -> None:
        """The link stays, but not for this account."""
        with self.lock:
            self.links[url.partition("?")[0]].is_open = False

    def find(self, path: str) -> StoredFile | None:
        """The file that is at this path now."""
        for file in self.files.values():
            if not file.is_deleted and file.path.lower() == path.lower():
                return file
        return None

    def find_folder(self, path_or_id: str) -> StoredFolder | None:
        for folder in self.folders.values():
            if path_or_id.lower() == folder.path.lower() or path_or_id == folder.id:
                return folder
        return None

    def find_deleted(self, path: str) -> StoredFile | None:
        """One that was at this path."""
        for file in self.files.values():
            if file.is_deleted and file.path.lower() == path.lower():
                return file
        return None

    def find_revision(self, rev: str) -> tuple[StoredFile, Revision] | None:
        """Also of a file that is deleted by now: Dropbox keeps them for a month."""
        for file in self.files.values():
            for revision in file.revisions:
                if revision.rev == rev:
                    return file, revision
        return None

    def below(self, path: str, *, recursive: bool) -> list[StoredFile | StoredFolder]:
        """What lies in a folder, in the order of paths."""
        start = f"{path.lower().rstrip('/')}/"
        everything: list[StoredFile | StoredFolder] = [
            *self.folders.values(),
            *(file for file in self.files.values() if not file.is_deleted),
        ]
        inside = [one for one in everything if one.path.lower().startswith(start)]
        if not recursive:
            inside = [one for one in inside if "/" not in one.path[len(start) :]]
        return sorted(inside, key=lambda one: one.path.lower())

    def _existing(self, path: str) -> StoredFile:
        found = self.find(path)
        if found is None:
            raise LookupError(path)
        return found

    def _revision(self, content: bytes) -> Revision:
        return Revision(
            rev=f"{next(self._numbers):09x}",
            content=content,
            served=content,
            modified_at=datetime.now(UTC).replace(microsecond=0),
        )

    def _new_id(self) -> str:
        return f"id:{secrets.token_urlsafe(16)}"
