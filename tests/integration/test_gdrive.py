"""Google Drive, at the double and (``make test-live``) at Google itself."""

from __future__ import annotations

from io import BytesIO

import pytest
from python_calamine import CalamineWorkbook

from synctables.datasources.base import NotModified
from synctables.errors import DriveFileDeletedError, UnsupportedFileError
from tests.support.gdrive import ConnectedDrive

BODY = b"name,lat,lon\n" + b"Jena,50.9,11.6\n" * 100
OTHER = b"name,lat,lon\n" + b"Weimar,51.0,11.3\n" * 100
CITIES = {"Cities": [["name"], ["Jena"]], "Rivers": [["name"], ["Saale"]]}


async def test_a_file_comes_with_its_version(any_gdrive: ConnectedDrive) -> None:
    file_id = any_gdrive.files.put("cities.csv", BODY, parent=any_gdrive.folder)

    fetched = await any_gdrive.file(file_id)

    assert fetched.path.read_bytes() == BODY
    assert fetched.file_name == "cities.csv"
    assert fetched.version.revision
    assert fetched.version.modified_at
    assert fetched.web_link
    assert file_id in fetched.web_link
    assert any_gdrive.progress[-1] == (len(BODY), len(BODY))


async def test_an_unchanged_file_is_not_downloaded(any_gdrive: ConnectedDrive) -> None:
    file_id = any_gdrive.files.put("cities.csv", BODY, parent=any_gdrive.folder)
    known = (await any_gdrive.file(file_id)).version
    any_gdrive.progress.clear()

    outcome = await any_gdrive.nothing_new(file_id, known)

    assert outcome.version == known
    assert any_gdrive.progress == []
    assert await any_gdrive.datasource.probe(file_id, known=known) == NotModified(version=known)


async def test_a_changed_file_comes_anew(any_gdrive: ConnectedDrive) -> None:
    file_id = any_gdrive.files.put("cities.csv", BODY, parent=any_gdrive.folder)
    known = (await any_gdrive.file(file_id)).version
    any_gdrive.files.change(file_id, OTHER)

    item = await any_gdrive.datasource.probe(file_id, known=known)
    fetched = await any_gdrive.file(file_id, known)

    assert not isinstance(item, NotModified)
    assert item.version.revision == fetched.version.revision != known.revision
    assert item.size_bytes == len(OTHER)
    assert fetched.path.read_bytes() == OTHER


async def test_a_file_keeps_its_version_when_it_is_renamed_and_moved(
    any_gdrive: ConnectedDrive,
) -> None:
    file_id = any_gdrive.files.put("cities.csv", BODY, parent=any_gdrive.folder)
    known = (await any_gdrive.file(file_id)).version
    any_gdrive.files.rename(file_id, "towns.csv")
    any_gdrive.files.move(file_id, any_gdrive.files.put_folder("old", parent=any_gdrive.folder))

    await any_gdrive.nothing_new(file_id, known)
    assert (await any_gdrive.item(file_id)).title == "towns.csv"


async def test_a_native_spreadsheet_comes_with_every_sheet(any_gdrive: ConnectedDrive) -> None:
    sheet_id = any_gdrive.files.put_sheet("Places", CITIES, parent=any_gdrive.folder)

    fetched = await any_gdrive.file(sheet_id)

    assert fetched.file_name == "Places.xlsx"
    workbook = CalamineWorkbook.from_filelike(BytesIO(fetched.path.read_bytes()))
    assert workbook.sheet_names == ["Cities", "Rivers"]
    assert workbook.get_sheet_by_name("Rivers").to_python() == [["name"], ["Saale"]]


async def test_a_native_spreadsheet_changes_with_its_cells(any_gdrive: ConnectedDrive) -> None:
    sheet_id = any_gdrive.files.put_sheet("Places", CITIES, parent=any_gdrive.folder)
    known = (await any_gdrive.file(sheet_id)).version

    await any_gdrive.nothing_new(sheet_id, known)

    any_gdrive.files.change_sheet(sheet_id, {"Cities": [["name"], ["Gera"]]})
    assert (await any_gdrive.file(sheet_id, known)).version.revision != known.revision


async def test_a_shortcut_leads_to_its_file(any_gdrive: ConnectedDrive) -> None:
    file_id = any_gdrive.files.put("cities.csv", BODY, parent=any_gdrive.folder)
    shortcut = any_gdrive.files.put_shortcut("here", file_id, parent=any_gdrive.folder)

    by_shortcut, by_id = await any_gdrive.item(shortcut), await any_gdrive.item(file_id)

    assert by_shortcut == by_id
    assert (await any_gdrive.file(shortcut)).path.read_bytes() == BODY


