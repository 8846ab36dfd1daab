"""Lists of objects: of one folder, of everything, to the last page, and never of other places."""

from __future__ import annotations

import pytest

from synctables.datasources.object_stores import ObjectStoreDatasource
from synctables.errors import DatasourceReadError, FileNotFoundAtSourceError
from tests.support.object_stores import Bucket

BODY = b"a\n1\n"
KEYS = [
    "open/b.csv",
    "open/a.geojson",
    "open/notes.docx",
    "open/2026/städte.csv",
    "open/2026/märz/c.csv",
    "open-not/secret.csv",
    "top.csv",
]


@pytest.fixture
def filled(store: Bucket) -> Bucket:
    for key in KEYS:
        store.put(key, BODY)
    return store


def _open(bucket: Bucket, *places: str) -> ObjectStoreDatasource:
    listed = ",".join(f"{bucket.scheme}://{bucket.name}/{place}" for place in places)
    return ObjectStoreDatasource(bucket.settings(object_store_places=listed), retries=0)


async def test_everything_that_can_be_read_is_listed_in_order(filled: Bucket) -> None:
    items = await _open(filled, "open").list()
    expected = ["open/2026/märz/c.csv", "open/2026/städte.csv", "open/a.geojson", "open/b.csv"]
    assert [item.path for item in items] == expected
    assert [item.id for item in items] == [filled.address(key) for key in expected]
    assert {item.size_bytes for item in items} == {len(BODY)}
    assert all(item.version.modified_at for item in items)


async def test_a_search_is_for_a_part_of_the_name(filled: Bucket) -> None:
    items = await _open(filled, "open").list(search="STÄ")
    assert [item.title for item in items] == ["städte.csv"]


async def test_a_folder_holds_files_and_folders(filled: Bucket) -> None:
    source = _open(filled, "open")
    (root,) = await source.list(folder="")
    assert (root.is_folder, root.id) == (True, filled.address("open"))
    items = await source.list(folder=root.id)
    assert [(item.path, item.is_folder) for item in items] == [
        ("open/2026", True),
        ("open/a.geojson", False),
        ("open/b.csv", False),
    ]
    (folder, file) = await source.list(folder=f"{items[0].id}/")
    assert (folder.path, file.path) == ("open/2026/märz", "open/2026/städte.csv")


async def test_a_whole_bucket_has_a_root(filled: Bucket) -> None:
    items = await _open(filled, "").list(folder=filled.address(""))
    assert [item.path for item in items] == ["open", "open-not", "top.csv"]


async def test_places_that_overlap_are_listed_once(filled: Bucket) -> None:
    items = await _open(filled, "open", "open/2026").list()
    assert len(items) == 4


async def test_a_place_that_is_one_object_is_listed(filled: Bucket) -> None:
    items = await _open(filled, "open/b.csv").list()
    assert [item.path for item in items] == ["open/b.csv"]


@pytest.mark.parametrize("folder", ["open-not", "ope", "", "open/../open-not", "open/%2e%2e"])
async def test_a_folder_elsewhere_is_not_listed(s3: Bucket, folder: str) -> None:
    with pytest.raises(DatasourceReadError):
        await _open(s3, "open").list(folder=s3.address(folder))
    assert s3.seen() == []


async def test_a_bucket_that_is_not_there_is_an_error(store: Bucket) -> None:
    if store.scheme == "gs":
        pytest.skip("fake-gcs-server lists a bucket that it does not have as empty")
    elsewhere = store.settings(object_store_places=f"{store.scheme}://no-such-bucket")
    with pytest.raises(FileNotFoundAtSourceError):
        await ObjectStoreDatasource(elsewhere, retries=0).list()


async def test_pages_are_read_to_the_last(s3: Bucket) -> None:
    keys = [f"open/{number:02}.csv" for number in range(11)]
    for key in keys:
        s3.put(key, BODY)
    s3.gate.more_query = "max-keys=3"
    assert [item.path for item in await _open(s3, "open").list()] == keys
    assert len(s3.seen("GET")) == 4
    listed = await _open(s3, "open").list(folder=s3.address("open"))
    assert [item.path for item in listed] == keys
    assert len(s3.seen("GET")) == 8


async def test_a_key_that_no_address_can_name_is_told(s3: Bucket) -> None:
    """A limit of the library: it lists nothing, not even the page's other keys."""
    for key in ("open/a.csv", "open/dir/", "open//b.csv"):
        s3.put(key, BODY)
    with pytest.raises(DatasourceReadError, match="a key in it has an empty segment"):
        await _open(s3, "open").list()
    s3.delete("open//b.csv")
    assert [item.path for item in await _open(s3, "open").list()] == ["open/a.csv"]
