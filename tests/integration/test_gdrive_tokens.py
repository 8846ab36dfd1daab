"""Tokens of Google Drive end, are renewed by several workers, are revoked; or need no consent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from doubles.gdrive import GoogleDriveDouble
from doubles.server import Fault
from synctables.datasources.drives.model import OAuthToken
from synctables.errors import (
    DatasourceConfigurationError,
    DatasourceConnectError,
    DriveForbiddenError,
    NotConnectedError,
    RunError,
)
from synctables.settings import Settings
from tests.support.clouds import CloudAuthority, MemoryTokens
from tests.support.gdrive import BODY, ConnectedDrive, double_settings, granted, store


async def test_a_token_that_ends_in_the_middle_is_renewed_once(
    gdrive: ConnectedDrive, gdrive_double: GoogleDriveDouble
) -> None:
    """After the metadata, and again after a break in the bytes."""
    file_id = store(gdrive).put("cities.csv", BODY)
    known = (await gdrive.file(file_id)).version
    store(gdrive).change(file_id, BODY + BODY)
    gdrive_double.authority.advance(timedelta(hours=2))

    fetched = await gdrive.file(file_id, known)

    assert fetched.size_bytes == 2 * len(BODY)
    assert gdrive_double.authority.refresh_count == 1
    assert isinstance(gdrive.tokens, MemoryTokens)
    assert [gdrive.tokens.token] == gdrive.tokens.stored


async def test_a_token_that_is_about_to_end_is_renewed_before_a_request(
    gdrive: ConnectedDrive, gdrive_double: GoogleDriveDouble
) -> None:
    assert isinstance(gdrive.tokens, MemoryTokens)
    token = gdrive.tokens.current()
    gdrive.tokens.token = replace(token, expires_at=datetime.now(UTC) + timedelta(minutes=1))
    file_id = store(gdrive).put("cities.csv", BODY)

    await gdrive.file(file_id)

    assert gdrive_double.authority.refresh_count == 1
    used = {seen.headers["authorization"] for seen in gdrive_double.trouble.seen("/drive/")}
    assert used == {f"Bearer {gdrive.tokens.current().access_token}"}


async def test_a_token_of_another_worker_that_is_about_to_end_is_renewed_as_well(
    gdrive_double: GoogleDriveDouble, gdrive_settings: Settings, tmp_path: Path
) -> None:
    ends_soon = replace(granted(gdrive_double), expires_at=datetime.now(UTC) + timedelta(minutes=3))

    class Overtaken(MemoryTokens):
        def renew(
            self, stale: OAuthToken, exchange: Callable[[OAuthToken], OAuthToken]
        ) -> OAuthToken:
            if stale != ends_soon:
                self.token = ends_soon
            return super().renew(stale, exchange)

    tokens = Overtaken(replace(ends_soon, expires_at=datetime.now(UTC)))
    drive = ConnectedDrive(gdrive_double.store, gdrive_settings, tokens, tmp_path)

    await drive.item(store(drive).put("cities.csv", BODY))

    assert [tokens.token] == tokens.stored
    assert gdrive_double.authority.refresh_count == 1


async def test_two_that_renew_at_once_ask_google_once(
    gdrive: ConnectedDrive, gdrive_double: GoogleDriveDouble
) -> None:
    file_id = store(gdrive).put("cities.csv", BODY)
    gdrive_double.authority.advance(timedelta(hours=2))

    items = await asyncio.gather(*(gdrive.item(file_id) for _ in range(4)))

    assert {item.id for item in items} == {file_id}
    assert gdrive_double.authority.refresh_count == 1


async def test_a_revoked_permission_is_told_and_forgotten(
    gdrive: ConnectedDrive, gdrive_double: GoogleDriveDouble
) -> None:
    file_id = store(gdrive).put("cities.csv", BODY)
    gdrive_double.authority.revoke_everything()

    error = await gdrive.failure(file_id)

    assert isinstance(error, NotConnectedError)
    assert (error.code, error.transient) == (1012, False)
    assert isinstance(gdrive.tokens, MemoryTokens)
    assert gdrive.tokens.token is None
    again = await gdrive.failure(file_id)
    assert isinstance(again, NotConnectedError)
    assert len(gdrive_double.trouble.seen("/token")) == 1


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (400, {"error": "invalid_grant", "error_subtype": "invalid_rapt"}, NotConnectedError),
        (401, {"error": "invalid_client"}, DatasourceConfigurationError),
        (400, {"error": "admin_policy_enforced"}, DriveForbiddenError),
        (400, {"error": "something_new"}, DatasourceConnectError),
        (502, "<html>", DatasourceConnectError),
    ],
    ids=lambda value: value["error"] if isinstance(value, dict) else None,
)
async def test_a_renewal_that_fails_is_told(
    gdrive: ConnectedDrive,
    gdrive_double: GoogleDriveDouble,
    status: int,
    answer: object,
    kind: type[RunError],
) -> None:
    gdrive_double.authority.advance(timedelta(hours=2))
    gdrive_double.trouble.add(Fault(path="/token", status=status, body=json.dumps(answer)))

    error = await gdrive.failure("0123456789")

    assert type(error) is kind
    assert isinstance(gdrive.tokens, MemoryTokens)
    assert (gdrive.tokens.token is None) == (kind is NotConnectedError)


async def test_a_token_that_google_renews_but_does_not_take_is_kept(
    gdrive: ConnectedDrive, gdrive_double: GoogleDriveDouble
) -> None:
    """Nothing says that the permission is gone: it is tried again."""
    gdrive_double.trouble.add(Fault(path="/drive/", status=401), times=2)

    error = await gdrive.failure("0123456789")

    assert isinstance(error, DatasourceConnectError)
    assert gdrive_double.authority.refresh_count == 1
    assert isinstance(gdrive.tokens, MemoryTokens)
    assert gdrive.tokens.token


async def test_a_service_account_reads_without_anybodys_consent(
    gdrive_double: GoogleDriveDouble, cloud_authority: CloudAuthority, tmp_path: Path
) -> None:
    drive = service_account_drive(gdrive_double, cloud_authority, tmp_path)
    file_id = store(drive).put("cities.csv", BODY, is_shared_with_me=True)

    fetched = await drive.file(file_id)

    assert fetched.path.read_bytes() == BODY
    assert [item.id for item in await drive.datasource.list(folder="") if not item.is_folder] == [
        file_id
    ]


async def test_a_service_account_whose_key_was_deleted_is_the_operators_to_mend(
    gdrive_double: GoogleDriveDouble, cloud_authority: CloudAuthority, tmp_path: Path
) -> None:
    drive = service_account_drive(gdrive_double, cloud_authority, tmp_path)
    gdrive_double.google.forget_service_accounts()

    error = await drive.failure("0123456789")

    assert isinstance(error, DatasourceConfigurationError)
    assert "SYNCTABLES_GDRIVE_SERVICE_ACCOUNT_FILE" in str(error)


def service_account_drive(
    double: GoogleDriveDouble, authority: CloudAuthority, folder: Path
) -> ConnectedDrive:
    key_file = folder / "key.json"
    key_file.write_text(json.dumps(double.google.service_account_key(f"{double.base_url}/token")))
    settings = double_settings(
        double,
        authority,
        gdrive_client_id=None,
        gdrive_client_secret=None,
        gdrive_service_account_file=key_file,
    )
    return ConnectedDrive(double.store, settings, MemoryTokens(None), folder)
