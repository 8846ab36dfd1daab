"""What lies in the operator's places, to the last page. Blocks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from synctables.datasources.base import Item
from synctables.datasources.file_names import has_known_extension
from synctables.datasources.object_stores.objects import StoredObject, version_of
from synctables.datasources.object_stores.store_errors import store_errors
from synctables.datasources.object_stores.stores import open_store
from synctables.errors import DatasourceReadError, FileNotFoundAtSourceError
from synctables.object_address import ObjectAddress, Place, WrongObjectAddressError

if TYPE_CHECKING:
    from obstore import ObjectMeta

    from synctables.datasources.drives.transfer import CallOff
    from synctables.datasources.object_stores.stores import BucketStore
    from synctables.settings import Settings


def list_objects(
    settings: Settings, *, search: str | None, folder: str | None, retries: int, call_off: CallOff
) -> list[Item]:
    """Files and, with ``folder``, the folders in it, by address. Raises a `RunError`.

    ``folder`` ``""`` is above all places: they are its folders.
    """
    places = settings.object_store_places
    if folder == "":
        found = iter([_folder(place) for place in places])
    elif folder is not None:
        found = _list_folder(_find_folder(folder, places), settings, retries)
    else:
        found = (item for one in places for item in _list_all(one, settings, retries, call_off))
    wanted = (search or "").casefold()
    items = {item.id: item for item in found if wanted in item.title.casefold()}
    return [items[address] for address in sorted(items)]


def _find_folder(folder: str, places: tuple[Place, ...]) -> Place:
    try:
        wanted = Place.parse(folder)
    except WrongObjectAddressError as error:
        raise DatasourceReadError(f"The folder cannot be read: {error}.") from None
    if not any(place.holds(wanted) for place in places):
        raise DatasourceReadError(
            f"{wanted} lies in none of the places that the operator lists in"
            " SYNCTABLES_OBJECT_STORE_PLACES."
        )
    return wanted


def _list_folder(place: Place, settings: Settings, retries: int) -> Iterator[Item]:
    store = open_store(place, settings, retries=retries)
    with store_errors(place):
        listed = store.list_with_delimiter(place.prefix or None)
    for prefix in listed["common_prefixes"]:
        yield _folder(Place(store=place.store, bucket=place.bucket, segments=_split(prefix)))
    yield from _files(place, listed["objects"])


def _list_all(place: Place, settings: Settings, retries: int, call_off: CallOff) -> Iterator[Item]:
    store = open_store(place, settings, retries=retries)
    if place.segments and has_known_extension(place.segments[-1]):
        yield from _single(place, store)
    with store_errors(place):
        for page in store.list(place.prefix or None):
            call_off.check()
            yield from _files(place, page)


def _single(place: Place, store: BucketStore) -> Iterator[Item]:
    """The place itself, where it is an object: below it there is nothing."""
    address = ObjectAddress(store=place.store, bucket=place.bucket, key=place.prefix)
    with contextlib.suppress(FileNotFoundAtSourceError):
        yield from _files(place, [StoredObject(store=store, address=address).describe()])


def _files(place: Place, metas: Iterable[ObjectMeta]) -> Iterator[Item]:
    for meta in metas:
        key = meta["path"]
        name = key.rpartition("/")[2]
        if has_known_extension(name):
            yield Item(
                id=f"{place.store}://{place.bucket}/{key}",
                title=name,
                file_name=name,
                version=version_of(meta),
                size_bytes=meta["size"],
                path=key,
            )


def _folder(place: Place) -> Item:
    name = place.segments[-1] if place.segments else place.bucket
    return Item(id=str(place), title=name, file_name=name, path=place.prefix, is_folder=True)


def _split(prefix: str) -> tuple[str, ...]:
    return tuple(prefix.strip("/").split("/"))
