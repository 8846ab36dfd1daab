"""What Box lists: to the last page, only what the importer reads, always in one order."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import pytest

from synctables.datasources.file_names import KNOWN_EXTENSIONS
from synctables.errors import DatasourceReadError

if TYPE_CHECKING:
    from tests.support.clouds_box import BoxAtHand

TREE = {
    "/a.csv": b"1",
    "/Data/b.csv": b"2",
    "/Data/deep/er/c.geojson": b"3",
    "/Data/deep/notes.docx": b"4",
    "/Data/d.XLSX": b"5",
    "/picture.png": b"6",
}


async def test_everything_is_listed_wherever_it_lies(box: BoxAtHand) -> None:
    numbers = {path: box.double.items.put(path, content) for path, content in TREE.items()}
    listed = await box.fetcher.datasource.list()
    expected = ["/a.csv", "/Data/b.csv", "/Data/deep/er/c.geojson", "/Data/d.XLSX"]
    assert [one.path for one in listed] == expected
    assert [one.id for one in listed] == [numbers[path] for path in expected]
    assert listed[1].web_link == f"{box.double.base_url}/file/{listed[1].id}"
    assert (await box.fetcher.item(listed[1].id)).version == listed[1].version


@pytest.mark.parametrize("knows_markers", [True, False])
@pytest.mark.parametrize("most_per_page", [1, 2, 3, 7])
async def test_pages_are_turned_to_the_last_one(
    box: BoxAtHand, most_per_page: int, *, knows_markers: bool
) -> None:
    box.double.most_per_page, box.double.knows_markers = most_per_page, knows_markers
    names = [f"table {number:02}.csv" for number in range(7)]
    for name in names:
        box.double.items.put(f"/Data/{name}", b"name\n")
    in_folder = await box.fetcher.datasource.list(folder="/Data")
    anywhere = await box.fetcher.datasource.list()
    found = await box.fetcher.datasource.list(search="table")
    assert [one.title for one in in_folder] == names
    assert [one.title for one in anywhere] == names
    assert [one.title for one in found] == names
    assert (await box.fetcher.item("/Data/table 06.csv")).title == "table 06.csv"


async def test_a_folder_shows_what_lies_directly_in_it(box: BoxAtHand) -> None:
    for path, content in TREE.items():
        box.double.items.put(path, content)
    root = await box.fetcher.datasource.list(folder="")
    assert [(one.title, one.is_folder) for one in root] == [("Data", True), ("a.csv", False)]
    for named in (root[0].id, "/Data", f"{box.double.base_url}/folder/{root[0].id}"):
        inside = await box.fetcher.datasource.list(folder=named)
        assert [one.title for one in inside] == ["deep", "b.csv", "d.XLSX"]


async def test_search_gives_names_that_contain_the_words(box: BoxAtHand) -> None:
    for name in ["cities.csv", "old cities.csv", "rivers.csv", "cities.docx", "Cities of OR.csv"]:
        box.double.items.put(f"/{name}", b"name\n")
    listed = await box.fetcher.datasource.list(search="Cities")
    assert [one.title for one in listed] == ["Cities of OR.csv", "cities.csv", "old cities.csv"]
    [asked] = [parse_qs(one.query) for one in box.double.trouble.seen("/2.0/search")]
    assert (asked["limit"], asked["type"], asked["content_types"]) == (["200"], ["file"], ["name"])
    assert set(asked["file_extensions"][0].split(",")) == KNOWN_EXTENSIONS


@pytest.mark.parametrize(
    ("typed", "sent"), [("NOT cities", "not cities"), ('"old" OR', "old or"), ("  a  b ", "a b")]
)
async def test_words_are_never_boxs_operators(box: BoxAtHand, typed: str, sent: str) -> None:
    await box.fetcher.datasource.list(search=typed)
    [asked] = [parse_qs(one.query) for one in box.double.trouble.seen("/2.0/search")]
    assert asked["query"] == [sent]


async def test_a_search_for_nothing_but_marks_finds_nothing(box: BoxAtHand) -> None:
    box.double.items.put("/a.csv", b"name\n")
    assert await box.fetcher.datasource.list(search='""') == []


async def test_what_is_in_the_trash_is_not_listed(box: BoxAtHand) -> None:
    number = box.double.items.put("/Data/a.csv", b"name\n")
    box.double.items.trash(number)
    assert await box.fetcher.datasource.list() == []
    assert await box.fetcher.datasource.list(folder="/Data") == []
    assert await box.fetcher.datasource.list(search="a") == []


async def test_a_file_is_no_folder(box: BoxAtHand) -> None:
    box.double.items.put("/a.csv", b"name\n")
    with pytest.raises(DatasourceReadError, match=r"'a\.csv' is no folder"):
        await box.fetcher.datasource.list(folder="/a.csv")


async def test_names_are_the_same_in_either_form_of_unicode(box: BoxAtHand) -> None:
    decomposed, composed = "Zu\u0308rich.csv", "Z\u00fcrich.csv"
    box.double.items.put(f"/{decomposed}", b"name\n")
    assert (await box.fetcher.item(f"/{composed}")).title == decomposed
    assert (await box.fetcher.file(f"/{composed}")).file_name == composed
