"""Box, at the double and (``make test-live``) at Box itself: the same promises at both."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from synctables.datasources.base import NotModified, SourceVersion
from synctables.errors import DatasourceReadError, DriveFileDeletedError

if TYPE_CHECKING:
    from tests.support.clouds_box import BoxPlace

CITIES = b"name,lat,lon\nJena,50.9,11.6\n"
MORE_CITIES = CITIES + "Zürich,47.4,8.5\n".encode()


async def test_a_file_comes_with_what_box_says_of_it(box_place: BoxPlace) -> None:
    number = box_place.put("cities.csv", CITIES)
    fetched = await box_place.fetcher.file(number)
    assert fetched.path.read_bytes() == CITIES
    assert fetched.file_name == "cities.csv"
    assert fetched.size_bytes == len(CITIES)
    assert fetched.version.content_sha256 == hashlib.sha256(CITIES).hexdigest()
    assert fetched.version.modified_at is not None
    assert fetched.web_link is not None
    assert fetched.web_link.endswith(f"/file/{number}")
    assert box_place.fetcher.progress[-1] == (len(CITIES), len(CITIES))


async def test_what_did_not_change_is_not_brought_again(box_place: BoxPlace) -> None:
    number = box_place.put("cities.csv", CITIES)
    fetched = await box_place.fetcher.file(number)
    fetched.path.unlink()
    again = await box_place.fetcher.fetch(number, fetched.version)
    assert again == NotModified(version=fetched.version)
    assert not fetched.path.exists()
    probed = await box_place.fetcher.datasource.probe(number, known=fetched.version)
    assert probed == NotModified(version=fetched.version)


async def test_what_changed_is_brought(box_place: BoxPlace) -> None:
    number = box_place.put("cities.csv", CITIES)
    first = await box_place.fetcher.file(number)
    box_place.write(number, MORE_CITIES)
    second = await box_place.fetcher.file(number, first.version)
    assert second.path.read_bytes() == MORE_CITIES
    assert second.version.revision != first.version.revision


async def test_another_name_is_no_change(box_place: BoxPlace) -> None:
    number = box_place.put("cities.csv", CITIES)
    first = await box_place.fetcher.file(number)
    box_place.rename(number, "towns.csv")
    assert isinstance(await box_place.fetcher.fetch(number, first.version), NotModified)
    assert (await box_place.fetcher.item(number)).file_name == "towns.csv"


async def test_a_new_version_with_the_same_content_is_not_modified(box_place: BoxPlace) -> None:
    number = box_place.put("cities.csv", CITIES)
    first = await box_place.fetcher.file(number)
    known = SourceVersion(revision="older", content_sha256=first.version.content_sha256)
    again = await box_place.fetcher.fetch(number, known)
    assert again == NotModified(version=first.version)


NAMES = ["cities.csv", "Straßen Köln.csv", "東京.geojson", "a + b & c%20d#1.csv", "مدن.csv"]


@pytest.mark.parametrize("name", NAMES)
async def test_a_file_is_found_by_its_path(box_place: BoxPlace, name: str) -> None:
    number = box_place.put(name, CITIES)
    item = await box_place.fetcher.item(f"{box_place.folder}/{name}")
    assert (item.title, item.path) == (name, f"{box_place.folder}/{name}")
    fetched = await box_place.fetcher.file(item.id)
    assert (fetched.file_name, fetched.path.read_bytes()) == (name, CITIES)
    assert (await box_place.fetcher.item(number)).version == item.version


async def test_a_file_is_found_by_its_shared_link(box_place: BoxPlace) -> None:
    link = box_place.share(box_place.put("cities.csv", CITIES))
    item = await box_place.fetcher.item(link)
    assert (item.id, item.title, item.size_bytes) == (link, "cities.csv", len(CITIES))
    assert (await box_place.fetcher.file(link)).path.read_bytes() == CITIES


async def test_a_folder_lists_what_can_be_read_in_a_stable_order(box_place: BoxPlace) -> None:
    box_place.make_folder("Ordner")
    for name in ["b.csv", "A.xlsx", "notes.docx", "c.geojson"]:
        box_place.put(name, CITIES)
    listed = await box_place.fetcher.datasource.list(folder=box_place.folder)
    assert [one.title for one in listed] == ["Ordner", "A.xlsx", "b.csv", "c.geojson"]
    assert [one.is_folder for one in listed] == [True, False, False, False]
    assert listed[2].path == f"{box_place.folder}/b.csv"
    assert (await box_place.fetcher.file(listed[2].id)).path.read_bytes() == CITIES


async def test_a_trashed_and_a_purged_file_are_deleted_files(box_place: BoxPlace) -> None:
    number = box_place.put("cities.csv", CITIES)
    box_place.trash(number)
    with pytest.raises(DriveFileDeletedError, match="trash") as trashed:
        await box_place.fetcher.fetch(number)
    box_place.purge(number)
    with pytest.raises(DriveFileDeletedError, match=number) as purged:
        await box_place.fetcher.fetch(number)
    assert (trashed.value.code, purged.value.code) == (1017, 1017)


@pytest.mark.parametrize("named", ["/no such folder/cities.csv", "/cities of nowhere.csv"])
async def test_a_path_that_leads_nowhere_is_named(box_place: BoxPlace, named: str) -> None:
    with pytest.raises(DriveFileDeletedError, match=f"Nothing lies at {named}"):
        await box_place.fetcher.item(named)


async def test_a_folder_is_no_file(box_place: BoxPlace) -> None:
    with pytest.raises(DatasourceReadError, match="is a folder of Box"):
        await box_place.fetcher.fetch(box_place.folder)
