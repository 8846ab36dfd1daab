"""Google Drive before anything is asked of Google: settings, the SDK, what names a file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from synctables.datasources.gdrive import DRIVE
from synctables.datasources.gdrive.drive_file import SHEET, DriveFile
from synctables.datasources.gdrive.installation import Endpoints
from synctables.datasources.gdrive.reference import FileId, FilePath, parse_reference
from synctables.errors import ConfigurationError, DatasourceReadError
from synctables.settings import Settings
from tests.support.clouds import MemoryTokens

ID = "1fABCdefGHIjklMNOpqrSTUvwxYZ012345"
CHECK_IMPORT = """
import sys
import synctables.datasources.gdrive
heavy = {"googleapiclient", "google.auth", "google_auth_oauthlib", "requests", "httplib2"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
CHECK_MISSING = """
import sys
sys.modules["google_auth_oauthlib"] = None
from synctables.datasources.gdrive import DRIVE
from synctables.errors import ConfigurationError
from synctables.settings import Settings
for call in (DRIVE.oauth_client, lambda settings: DRIVE.datasource(settings, None)):
    try:
        call(Settings())
    except ConfigurationError as error:
        assert "pip install 'synctables[gdrive]'" in str(error)
    else:
        raise AssertionError
"""


@pytest.mark.parametrize("script", [CHECK_IMPORT, CHECK_MISSING])
def test_the_sdk_is_imported_only_when_used_and_named_when_missing(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "SYNCTABLES_GDRIVE_CLIENT_ID and SYNCTABLES_GDRIVE_CLIENT_SECRET missing"),
        ({"gdrive_client_id": "a"}, "not set up: SYNCTABLES_GDRIVE_CLIENT_SECRET missing"),
        ({"gdrive_client_secret": "a"}, "not set up: SYNCTABLES_GDRIVE_CLIENT_ID missing"),
    ],
)
def test_missing_settings_are_named_with_the_page_about_them(
    given: dict[str, str], missing: str
) -> None:
    settings = Settings.model_validate(given)
    for call in (
        lambda: DRIVE.oauth_client(settings),
        lambda: DRIVE.datasource(settings, MemoryTokens(None)),
    ):
        with pytest.raises(ConfigurationError) as caught:
            call()
        assert missing in str(caught.value)
        assert "docs/guides/gdrive.md" in str(caught.value)


def test_the_page_about_the_settings_is_there() -> None:
    assert (Path(__file__).parents[2] / "docs" / "guides" / "gdrive.md").is_file()


@pytest.mark.parametrize("content", [None, "no json", "{}", '{"type": "authorized_user"}'])
def test_a_key_of_a_service_account_that_is_none_is_named(
    tmp_path: Path, content: str | None
) -> None:
    key_file = tmp_path / "key.json"
    if content is not None:
        key_file.write_text(content)
    settings = Settings(gdrive_service_account_file=key_file)

    with pytest.raises(ConfigurationError, match="SYNCTABLES_GDRIVE_SERVICE_ACCOUNT_FILE"):
        DRIVE.datasource(settings, MemoryTokens(None))


REFERENCES: list[tuple[str, FileId | FilePath]] = [
    (ID, FileId(id=ID)),
    (f"  {ID}\n", FileId(id=ID)),
    ("/cities.csv", FilePath(("cities.csv",))),
    ("cities.csv", FilePath(("cities.csv",))),
    ("/data//März/ cities.csv", FilePath(("data", "März", " cities.csv"))),
    ("/looks_like_an_id_but_is_none", FilePath(("looks_like_an_id_but_is_none",))),
    (f"https://drive.google.com/file/d/{ID}/view?usp=drivesdk", FileId(id=ID)),
    (f"https://drive.google.com/open?id={ID}", FileId(id=ID)),
    (f"https://drive.google.com/uc?export=download&id={ID}", FileId(id=ID)),
    (f"https://drive.google.com/drive/u/1/folders/{ID}", FileId(id=ID)),
    (f"https://docs.google.com/spreadsheets/d/{ID}/edit?gid=7#gid=7", FileId(id=ID)),
    (
        f"https://drive.google.com/file/d/{ID}/view?resourcekey=0-k_1",
        FileId(id=ID, resource_key="0-k_1"),
    ),
]


@pytest.mark.parametrize(("text", "expected"), REFERENCES)
def test_a_file_is_named_by_id_path_or_link(text: str, expected: FileId | FilePath) -> None:
    assert parse_reference(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " / ",
        f"https://example.org/file/d/{ID}/view",
        f"https://drive.google.com.example.org/file/d/{ID}/view",
        "https://drive.google.com/drive/my-drive",
        "https://docs.google.com/spreadsheets/d/short/edit",
    ],
)
def test_what_names_no_file_of_google_drive_is_told(text: str) -> None:
    with pytest.raises(DatasourceReadError):
        parse_reference(text)


@pytest.mark.parametrize(
    ("answer", "revision"),
    [
        ({"md5Checksum": "0a", "headRevisionId": "r"}, "md5:0a"),
        ({"headRevisionId": "r"}, "revision:r"),
        ({"version": "7"}, "modified:2026-11-01T12:00:00.500Z/7"),
    ],
)
def test_a_version_goes_by_content_where_google_has_a_checksum(
    answer: dict[str, str], revision: str
) -> None:
    about = {
        "id": ID,
        "name": "a",
        "mimeType": "text/csv",
        "modifiedTime": "2026-11-01T12:00:00.500Z",
    }

    version = DriveFile.from_json({**about, **answer}).version

    assert version.revision == version.checksum == revision
    assert version.modified_at
    assert version.modified_at.isoformat() == "2026-11-01T12:00:00.500000+00:00"


@pytest.mark.parametrize(
    ("name", "kind", "file_name"),
    [
        ("cities.csv", "text/csv", "cities.csv"),
        ("a/b\\c.csv", "text/csv", "c.csv"),
        ("../../etc/passwd", "text/plain", "_.._etc_passwd"),
        ("", "text/csv", "file"),
        ("Budget 2026/27", SHEET, "Budget 2026_27.xlsx"),
        ("x" * 300, SHEET, "x" * 195 + ".xlsx"),
    ],
)
def test_a_file_name_is_safe_whatever_the_title(name: str, kind: str, file_name: str) -> None:
    file = DriveFile.from_json({"id": ID, "name": name, "mimeType": kind})

    assert file.file_name == file_name


@pytest.mark.parametrize(
    ("url", "is_trusted"),
    [
        ("https://docs.google.com/spreadsheets/export?id=1", True),
        ("https://www.googleapis.com/drive/v3/files", True),
        ("http://docs.google.com/spreadsheets/export?id=1", False),
        ("https://docs.google.com.example.org/", False),
        ("https://docs.google.com:8443@example.org/", False),
        ("https://example.org/", False),
    ],
)
def test_a_token_goes_to_google_only(url: str, is_trusted: bool) -> None:
    assert Endpoints().trusts(url) is is_trusted
