"""The bytes of a file in Google Drive on a bad day, and what only Google can export."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from doubles.gdrive import GoogleDriveDouble
from doubles.gdrive_files import XLSX
from doubles.server import Fault
from synctables.datasources.base import SourceVersion
from synctables.errors import FileTooBigError, PartialFileError
from tests.support.clouds import CloudAuthority, MemoryTokens
from tests.support.gdrive import BODY, ConnectedDrive, double_settings, granted, store

OTHER = b"name,lat,lon\n" + b"Weimar,51.0,11.3\n" * 80_000
SHEETS = {"Cities": [["name"], ["Jena"]], "Rivers": [["name"], ["Saale"]]}
LINK = "/spreadsheets/export"
EXPORT = r"/drive/v3/files/[^/]+/export"


def on_media(file_id: str, **fault: Any) -> Fault:
    """A fault of the next request for the content; metadata has the same path."""
    return Fault(path=f"/drive/v3/files/{file_id}$", query="alt=media", **fault)


def media_requests(double: GoogleDriveDouble, file_id: str) -> list[str]:
    """The ranges asked for, empty for the whole file."""
    return [
        seen.headers.get("range", "")
        for seen in double.trouble.seen(f"/drive/v3/files/{file_id}$")
        if "alt=media" in seen.query
    ]


async def test_an_unchanged_file_is_asked_about_once_and_not_downloaded(
    gdrive: ConnectedDrive, gdrive_double: GoogleDriveDouble
) -> None:
    file_id = store(gdrive).put("cities.csv", BODY)
    known = (await gdrive.file(file_id)).version
    before = len(gdrive_double.trouble.seen())

    await gdrive.nothing_new(file_id, known)

    assert len(gdrive_double.trouble.seen()) == before + 1
    assert media_requests(gdrive_double, file_id) == [""]


async def test_a_broken_download_goes_on_where_it_stopped(
    gdrive: ConnectedDrive, gdrive_double: GoogleDriveDouble
) -> None:
    file_id = store(gdrive).put("cities.csv", BODY)
    gdrive_double.trouble.add(on_media(file_id, cut_after_bytes=900_000))

    fetched = await gdrive.file(file_id)

    first, second = media_requests(gdrive_double, file_id)
    offset = int(second.removeprefix("bytes=").removesuffix("-"))
    assert (first, offset > 0) == ("", True)
    assert fetched.path.read_bytes() == BODY
    assert gdrive.progress[-1] == (len(BODY), len(BODY))


async def test_a_drive_that_is_busy_in_the_middle_is_asked_again(
    gdrive: ConnectedDrive, gdrive_double: GoogleDriveDouble
) -> None:
    file_id = store(gdrive).put("cities.csv", BODY)
    gdrive_double.trouble.add(on_media(file_id, status=503))

    fetched = await gdrive.file(file_id)

    assert fetched.path.read_bytes() == BODY
    assert media_requests(gdrive_double, file_id) == ["", ""]


async def test_a_file_that_changes_after_a_break_begins_anew(
    gdrive: ConnectedDrive, gdrive_double: GoogleDriveDouble
) -> None:
    file_id = store(gdrive).put("cities.csv", BODY)
    store(gdrive).change_on_the_way(file_id, OTHER)
    gdrive_double.trouble.add(on_media(file_id, cut_after_bytes=900_000))

    fetched = await gdrive.file(file_id)

    assert fetched.path.read_bytes() == OTHER
    assert media_requests(gdrive_double, file_id) == ["", ""]


async def test_a_file_that_grows_between_its_metadata_and_its_bytes_begins_anew(
    gdrive: ConnectedDrive,
) -> None:
    file_id = store(gdrive).put("cities.csv", BODY)
    store(gdrive).change_on_the_way(file_id, BODY + OTHER)

    fetched = await gdrive.file(file_id)

    assert fetched.path.read_bytes() == BODY + OTHER
    assert fetched.size_bytes == len(BODY + OTHER)


async def test_bytes_that_are_not_those_of_the_hash_are_refused(
    gdrive: ConnectedDrive, gdrive_double: GoogleDriveDouble
) -> None:
    file_id = store(gdrive).put("cities.csv", BODY)
    spoiled = BODY.decode().replace("Jena", "Gera")
    gdrive_double.trouble.add(on_media(file_id, status=200, body=spoiled))

    error = await gdrive.failure(file_id)

    assert isinstance(error, PartialFileError)
    assert error.transient


async def test_equal_bytes_are_not_modified_and_bring_the_new_version(
    gdrive: ConnectedDrive,
) -> None:
    file_id = store(gdrive).put("cities.csv", BODY)
    version = (await gdrive.file(file_id)).version
    known = SourceVersion(revision="of before", content_sha256=version.content_sha256)

    outcome = await gdrive.nothing_new(file_id, known)

    assert outcome.version == version
    assert list(gdrive.workspace.glob("*.csv")) == []


@pytest.mark.parametrize("kind", ["blob", "sheet"])
async def test_a_file_beyond_the_cap_is_refused(
    gdrive_double: GoogleDriveDouble, cloud_authority: CloudAuthority, tmp_path: Path, kind: str
) -> None:
    settings = double_settings(gdrive_double, cloud_authority, max_file_bytes=1000)
    tokens = MemoryTokens(granted(gdrive_double))
    drive = ConnectedDrive(gdrive_double.store, settings, tokens, tmp_path)
    file_id = (
        store(drive).put("cities.csv", BODY)
        if kind == "blob"
        else store(drive).put_sheet("Places", SHEETS)
    )

    error = await drive.failure(file_id)

    assert isinstance(error, FileTooBigError)
    assert error.code == 6666
    if kind == "blob":  # by what Google says of it, before a byte came
        assert media_requests(gdrive_double, file_id) == []


@pytest.mark.parametrize(
    ("answer", "file_name"),
    [
        ({}, "Places.xlsx"),
        ({"status": 400}, "Places.csv"),
        ({"status": 404}, "Places.csv"),
        ({"status": 401}, "Places.csv"),
        ({"status": 200, "body": "<html>", "content_type": "text/html"}, "Places.csv"),
    ],
)
async def test_a_spreadsheet_too_large_to_export_comes_by_its_link_or_as_csv(
    gdrive: ConnectedDrive,
    gdrive_double: GoogleDriveDouble,
    answer: dict[str, Any],
    file_name: str,
) -> None:
    sheet_id = store(gdrive).put_sheet("Places", SHEETS)
    gdrive_double.export_limit_bytes = 1000
    if answer:
        gdrive_double.trouble.add(Fault(path=LINK, **answer), times=2)

    fetched = await gdrive.file(sheet_id)

    assert fetched.file_name == fetched.path.name == file_name
    if file_name == "Places.csv":
        assert fetched.path.read_bytes() == b"name\r\nJena\r\n"


async def test_a_spreadsheet_that_is_too_large_in_every_form_is_refused(
    gdrive: ConnectedDrive, gdrive_double: GoogleDriveDouble
) -> None:
    sheet_id = store(gdrive).put_sheet("Places", SHEETS)
    gdrive_double.export_limit_bytes = 1
    gdrive_double.trouble.add(Fault(path=LINK, status=400))

    error = await gdrive.failure(sheet_id)

    assert (error.code, error.transient) == (6666, False)
    assert "Places" in str(error)


async def test_an_export_that_breaks_begins_anew(
    gdrive: ConnectedDrive, gdrive_double: GoogleDriveDouble
) -> None:
    sheet_id = store(gdrive).put_sheet("Places", SHEETS)
    workbook = random.Random(0).randbytes(600_000)
    store(gdrive).files[sheet_id].exports[XLSX] = workbook
    gdrive_double.trouble.add(Fault(path=EXPORT, cut_after_bytes=300_000))

    fetched = await gdrive.file(sheet_id)

    assert fetched.path.read_bytes() == workbook
    assert [seen.headers.get("range") for seen in gdrive_double.trouble.seen(EXPORT)] == [None] * 2
