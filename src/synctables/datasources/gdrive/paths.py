"""From a path to what lies there, folder by folder.

Names in Google Drive are not unique. Folders of one name are all looked into, and of several files
the newest is taken: whoever uploads a new version of a file beside the old one means the new one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime

from synctables.datasources.gdrive.client import DriveClient
from synctables.datasources.gdrive.drive_file import DriveFile
from synctables.datasources.gdrive.reference import FilePath
from synctables.errors import DriveFileDeletedError

SHARED_DRIVES = "Shared drives"
ROOT = "root"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_PARENTS_AT_ONCE = 50


def find_file(client: DriveClient, path: FilePath) -> DriveFile:
    """The newest file there; raises `DriveFileDeletedError` where there is none."""
    *folders, name = path.segments
    parents = find_folders(client, folders)
    found = [one for one in _children(client, parents, name) if not one.is_folder]
    if not found:
        raise DriveFileDeletedError(f"There is no {path} in Google Drive.")
    return max(found, key=lambda one: (one.version.modified_at or _LONG_AGO, one.id))


def find_folders(client: DriveClient, segments: Sequence[str]) -> list[str]:
    """The ids of all folders at this path; none where there is none."""
    found = _walk(client, [ROOT], segments)
    if not found and len(segments) > 1 and segments[0] == SHARED_DRIVES:
        drives = [
            drive_id
            for drive_id, name in client.shared_drives().items()
            if _same(name, segments[1])
        ]
        found = _walk(client, drives, segments[2:])
    return found


def quoted(text: str) -> str:
    """A string of Drive's query language."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _walk(client: DriveClient, parents: list[str], segments: Sequence[str]) -> list[str]:
    for segment in segments:
        folders = [one for one in _children(client, parents, segment) if one.is_folder]
        parents = [one.target.id if one.target else one.id for one in folders]
    return parents


def _children(client: DriveClient, parents: Sequence[str], name: str) -> list[DriveFile]:
    found: list[DriveFile] = []
    for start in range(0, len(parents), _PARENTS_AT_ONCE):
        some = parents[start : start + _PARENTS_AT_ONCE]
        inside = " or ".join(f"{quoted(parent)} in parents" for parent in some)
        named = " or ".join(f"name = {quoted(spelling)}" for spelling in _spellings(name))
        found += client.files(f"({inside}) and ({named}) and trashed = false")
    return [one for one in found if _same(one.name, name)]


def _spellings(name: str) -> list[str]:
    """Drive keeps names as they were typed, and macOS types accents as marks of their own."""
    return sorted({name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))})


def _same(one: str, other: str) -> bool:
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
