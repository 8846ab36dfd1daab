"""What Google Drive refuses, and what users are told: each reason its code and its sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from doubles.gdrive import GoogleDriveDouble, error_body
from doubles.server import Fault, write_authority
from synctables.errors import (
    DatasourceConfigurationError,
    DatasourceConnectError,
    DatasourceReadError,
    DownloadTimeoutError,
    DriveFileDeletedError,
    DriveForbiddenError,
    NotConnectedError,
    RunError,
    UnsupportedFileError,
)
from tests.support.clouds import CloudAuthority, MemoryTokens
from tests.support.gdrive import ConnectedDrive, double_settings, granted, store

BODY = b"name\nJena\n"
FILES = "/drive/v3/files"

REASONS: list[tuple[str, type[RunError], str]] = [
    ("domainPolicy", DriveForbiddenError, "administrators"),
    ("appNotAuthorizedToFile", DatasourceReadError, "not authorized"),
    ("insufficientFilePermissions", DatasourceReadError, "no permission"),
    ("teamDriveMembershipRequired", DatasourceReadError, "no member"),
    ("cannotDownloadFile", DatasourceReadError, "lets nobody download"),
    ("cannotDownloadAbusiveFile", DatasourceReadError, "malware"),
    ("fileNotDownloadable", DatasourceReadError, "nothing that could be downloaded"),
    ("somethingNew", DatasourceReadError, "somethingNew"),
    ("userRateLimitExceeded", DatasourceConnectError, "fewer requests of this account"),
    ("rateLimitExceeded", DatasourceConnectError, "fewer requests of this server"),
    ("dailyLimitExceeded", DatasourceConnectError, "used up"),
    ("downloadQuotaExceeded", DatasourceConnectError, "later"),
    ("accessNotConfigured", DatasourceConfigurationError, "docs/guides/gdrive.md"),
]
CODES = {
    DriveForbiddenError: (1008, False),
    DatasourceReadError: (1011, False),
    DatasourceConnectError: (1012, True),
    DatasourceConfigurationError: (1012, False),
    DriveFileDeletedError: (1017, False),
    DownloadTimeoutError: (1020, True),
}


@pytest.mark.parametrize(("reason", "kind", "words"), REASONS, ids=[one[0] for one in REASONS])
async def test_each_reason_of_a_403_has_its_error(
    gdrive: ConnectedDrive, reason: str, kind: type[RunError], words: str
) -> None:
    file_id = store(gdrive).put("cities.csv", BODY)
    store(gdrive).refuse(file_id, reason)

    error = await gdrive.failure(file_id)

    assert type(error) is kind
    assert (error.code, error.transient) == CODES[kind]
    assert words in str(error)
    assert error.http_status == 403


@pytest.mark.parametrize(
    ("status", "headers", "kind", "seconds"),
    [
        (429, {"Retry-After": "120"}, DatasourceConnectError, 120),
        (429, {}, DatasourceConnectError, None),
        (500, {}, DatasourceConnectError, None),
        (503, {"Retry-After": "30"}, DatasourceConnectError, 30),
        (408, {}, DatasourceConnectError, None),
        (400, {}, DatasourceReadError, None),
        (404, {}, DriveFileDeletedError, None),
        (410, {}, DriveFileDeletedError, None),
    ],
)
async def test_each_status_has_its_error(
    gdrive: ConnectedDrive,
    gdrive_double: GoogleDriveDouble,
    status: int,
    headers: dict[str, str],
    kind: type[RunError],
    seconds: int | None,
) -> None:
    file_id = store(gdrive).put("cities.csv", BODY)
    body = error_body(status, "backendError")
    gdrive_double.trouble.add(Fault(path=FILES, status=status, headers=headers, body=body))

    error = await gdrive.failure(file_id)

    assert type(error) is kind
    assert (error.code, error.transient) == CODES[kind]
    assert getattr(error, "retry_after_seconds", None) == seconds
    assert file_id in str(error)


@pytest.mark.parametrize("reason", ["dailyLimitExceeded", "downloadQuotaExceeded"])
async def test_a_quota_of_a_day_is_not_asked_for_again_in_a_minute(
    gdrive: ConnectedDrive, gdrive_double: GoogleDriveDouble, reason: str
) -> None:
    file_id = store(gdrive).put("cities.csv", BODY)
    store(gdrive).refuse(file_id, reason)

    error = await gdrive.failure(file_id)

    assert isinstance(error, DatasourceConnectError)
    assert error.retry_after_seconds == 3600
    assert len(gdrive_double.trouble.seen(FILES)) == 2  # one for what it is, one for its bytes


async def test_an_answer_in_googles_newer_shape_is_understood(
    gdrive: ConnectedDrive, gdrive_double: GoogleDriveDouble
) -> None:
    body = (
        '{"error": {"code": 403, "message": "…", "status": "PERMISSION_DENIED", "details":'
        ' [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED"}]}}'
    )
    gdrive_double.trouble.add(Fault(path=FILES, status=403, body=body))

    assert isinstance(await gdrive.failure("0123456789"), DatasourceConfigurationError)


@pytest.mark.parametrize("body", ["", "<!doctype html>", "[]", "{}", '{"error": "no"}', "\x00"])
async def test_an_answer_that_makes_no_sense_is_no_surprise(
    gdrive: ConnectedDrive, gdrive_double: GoogleDriveDouble, body: str
) -> None:
    for status in (403, 200):
        gdrive_double.trouble.add(Fault(path=FILES, status=status, body=body))

        error = await gdrive.failure("0123456789")

        assert type(error) in (DatasourceReadError, DatasourceConnectError)


async def test_a_document_that_is_no_table_is_told(gdrive: ConnectedDrive) -> None:
    error = await gdrive.failure(store(gdrive).put_document("Letter"))

    assert isinstance(error, UnsupportedFileError)
    assert "Letter" in str(error)


async def test_a_shortcut_to_a_deleted_file_is_told(gdrive: ConnectedDrive) -> None:
    file_id = store(gdrive).put("cities.csv", BODY)
    shortcut = store(gdrive).put_shortcut("here", file_id)
    store(gdrive).delete(file_id)

    assert isinstance(await gdrive.failure(shortcut), DriveFileDeletedError)


async def test_a_consent_without_the_scope_is_asked_for_again(
    gdrive: ConnectedDrive, gdrive_double: GoogleDriveDouble
) -> None:
    body = error_body(403, "insufficientPermissions")
    gdrive_double.trouble.add(Fault(path=FILES, status=403, body=body))

    error = await gdrive.failure("0123456789")

    assert isinstance(error, NotConnectedError)
    assert isinstance(gdrive.tokens, MemoryTokens)
    assert gdrive.tokens.token is None


Place = Callable[[GoogleDriveDouble, Path], dict[str, Any]]

PLACES: list[tuple[str, Place, type[RunError]]] = [
    ("no such name", lambda *_: {"gdrive_endpoint": "https://no.invalid"}, DatasourceConnectError),
    (
        "nobody there",
        lambda *_: {"gdrive_endpoint": "https://localhost:1"},
        DatasourceConnectError,
    ),
    (
        "a certificate of somebody else's",
        lambda _, folder: {"drive_ca_file": write_authority(trustme.CA(), folder / "other.pem")},
        DatasourceConnectError,
    ),
]


@pytest.mark.parametrize(("place", "kind"), [one[1:] for one in PLACES], ids=[p[0] for p in PLACES])
async def test_trouble_on_the_way_is_transient(
    gdrive_double: GoogleDriveDouble,
    cloud_authority: CloudAuthority,
    tmp_path: Path,
    place: Place,
    kind: type[RunError],
) -> None:
    there = ConnectedDrive(
        gdrive_double.store,
        double_settings(gdrive_double, cloud_authority, **place(gdrive_double, tmp_path)),
        MemoryTokens(granted(gdrive_double)),
        tmp_path,
    )

    error = await there.failure("0123456789")

    assert type(error) is kind
    assert error.transient


@pytest.mark.parametrize("query", ["fields", "alt=media"])
async def test_a_silent_service_is_a_timeout(
    gdrive_double: GoogleDriveDouble,
    cloud_authority: CloudAuthority,
    tmp_path: Path,
    query: str,
) -> None:
    settings = double_settings(gdrive_double, cloud_authority, idle_timeout_seconds=0.2)
    drive = ConnectedDrive(
        gdrive_double.store, settings, MemoryTokens(granted(gdrive_double)), tmp_path
    )
    file_id = store(drive).put("cities.csv", BODY)
    gdrive_double.trouble.add(Fault(path=FILES, query=query, is_silent=True), times=5)

    error = await drive.failure(file_id)

    assert isinstance(error, DownloadTimeoutError)
    assert (error.code, error.transient) == CODES[DownloadTimeoutError]
