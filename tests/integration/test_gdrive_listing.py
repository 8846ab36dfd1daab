"""Choosing a file in Google Drive: pages, shared drives, shortcuts, what others share, links."""

from __future__ import annotations

import pytest

from doubles.gdrive import GoogleDriveDouble, error_body
from doubles.server import Fault
from synctables.errors import DatasourceConnectError, DriveFileDeletedError
from tests.support.gdrive import ConnectedDrive, store

BODY = b"name\nJena\n"
OTHER = b"name\nGera\n"


async def test_a_list_goes_on_to_the_last_page(
    gdrive: ConnectedDrive, gdrive_double: GoogleDriveDouble
) -> None:
    names = [f"city {number:02}.csv" for number in range(25)]
    for name in reversed(names):
        store(gdrive).put(name, BODY, parent=gdrive.folder)
    gdrive_double.most_a_page = 10

    items = await gdrive.datasource.list(folder=gdrive.folder)

    assert [item.title for item in items] == names
    assert len(gdrive_double.trouble.seen("/drive/v3/files$")) == 3


async def test_only_what_the_importer_reads_is_listed(gdrive: ConnectedDrive) -> None:
    for name in ("a.csv", "b.XLSX", "c.zip", "d.pdf", "e", "f.geojson"):
        store(gdrive).put(name, BODY)
    store(gdrive).put("photo.csv", BODY, mime_type="image/png")
    store(gdrive).put_document("Letter")
    store(gdrive).trash(store(gdrive).put("gone.csv", BODY))

    items = await gdrive.datasource.list()

    assert [item.title for item in items] == ["a.csv", "b.XLSX", "c.zip", "f.geojson"]


async def test_shared_drives_are_listed_and_read(gdrive: ConnectedDrive) -> None:
    drive_id = store(gdrive).put_shared_drive("Team")
    folder = store(gdrive).put_folder("data", parent=drive_id)
    file_id = store(gdrive).put("cities.csv", BODY, parent=folder)
    path = "/Shared drives/Team/data/cities.csv"

    top = await gdrive.datasource.list(folder="")
    inside = await gdrive.datasource.list(folder="/Shared drives/Team/data")
    everywhere = await gdrive.datasource.list()

    assert [(item.id, item.path) for item in top if item.title == "Team"] == [
        (drive_id, "/Shared drives/Team")
    ]
    assert [(item.id, item.path) for item in inside] == [(file_id, path)]
    assert [(item.id, item.path) for item in everywhere] == [(file_id, path)]
    for name in (file_id, path):
        assert (await gdrive.file(name)).path.read_bytes() == BODY


async def test_a_search_that_google_gives_up_is_made_in_each_drive(
    gdrive: ConnectedDrive, gdrive_double: GoogleDriveDouble
) -> None:
    drives = [store(gdrive).put_shared_drive(name) for name in ("Team", "Club")]
    for parent in (gdrive.folder, *drives):
        store(gdrive).put("cities.csv", BODY, parent=parent)
    gdrive_double.is_search_incomplete = True

    items = await gdrive.datasource.list()

    assert sorted(item.path or "" for item in items) == [
        "/Shared drives/Club/cities.csv",
        "/Shared drives/Team/cities.csv",
        "/synctables tests/cities.csv",
    ]


async def test_what_others_share_is_at_the_top_and_has_no_path(gdrive: ConnectedDrive) -> None:
    file_id = store(gdrive).put("theirs.csv", BODY, is_shared_with_me=True)

    for items in (await gdrive.datasource.list(folder=""), await gdrive.datasource.list()):
        assert [item.path for item in items if item.id == file_id] == [None]


async def test_shortcuts_are_listed_by_what_they_lead_to(gdrive: ConnectedDrive) -> None:
    hidden = store(gdrive).put_folder("hidden")
    file_id = store(gdrive).put("cities.csv", BODY, parent=hidden)
    to_file = store(gdrive).put_shortcut("cities.csv", file_id, parent=gdrive.folder)
    store(gdrive).put_shortcut("the folder", hidden, parent=gdrive.folder)

    items = await gdrive.datasource.list(folder=gdrive.folder)

    assert [(item.id, item.is_folder) for item in items] == [(hidden, True), (to_file, False)]
    by_path = await gdrive.file(f"/{gdrive.folder_name}/the folder/cities.csv")
    assert by_path.path.read_bytes() == BODY


async def test_names_that_are_written_with_other_accents_are_the_same(
    gdrive: ConnectedDrive,
) -> None:
    store(gdrive).put("Mu\u0308nchen.csv", BODY)

    assert (await gdrive.file("/M\u00fcnchen.csv")).path.read_bytes() == BODY


async def test_a_path_tells_capital_letters_apart(gdrive: ConnectedDrive) -> None:
    store(gdrive).put("Cities.csv", BODY)
    store(gdrive).put("cities.csv", OTHER)
    store(gdrive).put("CITIES.csv", OTHER)

    assert (await gdrive.file("/Cities.csv")).path.read_bytes() == BODY


async def test_a_new_file_beside_one_of_its_name_is_the_new_version(
    gdrive: ConnectedDrive,
) -> None:
    store(gdrive).put("weekly.csv", BODY)
    known = (await gdrive.file("/weekly.csv")).version

    await gdrive.nothing_new("/weekly.csv", known)
    store(gdrive).put("weekly.csv", OTHER)

    assert (await gdrive.file("/weekly.csv", known)).path.read_bytes() == OTHER


async def test_a_file_shared_by_link_opens_with_the_links_key_only(
    gdrive: ConnectedDrive,
) -> None:
    file_id = store(gdrive).put("cities.csv", BODY, is_shared_with_me=True)
    link = store(gdrive).share_by_link(file_id)

    assert (await gdrive.file(link)).path.read_bytes() == BODY
    assert isinstance(await gdrive.failure(file_id), DriveFileDeletedError)
    shortcut = store(gdrive).put_shortcut("here", file_id)
    assert (await gdrive.file(shortcut)).path.read_bytes() == BODY


async def test_a_folder_that_is_not_there_is_told(gdrive: ConnectedDrive) -> None:
    with pytest.raises(DriveFileDeletedError, match="/no/such"):
        await gdrive.datasource.list(folder="/no/such")


async def test_a_list_that_is_cut_off_is_an_error_not_a_shorter_list(
    gdrive: ConnectedDrive, gdrive_double: GoogleDriveDouble
) -> None:
    for name in ("a.csv", "b.csv"):
        store(gdrive).put(name, BODY)
    gdrive_double.most_a_page = 1
    body = error_body(403, "userRateLimitExceeded")
    gdrive_double.trouble.add(
        Fault(path="/drive/v3/files$", query="pageToken", status=403, body=body)
    )

    with pytest.raises(DatasourceConnectError):
        await gdrive.datasource.list()
