"""What a ``service_item_id`` of Google Drive may be: an id, a link, or a path. Pure.

A path begins with ``/``, or is anything that can be no id. It starts in My Drive; below
``/Shared drives/`` the name of a shared drive comes next.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from synctables.errors import DatasourceReadError

_ID = re.compile(r"[\w-]{10,}|root", re.ASCII)
_IN_LINK = re.compile(r"/(?:d|folders)/(?P<id>[\w-]{10,})(?=/|$)", re.ASCII)
_KEY = re.compile(r"[\w-]*", re.ASCII)
_HOSTS = ("drive.google.com", "docs.google.com")


@dataclass(frozen=True, kw_only=True)
class FileId:
    """``resource_key`` opens files that are shared by an older kind of link: no secret to log."""

    id: str
    resource_key: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"file {self.id}"


@dataclass(frozen=True)
class FilePath:
    """Names of folders, then of the file; at least one."""

    segments: tuple[str, ...]

    def __str__(self) -> str:
        return f"file {self.text}"

    @property
    def text(self) -> str:
        return "/" + "/".join(self.segments)


def parse_reference(item: str) -> FileId | FilePath:
    """Raises `DatasourceReadError` for a link to elsewhere, and where nothing is left."""
    text = item.strip()
    if text.lower().startswith(("https://", "http://")):
        return _parse_link(text)
    if _ID.fullmatch(text):
        return FileId(id=text)
    segments = tuple(segment for segment in text.split("/") if segment)
    if not segments:
        raise DatasourceReadError("No file of Google Drive is named. Choose one.")
    return FilePath(segments)


def _parse_link(text: str) -> FileId:
    wrong = DatasourceReadError("This is not the link of a file in Google Drive.")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise wrong from None
    query = parse_qs(parts.query)
    found = _IN_LINK.search(parts.path)
    file_id = found["id"] if found else query.get("id", [""])[0]
    key = query.get("resourcekey", [None])[0]
    # The key goes into a header: nothing that could end one.
    if parts.hostname not in _HOSTS or not _ID.fullmatch(file_id) or not _KEY.fullmatch(key or ""):
        raise wrong
    return FileId(id=file_id, resource_key=key)
