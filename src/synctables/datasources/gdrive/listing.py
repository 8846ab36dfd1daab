"""The files of an account that the importer reads, to choose from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from synctables.datasources.base import Item
from synctables.datasources.gdrive.client import DriveClient
from synctables.datasources.gdrive.drive_file import DriveFile
from synctables.datasources.gdrive.paths import ROOT, SHARED_DRIVES, find_folders, quoted
from synctables.datasources.gdrive.reference import FileId, FilePath, parse_reference
from synctables.errors import DriveFileDeletedError

_NO_TABLES = " and ".join(
    f"not mimeType contains '{kind}/'" for kind in ("image", "video", "audio")
)
_DEEPEST = 100
"""Drive allows no deeper folders."""


def list_items(client: DriveClient, *, search: str | None, folder: str | None) -> list[Item]:
    """See `Datasource.list`. Drive searches by beginnings of words only, so we look ourselves."""
    found = _everything(client) if folder is None else _inside(client, folder)
    wanted = (search or "").casefold()
    items = [item for item in found if wanted in item.title.casefold()]
    return sorted(
        items, key=lambda item: (not item.is_folder, item.path or item.title, item.title, item.id)
    )


def _everything(client: DriveClient) -> Iterable[Item]:
    """All files with their paths, from one listing of files and folders together."""
    files = client.files(f"trashed = false and {_NO_TABLES}")
    folders = {one.id: one for one in files if one.is_folder and not one.target}
    tops = {
        client.file(FileId(id=ROOT)).id: "",
        **{
            drive_id: f"/{SHARED_DRIVES}/{name}"
            for drive_id, name in client.shared_drives().items()
        },
    }
    for one in files:
        if one.is_readable:
            yield one.to_item(path=_path(one, folders, tops))


def _path(one: DriveFile, folders: Mapping[str, DriveFile], tops: Mapping[str, str]) -> str | None:
    """None where a folder on the way is not this account's to see, as for what others share."""
    names = [one.name]
    for _ in range(_DEEPEST):
        parent = one.parents[0] if one.parents else ""
        if parent in tops:
            return "/".join([tops[parent], *reversed(names)])
        if parent not in folders:
            return None
        one = folders[parent]
        names.append(one.name)
    return None


def _inside(client: DriveClient, folder: str) -> Iterable[Item]:
    if folder.strip("/ ") == "":
        yield from _at_the_top(client)
        return
    which = parse_reference(folder)
    if isinstance(which, FilePath):
        parents, prefix = find_folders(client, which.segments), which.text
    else:
        parents, prefix = [which.id], None
    if not parents:
        raise DriveFileDeletedError(f"There is no folder {folder} in Google Drive.")
    for parent in parents:
        yield from _children(client, f"{quoted(parent)} in parents", prefix)


def _at_the_top(client: DriveClient) -> Iterable[Item]:
    """My Drive, what others share with the account, and the shared drives as folders."""
    yield from _children(client, f"'{ROOT}' in parents", "")
    yield from _children(client, "sharedWithMe = true", None)
    for drive_id, name in client.shared_drives().items():
        path = f"/{SHARED_DRIVES}/{name}"
        yield Item(id=drive_id, title=name, file_name=name, path=path, is_folder=True)


def _children(client: DriveClient, query: str, prefix: str | None) -> Iterable[Item]:
    for one in client.files(f"{query} and trashed = false and {_NO_TABLES}"):
        if one.is_folder or one.is_readable:
            yield one.to_item(path=None if prefix is None else f"{prefix}/{one.name}")