@pytest.mark.parametrize("name", ["cities.csv", "Städte 'n' \\ more.csv", "東京 🗼.csv"])
async def test_a_file_is_found_by_its_path(any_gdrive: ConnectedDrive, name: str) -> None:
    below = any_gdrive.files.put_folder("März / und mehr'", parent=any_gdrive.folder)
    folder = any_gdrive.files.put_folder("März", parent=any_gdrive.folder)
    any_gdrive.files.put(name, OTHER, parent=below)
    file_id = any_gdrive.files.put(name, BODY, parent=folder)

    fetched = await any_gdrive.file(f"/{any_gdrive.folder_name}/März/{name}")

    assert fetched.path.read_bytes() == BODY
    assert fetched.web_link
    assert file_id in fetched.web_link


async def test_of_files_of_one_name_the_newest_is_meant(any_gdrive: ConnectedDrive) -> None:
    for body in (OTHER, BODY):
        folder = any_gdrive.files.put_folder("weekly", parent=any_gdrive.folder)
        any_gdrive.files.put("cities.csv", body, parent=folder)

    fetched = await any_gdrive.file(f"/{any_gdrive.folder_name}/weekly/cities.csv")

    assert fetched.path.read_bytes() == BODY


async def test_a_file_is_found_by_its_link(any_gdrive: ConnectedDrive) -> None:
    file_id = any_gdrive.files.put("cities.csv", BODY, parent=any_gdrive.folder)
    link = (await any_gdrive.item(file_id)).web_link
    assert link

    assert (await any_gdrive.file(link)).path.read_bytes() == BODY


@pytest.mark.parametrize("removed", ["trash", "delete"])
async def test_a_removed_file_is_told(any_gdrive: ConnectedDrive, removed: str) -> None:
    file_id = any_gdrive.files.put("cities.csv", BODY, parent=any_gdrive.folder)
    known = (await any_gdrive.file(file_id)).version
    getattr(any_gdrive.files, removed)(file_id)

    error = await any_gdrive.failure(file_id, known)

    assert isinstance(error, DriveFileDeletedError)
    assert (error.code, error.transient) == (1017, False)


async def test_a_path_that_leads_nowhere_is_told(any_gdrive: ConnectedDrive) -> None:
    path = f"/{any_gdrive.folder_name}/nowhere/cities.csv"

    error = await any_gdrive.failure(path)

    assert isinstance(error, DriveFileDeletedError)
    assert path in str(error)


async def test_a_folder_is_no_file(any_gdrive: ConnectedDrive) -> None:
    error = await any_gdrive.failure(any_gdrive.folder)

    assert isinstance(error, UnsupportedFileError)
    assert any_gdrive.folder_name in str(error)


async def test_a_folder_lists_its_tables_and_folders(any_gdrive: ConnectedDrive) -> None:
    files, folder = any_gdrive.files, any_gdrive.folder
    below = files.put_folder("below", parent=folder)
    files.put("notes.docx", b"no table", parent=folder)
    files.put("hidden.csv", BODY, parent=below)
    cities = files.put("cities.csv", BODY, parent=folder)
    sheet = files.put_sheet("Places", CITIES, parent=folder)

    items = await any_gdrive.datasource.list(folder=folder)

    listed = [(item.id, item.title, item.file_name, item.is_folder) for item in items]
    assert listed == [
        (below, "below", "below", True),
        (sheet, "Places", "Places.xlsx", False),
        (cities, "cities.csv", "cities.csv", False),
    ]
    assert [item.size_bytes for item in items] == [None, None, len(BODY)]
    by_path = await any_gdrive.datasource.list(folder=f"/{any_gdrive.folder_name}")
    assert [item.id for item in by_path] == [item.id for item in items]
    assert by_path[2].path == f"/{any_gdrive.folder_name}/cities.csv"


async def test_everything_is_listed_with_its_path_and_searched_by_any_part(
    any_gdrive: ConnectedDrive,
) -> None:
    below = any_gdrive.files.put_folder("below", parent=any_gdrive.folder)
    file_id = any_gdrive.files.put("myxq-cities.csv", BODY, parent=below)
    any_gdrive.files.put("myxq-towns.csv", BODY, parent=below)

    found = await any_gdrive.datasource.list(search="XQ-CIT")

    assert [(item.id, item.path) for item in found] == [
        (file_id, f"/{any_gdrive.folder_name}/below/myxq-cities.csv")
    ]
