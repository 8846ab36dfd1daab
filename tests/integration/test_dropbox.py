"""Files in Dropbox, at the double and, by `make test-live`, at Dropbox itself."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from synctables.datasources.base import NotModified
from synctables.datasources.dropbox import DRIVE
from synctables.errors import (
    ConfigurationError,
    DatasourceReadError,
    DriveFileDeletedError,
    RunError,
)
from synctables.settings import Settings
from tests.support.clouds import MemoryTokens
from tests.support.dropbox_cloud import Reader, Shelf

CITIES = b"name,people\nOslo,709037\nRoma,2755309\n"
GROWN = CITIES + b"Wien,1982097\n"

Anywhere = tuple[Reader, Shelf]


# --- one file ------------------------------------------------------------------------------------


async def test_a_file_is_found_by_id_by_path_in_any_case_and_by_link(
    dropbox_anywhere: Anywhere,
) -> None:
    reader, shelf = dropbox_anywhere
    file_id = shelf.put("/Sub/Cities.csv", CITIES)
    path = f"{shelf.folder}/Sub/Cities.csv"
    link = shelf.share("/Sub/Cities.csv")
    in_folder = f"{shelf.share('/Sub')}&preview=Cities.csv"
    page = f"https://www.dropbox.com/home{shelf.folder}/Sub?preview=Cities.csv"
    for item in (file_id, path, path.upper(), path.strip("/"), link, in_folder, page):
        fetched = await reader.file(item)
        assert fetched.path.read_bytes() == CITIES
        assert fetched.file_name.lower() == "cities.csv"
        assert fetched.size_bytes == len(CITIES)
        assert fetched.version.modified_at is not None
        assert fetched.version.content_sha256


async def test_a_file_is_described_without_fetching_it(dropbox_anywhere: Anywhere) -> None:
    reader, shelf = dropbox_anywhere
    file_id = shelf.put("/cities.csv", CITIES)
    item = await reader.item(f"{shelf.folder}/cities.csv")
    assert (item.id, item.title, item.file_name) == (file_id, "cities.csv", "cities.csv")
    assert item.size_bytes == len(CITIES)
    assert item.path == f"{shelf.folder}/cities.csv"
    assert item.web_link == f"https://www.dropbox.com/home{shelf.folder}?preview=cities.csv"
    assert not item.is_folder


async def test_what_is_unchanged_is_not_modified_and_what_changed_comes(
    dropbox_anywhere: Anywhere,
) -> None:
    reader, shelf = dropbox_anywhere
    file_id = shelf.put("/cities.csv", CITIES)
    first = await reader.file(file_id)
    for again in (
        await reader.fetch(file_id, first.version),
        await reader.datasource.probe(file_id, known=first.version),
    ):
        assert isinstance(again, NotModified)
        assert again.version == first.version
    shelf.put("/cities.csv", GROWN)
    assert not isinstance(await reader.datasource.probe(file_id, known=first.version), NotModified)
    second = await reader.file(file_id, first.version)
    assert second.path.read_bytes() == GROWN
    assert second.version.revision != first.version.revision


async def test_a_file_behind_a_link_changes_like_any_other(dropbox_anywhere: Anywhere) -> None:
    reader, shelf = dropbox_anywhere
    shelf.put("/cities.csv", CITIES)
    link = shelf.share("/cities.csv")
    first = await reader.file(link)
    assert isinstance(await reader.fetch(link, first.version), NotModified)
    shelf.put("/cities.csv", GROWN)
    assert (await reader.file(link, first.version)).path.read_bytes() == GROWN


async def test_a_file_that_is_only_moved_or_saved_again_is_not_modified(
    dropbox_anywhere: Anywhere,
) -> None:
    reader, shelf = dropbox_anywhere
    file_id = shelf.put("/cities.csv", CITIES)
    first = await reader.file(file_id)
    shelf.move("/cities.csv", "/old/towns.csv")
    again = await reader.fetch(file_id, first.version)
    assert isinstance(again, NotModified)
    assert again.version.content_sha256 == first.version.content_sha256
    assert (await reader.item(file_id)).path == f"{shelf.folder}/old/towns.csv"


async def test_content_that_came_and_is_the_same_is_not_modified(
    dropbox_anywhere: Anywhere,
) -> None:
    reader, shelf = dropbox_anywhere
    file_id = shelf.put("/cities.csv", CITIES)
    first = await reader.file(file_id)
    known = replace(first.version, revision="from another time")
    again = await reader.fetch(file_id, known)
    assert isinstance(again, NotModified)
    assert again.version == first.version
    assert not first.path.exists()


@pytest.mark.parametrize("name", ["Zürich – Städte.csv", "都市.csv", "a b+c%20&d=e.csv", "🏙.csv"])
async def test_names_in_any_script_come_whole(dropbox_anywhere: Anywhere, name: str) -> None:
    reader, shelf = dropbox_anywhere
    shelf.put(f"/ärger/{name}", CITIES)
    fetched = await reader.file(f"{shelf.folder}/ärger/{name}")
    assert fetched.path.read_bytes() == CITIES
    assert fetched.file_name == name
    item = await reader.item(f"{shelf.folder}/ärger/{name}")
    assert item.web_link
    assert await reader.content(item.web_link) == CITIES


@pytest.mark.parametrize("size_bytes", [1, 4 * 1024 * 1024, 4 * 1024 * 1024 + 1, 9_000_000])
async def test_content_is_verified_by_blocks_of_4_mib(
    dropbox_anywhere: Anywhere, size_bytes: int
) -> None:
    reader, shelf = dropbox_anywhere
    content = bytes(range(251)) * (size_bytes // 251 + 1)
    file_id = shelf.put("/large.csv", content[:size_bytes])
    fetched = await reader.file(file_id)
    assert fetched.path.read_bytes() == content[:size_bytes]
    assert reader.progress[-1] == (size_bytes, size_bytes)
    assert reader.progress == sorted(reader.progress)


# --- what is not there ---------------------------------------------------------------------------


async def test_a_deleted_file_is_gone_by_id_and_by_path(dropbox_anywhere: Anywhere) -> None:
    reader, shelf = dropbox_anywhere
    file_id = shelf.put("/cities.csv", CITIES)
    shelf.delete("/cities.csv")
    for item in (file_id, f"{shelf.folder}/cities.csv", f"{shelf.folder}/never.csv"):
        with pytest.raises(DriveFileDeletedError) as raised:
            await reader.fetch(item)
        assert raised.value.code == 1017
        assert not raised.value.transient


async def test_a_link_that_was_withdrawn_leads_nowhere(dropbox_anywhere: Anywhere) -> None:
    reader, shelf = dropbox_anywhere
    shelf.put("/cities.csv", CITIES)
    link = shelf.share("/cities.csv")
    shelf.unshare(link)
    with pytest.raises(DriveFileDeletedError) as raised:
        await reader.fetch(link)
    assert "rlkey" not in str(raised.value)


async def test_what_is_no_file_is_said_to_be_none(dropbox_anywhere: Anywhere) -> None:
    reader, shelf = dropbox_anywhere
    shelf.put("/Sub/cities.csv", CITIES)
    cases: dict[str, type[RunError]] = {
        f"{shelf.folder}/Sub": DatasourceReadError,
        shelf.share("/Sub"): DatasourceReadError,
        "/": DatasourceReadError,
        "": DatasourceReadError,
        "id:": DriveFileDeletedError,
        "https://example.org/cities.csv": DatasourceReadError,
    }
    for item, kind in cases.items():
        with pytest.raises((DatasourceReadError, DriveFileDeletedError)) as raised:
            await reader.datasource.probe(item, known=None)
        if item != "id:":  # Dropbox may call it malformed
            assert type(raised.value) is kind, item


# --- listing -------------------------------------------------------------------------------------


async def test_a_folder_shows_its_folders_and_the_files_that_can_be_read(
    dropbox_anywhere: Anywhere,
) -> None:
    reader, shelf = dropbox_anywhere
    for path in ("/b.csv", "/A.geojson", "/Sub/deep.csv", "/picture.png", "/c.xlsx"):
        shelf.put(path, CITIES)
    inside = await reader.datasource.list(folder=shelf.folder)
    assert [(item.title, item.is_folder) for item in inside] == [
        ("Sub", True),
        ("A.geojson", False),
        ("b.csv", False),
        ("c.xlsx", False),
    ]
    assert [i.title for i in await reader.datasource.list(folder=inside[0].id)] == ["deep.csv"]
    found = await reader.datasource.list(folder=shelf.folder, search="XL")
    assert [item.title for item in found] == ["c.xlsx"]
    first = await reader.file(inside[1].id)
    assert isinstance(await reader.fetch(inside[1].id, inside[1].version), NotModified)
    assert first.version.revision == inside[1].version.revision


async def test_a_linked_folder_shows_files_that_can_be_fetched(dropbox_anywhere: Anywhere) -> None:
    reader, shelf = dropbox_anywhere
    shelf.put("/Shared/Inner/ö b.csv", CITIES)
    shelf.put("/Shared/a.csv", GROWN)
    top = await reader.datasource.list(folder=shelf.share("/Shared"))
    assert [(item.title, item.is_folder) for item in top] == [("Inner", True), ("a.csv", False)]
    assert await reader.content(top[1].id) == GROWN
    inner = await reader.datasource.list(folder=top[0].id)
    assert [item.title for item in inner] == ["ö b.csv"]
    assert await reader.content(inner[0].id) == CITIES


async def test_files_come_from_everywhere(dropbox_anywhere: Anywhere) -> None:
    reader, shelf = dropbox_anywhere
    shelf.put("/one/deep/cities.csv", CITIES)
    shelf.put("/two.csv", CITIES)
    everywhere = await reader.datasource.list()
    ours = [i.path for i in everywhere if (i.path or "").startswith(shelf.folder)]
    assert ours == [f"{shelf.folder}/one/deep/cities.csv", f"{shelf.folder}/two.csv"]
    assert not any(item.is_folder for item in everywhere)


# --- set up --------------------------------------------------------------------------------------


def test_a_server_without_an_app_key_says_which_setting_is_missing() -> None:
    for make in (
        lambda: DRIVE.oauth_client(Settings()),
        lambda: DRIVE.datasource(Settings(), MemoryTokens(None)),
    ):
        with pytest.raises(ConfigurationError) as raised:
            make()
        assert "SYNCTABLES_DROPBOX_CLIENT_ID" in str(raised.value)
        assert "docs/guides/dropbox.md" in str(raised.value)


WITHOUT_SDK = """
import sys
sys.modules["dropbox"] = None
from synctables.datasources.dropbox import DRIVE
from synctables.errors import ConfigurationError
from synctables.settings import Settings
try:
    DRIVE.oauth_client(Settings(dropbox_client_id="key"))
except ConfigurationError as error:
    print(error)
"""

LAZY = """
import sys
from synctables.datasources.dropbox import DRIVE
from synctables.settings import Settings
client = DRIVE.oauth_client(Settings(dropbox_client_id="key"))
DRIVE.datasource(Settings(dropbox_client_id="key"), None)
client.authorization_url(state="s", code_verifier="v", redirect_uri="https://example.org/")
print(sorted({"dropbox", "requests"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("program", "said"),
    [(WITHOUT_SDK, "pip install 'synctables[dropbox]'"), (LAZY, "[]")],
    ids=["missing", "imported only when used"],
)
def test_the_sdk_is_optional(program: str, said: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert said in ended.stdout
