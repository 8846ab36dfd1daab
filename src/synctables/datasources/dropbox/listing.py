"""The files of an account that the importer reads: folders, links, everywhere, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from synctables.datasources.dropbox.failures import CursorResetError
from synctables.datasources.dropbox.items import (
    Link,
    Place,
    is_readable,
    linked_entry,
    own_file,
    own_folder,
    parse_place,
)
from synctables.datasources.file_names import KNOWN_EXTENSIONS
from synctables.errors import DatasourceConnectError

if TYPE_CHECKING:
    from synctables.datasources.base import Item
    from synctables.datasources.drives.transfer import CallOff
    from synctables.datasources.dropbox.account import Visit

_MAX_BEGINNINGS = 3
_MATCHES_A_PAGE = 1000
_LONGEST_QUERY = 1000
_SEARCHED_EXTENSIONS = sorted([*KNOWN_EXTENSIONS, "gsheet"])


def list_items(
    visit: Visit, *, search: str | None, folder: str | None, call_off: CallOff
) -> list[Item]:
    """See `Datasource.list`. Blocks."""
    if folder is not None:
        items = _in_folder(visit, folder, call_off)
    elif search:
        items = _by_name(visit, search, call_off)
    else:
        items = _everywhere(visit, call_off)
    wanted = (search or "").casefold()
    found = {item.id: item for item in items if wanted in item.title.casefold()}
    return sorted(found.values(), key=_order)


def _order(item: Item) -> tuple[bool, str, str]:
    return (not item.is_folder, (item.path or item.title).casefold(), item.id)


def _in_folder(visit: Visit, folder: str, call_off: CallOff) -> list[Item]:
    from dropbox.files import FileMetadata, FolderMetadata, SharedLink

    place = parse_place(folder)
    if isinstance(place, Link):
        link = place
        entries = _entries(
            visit,
            lambda client: client.files_list_folder(
                link.path or "", shared_link=SharedLink(link.url)
            ),
            about=link.about,
            call_off=call_off,
        )
        return [
            linked_entry(entry, link=link, is_folder=isinstance(entry, FolderMetadata))
            for entry in entries
            if isinstance(entry, FolderMetadata)
            or (isinstance(entry, FileMetadata) and is_readable(entry))
        ]
    return _own(visit, place, call_off, recursive=False)


def _everywhere(visit: Visit, call_off: CallOff) -> list[Item]:
    items = _own(visit, Place(path=""), call_off, recursive=True)
    return [item for item in items if not item.is_folder]


def _own(visit: Visit, place: Place, call_off: CallOff, *, recursive: bool) -> list[Item]:
    entries = _entries(
        visit,
        lambda client: client.files_list_folder(place.path, recursive=recursive),
        about=place.about,
        call_off=call_off,
    )
    return list(_items_of(entries))


def _items_of(entries: list[Any]) -> Iterator[Item]:
    from dropbox.files import FileMetadata, FolderMetadata

    for entry in entries:
        if isinstance(entry, FolderMetadata):
            yield own_folder(entry)
        elif isinstance(entry, FileMetadata) and is_readable(entry):
            yield own_file(entry).item


def _entries(
    visit: Visit, begin: Callable[[Any], Any], *, about: str, call_off: CallOff
) -> list[Any]:
    """All pages; from the first again where Dropbox gives up the cursor (``reset``)."""
    for _ in range(_MAX_BEGINNINGS):
        try:
            return _pages(visit, begin, about=about, call_off=call_off)
        except CursorResetError:
            continue
    raise DatasourceConnectError(f"{about} changes too fast in Dropbox to be listed.")


def _pages(
    visit: Visit, begin: Callable[[Any], Any], *, about: str, call_off: CallOff
) -> list[Any]:
    page = visit.call(begin, about=about)
    entries = list(page.entries)
    while page.has_more:
        call_off.check()
        cursor = page.cursor
        page = visit.call(_following(cursor), about=about)
        entries += page.entries
    return entries


def _following(cursor: str) -> Callable[[Any], Any]:
    return lambda client: client.files_list_folder_continue(cursor)


def _by_name(visit: Visit, search: str, call_off: CallOff) -> list[Item]:
    """Dropbox's own search, which finds words and beginnings of words, 10,000 files at most."""
    from dropbox.files import SearchOptions

    about = f"files called {search!r}"
    options = SearchOptions(
        max_results=_MATCHES_A_PAGE, filename_only=True, file_extensions=_SEARCHED_EXTENSIONS
    )
    page = visit.call(
        lambda client: client.files_search_v2(search[:_LONGEST_QUERY], options=options),
        about=about,
    )
    matches = list(page.matches)
    while page.has_more:
        call_off.check()
        page = visit.call(_more_matches(page.cursor), about=about)
        matches += page.matches
    entries = [m.metadata.get_metadata() for m in matches if m.metadata.is_metadata()]
    return [item for item in _items_of(entries) if not item.is_folder]


def _more_matches(cursor: str) -> Callable[[Any], Any]:
    return lambda client: client.files_search_continue_v2(cursor)
