"""Files in one account's Box as a datasource."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from synctables.datasources.base import Fetched, Item, NotModified, OnBytes, SourceVersion
from synctables.datasources.box.account import Account, VersionChangedError, open_account
from synctables.datasources.box.address import same_name
from synctables.datasources.box.entry import Entry
from synctables.datasources.drives.transfer import (
    CallOff,
    Expected,
    in_loop,
    in_thread,
    receive,
)
from synctables.datasources.file_names import has_known_extension
from synctables.errors import DatasourceConnectError, DatasourceReadError, PartialFileError

if TYPE_CHECKING:
    from pathlib import Path

    from synctables.datasources.drives.model import OAuthClient, Tokens
    from synctables.settings import Settings

_SITE = "https://app.box.com"
_MOST_BEGINNINGS = 3

Result = TypeVar("Result")


class BoxDatasource:
    """See `Datasource`. An item is an id, a path that begins with a slash, or a link of Box's.

    ``backoff_seconds``: the pause before a broken download goes on for the first time.
    """

    def __init__(
        self,
        settings: Settings,
        tokens: Tokens,
        oauth: OAuthClient,
        *,
        backoff_seconds: float = 0.5,
    ) -> None:
        self._settings = settings
        self._tokens = tokens
        self._oauth = oauth
        self._backoff_seconds = backoff_seconds
        self._site = (settings.box_endpoint or _SITE).rstrip("/")

    async def probe(self, item: str, *, known: SourceVersion | None) -> Item | NotModified:
        """Ask what Box knows of ``item``; never its bytes. Raises a `RunError`."""
        entry = await self._ask(lambda account, _: account.find(item))
        return _confirmed(entry, known) or entry.as_item(site=self._site, asked_as=item)

    async def fetch(
        self, item: str, *, known: SourceVersion | None, into: Path, on_bytes: OnBytes
    ) -> Fetched | NotModified:
        """Bring the file unless its version or its content is ``known``. Raises a `RunError`.

        A file that changes on its way is begun anew, a few times.
        """
        tell = in_loop(on_bytes)

        def bring(account: Account, call_off: CallOff) -> Fetched | NotModified:
            entry = account.find(item)
            for _ in range(_MOST_BEGINNINGS):
                if confirmed := _confirmed(entry, known):
                    return confirmed
                before = entry.revision
                try:
                    return _judged(self._download(account, entry, into, tell, call_off), known)
                except PartialFileError:
                    entry = account.find(item)
                    if entry.revision == before:
                        raise
                except VersionChangedError:
                    entry = account.find(item)
            raise DatasourceConnectError(f"{entry.shown} changes in Box faster than it can come.")

        return await self._ask(bring)

    async def list(self, *, search: str | None = None, folder: str | None = None) -> list[Item]:
        """Files that the importer reads: in a folder (with its folders), by name, or all.

        Sorted by name, folders first. Raises a `RunError`.
        """
        entries = await self._ask(lambda account, _: _select(account, search, folder))
        return [entry.as_item(site=self._site) for entry in entries]

    def _download(
        self,
        account: Account,
        entry: Entry,
        into: Path,
        on_bytes: OnBytes,
        call_off: CallOff,
    ) -> Fetched:
        if entry.may_download is False:
            raise DatasourceReadError(
                f"The connected account may look at {entry.shown} in Box, but not download it."
            )
        path = into / entry.file_name
        received = receive(
            partial(account.content, entry),
            path,
            expected=Expected(
                size_bytes=entry.size_bytes,
                digest=entry.sha1,
                new_hash=partial(hashlib.sha1, usedforsecurity=False),
            ),
            max_bytes=self._settings.max_file_bytes,
            on_bytes=on_bytes,
            call_off=call_off,
            backoff_seconds=self._backoff_seconds,
        )
        return Fetched(
            path=path,
            file_name=entry.file_name,
            content_type=None,
            size_bytes=received.size_bytes,
            version=replace(entry.version, content_sha256=received.sha256),
            web_link=entry.as_item(site=self._site).web_link,
        )

    async def _ask(self, call: Callable[[Account, CallOff], Result]) -> Result:
        def in_account(call_off: CallOff) -> Result:
            with open_account(
                self._settings, self._tokens, self._oauth.refresh, check=call_off.check
            ) as account:
                return call(account, call_off)

        return await in_thread(in_account)


def _confirmed(entry: Entry, known: SourceVersion | None) -> NotModified | None:
    if known is None or entry.revision is None or known.revision != entry.revision:
        return None
    return NotModified(version=replace(entry.version, content_sha256=known.content_sha256))


def _judged(fetched: Fetched, known: SourceVersion | None) -> Fetched | NotModified:
    if known and known.content_sha256 == fetched.version.content_sha256:
        fetched.path.unlink()
        return NotModified(version=fetched.version)
    return fetched


def _select(account: Account, search: str | None, folder: str | None) -> list[Entry]:
    if folder is not None:
        entries = iter(account.children(folder))
    elif search:
        entries = account.search(search)
    else:
        entries = account.everything()
    chosen = {entry.id: entry for entry in entries if _is_choosable(entry, search)}
    return sorted(chosen.values(), key=_order)


def _is_choosable(entry: Entry, search: str | None) -> bool:
    if entry.is_trashed or not (entry.is_folder or has_known_extension(entry.name)):
        return False
    return not search or same_name(search).casefold() in same_name(entry.name).casefold()


def _order(entry: Entry) -> tuple[bool, str, str]:
    return (not entry.is_folder, same_name(entry.name).casefold(), entry.id)
