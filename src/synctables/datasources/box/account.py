"""What one account can see in Box: items by id, path and link, folders, search, and bytes.

Every method blocks and raises a `RunError`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from box_sdk_gen import (
    BoxAPIError,
    BoxClient,
    FetchOptions,
    ResponseFormat,
    SearchForContentContentTypes,
    SearchForContentType,
)

from synctables.datasources.box.address import ROOT_ID, Address, parse_address, same_name
from synctables.datasources.box.answers import ask, header_seconds, stream
from synctables.datasources.box.entry import FIELDS, Entry, entry_of
from synctables.datasources.box.sdk import Network, StoredToken, open_network
from synctables.datasources.file_names import KNOWN_EXTENSIONS
from synctables.errors import (
    DatasourceConfigurationError,
    DatasourceConnectError,
    DatasourceReadError,
    DriveFileDeletedError,
)

if TYPE_CHECKING:
    from box_sdk_gen import FetchResponse, Items, SearchResults

    from synctables.datasources.drives.model import OAuthToken, Tokens
    from synctables.settings import Settings

_PAGE = 1000
_SEARCH_PAGE = 200
_LAST_OFFSET = 10_000
"""Box refuses to search beyond it."""
_ACCEPTED = 202
_PARTIAL = 206
_DENIED = "access_denied_insufficient_permissions"


class VersionChangedError(Exception):
    """Never leaves the datasource: the file is another one since the download began."""


@contextmanager
def open_account(
    settings: Settings,
    tokens: Tokens,
    refresh: Callable[[OAuthToken], OAuthToken],
    *,
    check: Callable[[], None],
) -> Iterator[Account]:
    """The account of ``tokens`` while the block runs. ``check`` raises when nobody waits."""
    with open_network(settings) as network:
        signed = StoredToken(tokens, refresh)
        yield Account(network, signed, endpoint=settings.box_endpoint, check=check)


class Account:
    """Box, as the owner of one token sees it. For one thread."""

    def __init__(
        self,
        network: Network,
        signed: StoredToken,
        *,
        endpoint: str | None,
        check: Callable[[], None],
    ) -> None:
        self._client = BoxClient(signed, network_session=network.session)
        self._last_answer = network.last
        self._own_host = urlsplit(endpoint or "").hostname
        self._check = check

    def find(self, item: str) -> Entry:
        """The file that a user named by id, path or link; trashed ones count as deleted."""
        address = parse_address(item, own_host=self._own_host)
        entry = self._follow(address)
        if entry.is_folder:
            raise DatasourceReadError(f"{entry.shown} is a folder of Box. Choose a file in it.")
        if entry.is_trashed:
            raise DriveFileDeletedError(f"{entry.shown} is in Box's trash.")
        return entry

    def children(self, folder: str) -> list[Entry]:
        """Everything directly in a folder named by id, path or link; "" is the root."""
        return list(self._children(self._folder(folder)))

    def everything(self) -> Iterator[Entry]:
        """Every file below the root, shared folders included.

        By walking: Box's search wants a word, and can list no files by their extension alone
        (https://github.com/box/box-java-sdk/issues/716).
        """
        waiting, known = deque([_root()]), {ROOT_ID}
        while waiting:
            for entry in self._children(waiting.popleft()):
                if not entry.is_folder:
                    yield entry
                elif entry.id not in known:
                    known.add(entry.id)
                    waiting.append(entry)

    def search(self, words: str) -> Iterator[Entry]:
        """Files whose name Box finds by ``words``; more than those that contain them.

        In lower case, and without quotes: ``OR``, ``NOT`` and quotation marks would be operators.
        """
        query = " ".join(words.replace('"', " ").lower().split())
        offset = 0
        while query and offset <= _LAST_OFFSET:
            page = self._search_page(query, offset)
            yield from _entries(page)
            offset += page.limit or _SEARCH_PAGE
            if offset >= (page.total_count or 0):
                return

    def content(self, entry: Entry, offset: int) -> Iterator[bytes]:
        """The bytes of the version that ``entry`` describes, from ``offset`` on.

        Raises `VersionChangedError` where the rest would be another version's.
        """
        if offset:
            self._check_unchanged(entry)
        answer = self._open(entry, offset)
        if offset and answer.status != _PARTIAL:
            raise DatasourceConnectError(f"Box does not go on with {entry.shown} in the middle.")
        yield from stream(entry.shown, self._last_answer.chunks())

    def _open(self, entry: Entry, offset: int) -> FetchResponse:
        """Not by the SDK's `download_file`, which gives no status: 206 and 202 are answers, too."""
        # A coded body could be neither resumed nor counted.
        headers = {"accept-encoding": "identity"}
        if offset:
            headers["range"] = f"bytes={offset}-"
        if way := _by_way_of(entry.shared_link):
            headers["boxapi"] = way
        options = FetchOptions(
            url=f"{self._client.network_session.base_urls.base_url}/2.0/files/{entry.id}/content",
            method="GET",
            headers=headers,
            response_format=ResponseFormat.BINARY,
        )

        def call() -> FetchResponse:
            try:
                return self._client.make_request(options)
            except BoxAPIError as error:
                if error.response_info.code == _DENIED and entry.may_download:
                    raise _scope_missing(entry) from None
                raise

        answer = ask(entry.shown, call)
        if answer.status == _ACCEPTED:
            raise DatasourceConnectError(
                f"{entry.shown} is not ready in Box yet.",
                http_status=_ACCEPTED,
                retry_after_seconds=header_seconds(answer.headers),
            )
        return answer

    def _check_unchanged(self, entry: Entry) -> None:
        """Box gives parts of whatever version is the newest."""
        if self._by_id(entry.id, entry.shared_link).revision != entry.revision:
            raise VersionChangedError

    def _follow(self, address: Address) -> Entry:
        if address.id:
            return self._by_id(address.id, address.shared_link)
        if address.shared_link:
            return self._by_link(address.shared_link)
        return self._by_path(address.path or ())

    def _by_id(self, number: str, link: str | None) -> Entry:
        def call() -> Entry:
            way = _by_way_of(link)
            return entry_of(self._client.files.get_file_by_id(number, fields=FIELDS, boxapi=way))

        self._check()
        return replace(ask(f"File {number}", call), shared_link=link)

    def _by_link(self, link: str) -> Entry:
        """One endpoint for files and folders, whose type the SDK keeps in either case."""

        def call() -> Entry:
            return entry_of(
                self._client.shared_links_files.find_file_for_shared_link(
                    f"shared_link={link}", fields=FIELDS
                )
            )

        self._check()
        return replace(ask(link, call), shared_link=link)

    def _by_path(self, path: tuple[str, ...]) -> Entry:
        """Level by level: Box knows no paths, and its search lags behind."""
        entry = _root()
        for name in path:
            found = (one for one in self._children(entry) if same_name(one.name) == name)
            entry = next(found, None) or _raise_nothing_at(path)
        return entry

    def _folder(self, folder: str) -> Entry:
        address = parse_address(folder or "/", own_host=self._own_host)
        if address.id:
            return replace(_root(), id=address.id, shared_link=address.shared_link, path=None)
        entry = self._follow(address)
        if not entry.is_folder:
            raise DatasourceReadError(f"{entry.shown} is no folder of Box.")
        return entry

    def _children(self, folder: Entry) -> Iterator[Entry]:
        """By markers, and by offsets where Box does not take the SDK's ``usemarker=True``."""
        marker: str | None = None
        count = 0
        while True:
            page = self._folder_page(folder, marker=marker, offset=count)
            entries = _entries(page)
            for one in entries:
                yield replace(one, shared_link=folder.shared_link)
            count += len(entries)
            marker = page.next_marker
            if not marker and (not entries or count >= (page.total_count or 0)):
                return

    def _folder_page(self, folder: Entry, *, marker: str | None, offset: int) -> Items:
        by_offset = bool(offset and not marker)

        def call() -> Items:
            return self._client.folders.get_folder_items(
                folder.id,
                fields=FIELDS,
                usemarker=None if by_offset else True,
                marker=marker,
                offset=offset if by_offset else None,
                limit=_PAGE,
                boxapi=_by_way_of(folder.shared_link),
            )

        self._check()
        return ask(f"Folder {folder.name or folder.id}", call)

    def _search_page(self, query: str, offset: int) -> SearchResults:
        def call() -> SearchResults:
            return self._client.search.search_for_content(  # type: ignore[return-value]
                query=query,
                type=SearchForContentType.FILE,
                content_types=[SearchForContentContentTypes.NAME],
                file_extensions=sorted(KNOWN_EXTENSIONS),
                fields=FIELDS,
                limit=_SEARCH_PAGE,
                offset=offset,
            )

        self._check()
        return ask("the search", call)


def _root() -> Entry:
    return Entry(id=ROOT_ID, name="", is_folder=True, path="")


def _entries(page: Items | SearchResults) -> list[Entry]:
    if page.entries is None:
        raise DatasourceConnectError("What came for a page of files is no answer of Box's.")
    found = page.entries
    return ask("a page of files", lambda: [entry_of(one) for one in found])


def _by_way_of(link: str | None) -> str | None:
    return f"shared_link={link}" if link else None


def _raise_nothing_at(path: tuple[str, ...]) -> Entry:
    raise DriveFileDeletedError(
        f"Nothing lies at /{'/'.join(path)} in Box any more: it was deleted, moved or renamed."
    )


def _scope_missing(entry: Entry) -> DatasourceConfigurationError:
    return DatasourceConfigurationError(
        f"Box lets the connected account download {entry.shown}, but not the app of this server. "
        "Its operator has to allow it to write, too: docs/guides/box.md says why.",
        http_status=403,
    )
