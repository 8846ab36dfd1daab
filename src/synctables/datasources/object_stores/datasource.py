"""Objects as a datasource: an item is an address such as ``s3://bucket/key``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from synctables.datasources.base import Fetched, Item, NotModified, OnBytes, SourceVersion
from synctables.datasources.content_coding import coding_of, decode_in_place
from synctables.datasources.drives.transfer import CallOff, Expected, in_loop, in_thread, receive
from synctables.datasources.file_names import choose_file_name
from synctables.datasources.object_stores.listing import list_objects
from synctables.datasources.object_stores.objects import Body, StoredObject, is_same, version_of
from synctables.datasources.object_stores.store_errors import ChangedError
from synctables.datasources.object_stores.stores import open_store
from synctables.errors import DatasourceReadError, PartialFileError
from synctables.object_address import ObjectAddress, WrongObjectAddressError

if TYPE_CHECKING:
    from pathlib import Path

    from synctables.settings import Settings

_RETRIES = 3
_MAX_BEGINNINGS = 3


class ObjectStoreDatasource:
    """Objects in the places that the operator lists.

    ``retries``: how often the library repeats a request after a 5xx or a lost connection;
    ``backoff_seconds``: the pause before the first of a few attempts to go on with a broken body.
    """

    def __init__(
        self, settings: Settings, *, retries: int = _RETRIES, backoff_seconds: float = 0.5
    ) -> None:
        self._settings = settings
        self._retries = retries
        self._backoff_seconds = backoff_seconds

    async def probe(self, item: str, *, known: SourceVersion | None) -> Item | NotModified:
        """Ask for ETag, version id, time and size of the object. Raises a `RunError`."""
        stored = self._find(item)
        meta = await in_thread(lambda _: stored.describe())
        version = version_of(meta)
        if known and is_same(version, known):
            return NotModified(version=replace(version, content_sha256=known.content_sha256))
        name = _file_name(stored.address)
        return Item(
            id=str(stored.address),
            title=name,
            file_name=name,
            version=version,
            size_bytes=meta["size"],
            path=stored.address.key,
        )

    async def fetch(
        self, item: str, *, known: SourceVersion | None, into: Path, on_bytes: OnBytes
    ) -> Fetched | NotModified:
        """Bring the object into the folder ``into`` unless it still is ``known``.

        Not modified is what the store says (304, or the same ETag), or what the content shows.
        Raises a `RunError`.
        """
        stored = self._find(item)
        tell = in_loop(on_bytes)
        return await in_thread(lambda call_off: self._fetch(stored, known, into, tell, call_off))

    async def list(self, *, search: str | None = None, folder: str | None = None) -> list[Item]:
        """Files in the operator's places, by address; a folder is an address without its key's end.

        Raises a `RunError`.
        """
        return await in_thread(
            lambda call_off: list_objects(
                self._settings, search=search, folder=folder, retries=self._retries,
                call_off=call_off,
            )
        )  # fmt: skip

    def _find(self, item: str) -> StoredObject:
        """The object, if it lies in one of the places as they are listed now."""
        try:
            address = ObjectAddress.parse(item)
        except WrongObjectAddressError as error:
            raise DatasourceReadError(f"The address cannot be read: {error}.") from None
        if not any(place.holds(address) for place in self._settings.object_store_places):
            raise DatasourceReadError(
                f"{address} lies in none of the places that the operator lists in"
                " SYNCTABLES_OBJECT_STORE_PLACES."
            )
        store = open_store(address, self._settings, retries=self._retries)
        return StoredObject(store=store, address=address)

    def _fetch(
        self,
        stored: StoredObject,
        known: SourceVersion | None,
        into: Path,
        on_bytes: OnBytes,
        call_off: CallOff,
    ) -> Fetched | NotModified:
        for _ in range(_MAX_BEGINNINGS):
            try:
                return self._bring(stored, known, into, on_bytes, call_off)
            except ChangedError:
                call_off.check()
        raise PartialFileError(f"{stored.address} changed while it was fetched, again and again.")

    def _bring(
        self,
        stored: StoredObject,
        known: SourceVersion | None,
        into: Path,
        on_bytes: OnBytes,
        call_off: CallOff,
    ) -> Fetched | NotModified:
        opened = stored.open(known)
        if opened is None:
            return NotModified(version=known or SourceVersion())
        attributes = opened.attributes
        path = into / _file_name(stored.address, attributes.get("Content-Disposition"))
        coding = coding_of(attributes.get("Content-Encoding"))
        body = Body(stored, opened)
        received = receive(
            body.open_at,
            path,
            expected=Expected(size_bytes=body.meta["size"]),
            max_bytes=self._settings.max_file_bytes,
            on_bytes=on_bytes,
            call_off=call_off,
            backoff_seconds=self._backoff_seconds,
        )
        size_bytes, sha256 = received.size_bytes, received.sha256
        if coding:
            size_bytes, sha256 = decode_in_place(
                path, coding=coding, max_bytes=self._settings.max_file_bytes
            )
        version = replace(version_of(body.meta), content_sha256=sha256)
        if known and known.content_sha256 == sha256:
            path.unlink()
            return NotModified(version=version)
        return Fetched(
            path=path,
            file_name=path.name,
            content_type=attributes.get("Content-Type"),
            size_bytes=size_bytes,
            version=version,
        )


def _file_name(address: ObjectAddress, content_disposition: str | None = None) -> str:
    url = f"{address.store}://{address.bucket}/{quote(address.key)}"
    return choose_file_name(content_disposition=content_disposition, final_url=url, first_url=url)
