"""Files on their way from Dropbox: breaks, tokens, teams, pages; only at the double."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import pytest

from doubles.dropbox import DropboxDouble
from doubles.dropbox_files import content_hash
from doubles.server import Fault
from synctables.datasources.base import NotModified
from synctables.errors import (
    DatasourceConnectError,
    DropboxPermissionError,
    FileTooBigError,
    NotConnectedError,
    PartialFileError,
    UnsupportedFileError,
)
from tests.support.dropbox_cloud import Reader, granted, union

CITIES = b"name,people\nOslo,709037\nRoma,2755309\n"
LARGE = bytes(range(251)) * 4000
METADATA = "/2/files/get_metadata"
DOWNLOAD = "/2/files/download"
LINKED = "/2/sharing/get_shared_link_file"


# --- nothing is fetched in vain ------------------------------------------------------------------


async def test_what_is_unchanged_costs_no_download(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    file_id = dropbox_double.files.put("/cities.csv", CITIES)
    first = await reader.file(file_id)
    dropbox_double.files.put("/cities.csv", CITIES)
    again = await reader.fetch(file_id, first.version)
    assert isinstance(again, NotModified)
    assert again.version.revision != first.version.revision
    assert len(dropbox_double.trouble.seen(DOWNLOAD)) == 1


async def test_a_file_over_the_cap_is_refused_before_a_byte_comes(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    reader.settings = reader.settings.model_copy(update={"max_file_bytes": 10})
    reader.datasource = reader.another()
    file_id = dropbox_double.files.put("/cities.csv", CITIES)
    with pytest.raises(FileTooBigError):
        await reader.fetch(file_id)
    assert not dropbox_double.trouble.seen(DOWNLOAD)


async def test_an_export_over_the_cap_is_cut_off(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    reader.settings = reader.settings.model_copy(update={"max_file_bytes": 10})
    reader.datasource = reader.another()
    file_id = dropbox_double.files.put("/sheet.gsheet", CITIES, export_as="csv")
    with pytest.raises(FileTooBigError):
        await reader.fetch(file_id)


# --- exports -------------------------------------------------------------------------------------


async def test_a_google_sheet_in_dropbox_comes_as_its_export(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    file_id = dropbox_double.files.put("/People.gsheet", LARGE, export_as="xlsx")
    [item] = await reader.datasource.list()
    assert (item.id, item.file_name, item.size_bytes) == (file_id, "People.xlsx", None)
    dropbox_double.trouble.add(Fault(path="/2/files/export", cut_after_bytes=300_000))
    fetched = await reader.file(file_id)
    assert fetched.path.read_bytes() == LARGE
    assert isinstance(await reader.fetch(file_id, fetched.version), NotModified)


async def test_a_document_without_a_table_in_it_is_refused(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    dropbox_double.files.put("/notes.paper", CITIES, export_as="markdown")
    assert await reader.datasource.list() == []
    with pytest.raises(UnsupportedFileError):
        await reader.fetch("/notes.paper")


async def test_an_export_that_is_not_what_its_hash_says_is_refused(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    file_id = dropbox_double.files.put("/People.gsheet", CITIES, export_as="xlsx")
    dropbox_double.files.spoil("/People.gsheet")
    with pytest.raises(DatasourceConnectError):
        await reader.fetch(file_id)


# --- breaks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("honours_ranges", [True, False])
@pytest.mark.parametrize("by_link", [False, True])
async def test_a_broken_download_goes_on_where_it_stopped(
    reader: Reader, dropbox_double: DropboxDouble, by_link: bool, honours_ranges: bool
) -> None:
    dropbox_double.ignores_ranges = not honours_ranges
    item = dropbox_double.files.put("/large.csv", LARGE)
    if by_link:
        item = dropbox_double.files.share("/large.csv")
    route = LINKED if by_link else DOWNLOAD
    dropbox_double.trouble.add(Fault(path=route, cut_after_bytes=500_000))
    assert await reader.content(item) == LARGE
    ranges = [one.headers.get("range") for one in dropbox_double.trouble.seen(f"{route}$")]
    assert ranges[0] is None
    assert ranges[1] is not None
    assert 0 < int(ranges[1].removeprefix("bytes=").removesuffix("-")) <= 500_000


async def test_what_goes_on_is_the_same_revision_though_the_file_has_changed(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    file_id = dropbox_double.files.put("/large.csv", LARGE)
    dropbox_double.trouble.add(Fault(path=DOWNLOAD, cut_after_bytes=500_000))
    dropbox_double.before_download = lambda: _put_and_delete(dropbox_double)
    fetched = await reader.file(file_id)
    assert fetched.path.read_bytes() == LARGE
    assert fetched.version.revision
    assert fetched.version.revision.endswith(content_hash(LARGE))


def _put_and_delete(double: DropboxDouble) -> None:
    if double.files.find("/large.csv"):
        double.files.put("/large.csv", LARGE + b"grown")
        double.files.delete("/large.csv")


async def test_a_file_that_grows_just_before_its_download_comes_as_it_was_found(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    file_id = dropbox_double.files.put("/cities.csv", CITIES)
    dropbox_double.before_download = lambda: _grow(dropbox_double)
    first = await reader.file(file_id)
    assert first.path.read_bytes() == CITIES
    dropbox_double.before_download = None
    second = await reader.file(file_id, first.version)
    assert second.path.read_bytes() == CITIES + b"Wien,1982097\n"


async def test_a_file_behind_a_link_that_grows_meanwhile_is_tried_again_later(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    dropbox_double.files.put("/cities.csv", CITIES)
    link = dropbox_double.files.share("/cities.csv")
    dropbox_double.before_download = lambda: _grow(dropbox_double)
    with pytest.raises(DatasourceConnectError, match="was changed while it was fetched"):
        await reader.fetch(link)
    dropbox_double.before_download = None
    assert await reader.content(link) == CITIES + b"Wien,1982097\n"


def _grow(double: DropboxDouble) -> None:
    double.files.put("/cities.csv", CITIES + b"Wien,1982097\n")


async def test_bytes_that_are_not_those_of_the_hash_are_refused(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    file_id = dropbox_double.files.put("/cities.csv", CITIES)
    dropbox_double.files.spoil("/cities.csv")
    with pytest.raises(PartialFileError) as raised:
        await reader.fetch(file_id)
    assert raised.value.transient


async def test_a_download_that_breaks_ever_anew_without_a_byte_is_given_up(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    file_id = dropbox_double.files.put("/cities.csv", CITIES)
    dropbox_double.trouble.add(Fault(path=DOWNLOAD, cut_after_bytes=0), times=9)
    with pytest.raises(PartialFileError, match=r"cities\.csv"):
        await reader.fetch(file_id)


# --- tokens --------------------------------------------------------------------------------------


async def test_a_token_that_ends_in_the_middle_of_a_file_is_renewed(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    file_id = dropbox_double.files.put("/large.csv", LARGE)
    dropbox_double.trouble.add(Fault(path=DOWNLOAD, cut_after_bytes=500_000))
    dropbox_double.before_download = lambda: dropbox_double.authority.advance(timedelta(hours=2))
    first = reader.tokens.current()
    assert await reader.content(file_id) == LARGE
    assert reader.tokens.stored[0].access_token != first.access_token
    assert reader.tokens.stored[0].refresh_token == first.refresh_token
    assert not reader.tokens.discarded


async def test_a_stale_token_is_renewed_before_it_is_used(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    reader.tokens.token = granted(dropbox_double.authority, lasts=timedelta(seconds=30))
    dropbox_double.files.put("/cities.csv", CITIES)
    assert await reader.content("/cities.csv") == CITIES
    assert dropbox_double.authority.refresh_count == 1
    assert reader.tokens.stored == [reader.tokens.token]


async def test_two_workers_renew_one_token_once(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    file_id = dropbox_double.files.put("/cities.csv", CITIES)
    reader.tokens.token = granted(dropbox_double.authority, lasts=timedelta(seconds=30))
    workers = [reader.another() for _ in range(4)]
    await asyncio.gather(*(worker.probe(file_id, known=None) for worker in workers))
    assert dropbox_double.authority.refresh_count == 1


@pytest.mark.parametrize("is_stale", [True, False])
async def test_a_withdrawn_permission_is_terminal_and_its_token_is_discarded(
    reader: Reader, dropbox_double: DropboxDouble, is_stale: bool
) -> None:
    dropbox_double.files.put("/cities.csv", CITIES)
    if is_stale:
        reader.tokens.token = granted(dropbox_double.authority, lasts=timedelta(seconds=30))
    dropbox_double.authority.revoke_everything()
    with pytest.raises(DropboxPermissionError) as raised:
        await reader.fetch("/cities.csv")
    assert (raised.value.code, raised.value.transient) == (1016, False)
    assert reader.tokens.token is None
    with pytest.raises(NotConnectedError):
        await reader.fetch("/cities.csv")


async def test_a_token_that_is_refused_though_it_was_just_renewed_is_discarded(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    fault = Fault(path=METADATA, status=401, body=union("invalid_access_token"))
    dropbox_double.trouble.add(fault, times=2)
    with pytest.raises(DropboxPermissionError, match=r"cities\.csv"):
        await reader.fetch("/cities.csv")
    assert dropbox_double.authority.refresh_count == 1
    assert len(dropbox_double.trouble.seen(METADATA)) == 2
    assert reader.tokens.token is None


# --- teams ---------------------------------------------------------------------------------------


async def test_a_member_of_a_team_sees_team_folders_and_the_own_one(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    dropbox_double.make_team(home_path="/Ada Lovelace")
    shared = dropbox_double.files.put("/Team/cities.csv", CITIES)
    dropbox_double.files.put("/Ada Lovelace/own.csv", CITIES)
    everywhere = await reader.datasource.list()
    assert [item.path for item in everywhere] == ["/Ada Lovelace/own.csv", "/Team/cities.csv"]
    for item in (shared, "/team/cities.csv", "/Ada Lovelace/own.csv"):
        assert await reader.content(item) == CITIES
    assert len(dropbox_double.trouble.seen("/2/users/get_current_account")) == 1


async def test_a_root_that_has_changed_is_followed(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    dropbox_double.make_team(home_path="/Ada Lovelace")
    dropbox_double.files.put("/Team/cities.csv", CITIES)
    await reader.fetch("/Team/cities.csv")
    dropbox_double.make_team(home_path="/Ada Lovelace", root_namespace="3003")
    assert await reader.content("/Team/cities.csv") == CITIES


# --- listing -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Listed:
    search: str | None
    folder: str | None
    titles: list[str]


@pytest.mark.parametrize("page_size", [1, 2, 3, 100])
@pytest.mark.parametrize(
    "case",
    [
        Listed(None, None, ["a.csv", "b.csv", "Städte von Süd.csv", "cities.csv"]),
        Listed(None, "", ["Sub", "a.csv", "b.csv"]),
        Listed(None, "/sub", ["Städte von Süd.csv", "cities.csv"]),
        Listed("st", "/Sub", ["Städte von Süd.csv"]),
        Listed("süd", None, ["Städte von Süd.csv"]),
        Listed("nothing", None, []),
    ],
)
async def test_listings_come_to_their_last_page(
    reader: Reader, dropbox_double: DropboxDouble, case: Listed, page_size: int
) -> None:
    dropbox_double.page_size = page_size
    for path in ("/b.csv", "/a.csv", "/Sub/cities.csv", "/Sub/Städte von Süd.csv", "/x.png"):
        dropbox_double.files.put(path, CITIES)
    listed = await reader.datasource.list(search=case.search, folder=case.folder)
    assert sorted(item.title for item in listed) == sorted(case.titles)
    assert listed == await reader.another().list(search=case.search, folder=case.folder)


async def test_a_listing_whose_cursor_is_reset_begins_anew(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    dropbox_double.page_size = 1
    for name in ("a", "b", "c"):
        dropbox_double.files.put(f"/{name}.csv", CITIES)
    dropbox_double.resets_cursors = 2
    assert [item.title for item in await reader.datasource.list()] == ["a.csv", "b.csv", "c.csv"]
    dropbox_double.resets_cursors = 99
    with pytest.raises(DatasourceConnectError):
        await reader.datasource.list()
