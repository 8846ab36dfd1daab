"""Consent at Google, and tokens that end, are renewed by several workers, and are revoked."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from doubles.gdrive import GoogleDriveDouble
from doubles.server import Fault
from synctables.datasources.drives.model import OAuthToken
from synctables.datasources.gdrive import DRIVE
from synctables.datasources.gdrive.installation import SCOPE
from synctables.errors import (
    ConfigurationError,
    ConsentError,
    DatasourceConfigurationError,
    DatasourceConnectError,
    DriveForbiddenError,
    NotConnectedError,
    RunError,
    SynctablesError,
)
from synctables.settings import Settings
from tests.support.clouds import CloudAuthority, MemoryTokens
from tests.support.gdrive import ConnectedDrive, double_settings, granted, store

BODY = b"name,lat,lon\n" + b"Jena,50.9,11.6\n" * 80_000
VERIFIER = "v" * 64
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
BACK = "https://synctables.example.org/api/v1/imports/service/gdrive/oauth_callback/"


@pytest.fixture
def settings(gdrive_double: GoogleDriveDouble, cloud_authority: CloudAuthority) -> Settings:
    return double_settings(gdrive_double, cloud_authority)


def consent(settings: Settings, *, choice: str = "approve") -> dict[str, str]:
    """What comes back after a click on the consent page."""
    url = DRIVE.oauth_client(settings).authorization_url(
        state="the state", code_verifier=VERIFIER, redirect_uri=BACK
    )
    trusted = str(settings.drive_ca_file)
    page = requests.get(url, verify=trusted, timeout=10)
    assert f'id="{choice}"' in page.text
    sent = requests.get(f"{url}&{choice}=1", verify=trusted, timeout=10, allow_redirects=False)
    assert sent.headers["Location"].startswith(BACK)
    return {
        name: value for name, [value] in parse_qs(urlsplit(sent.headers["Location"]).query).items()
    }


def redeem(settings: Settings, code: str, *, verifier: str = VERIFIER) -> OAuthToken:
    client = DRIVE.oauth_client(settings)
    return client.redeem(code, code_verifier=verifier, redirect_uri=BACK)


def test_a_consent_becomes_a_token_that_reads(
    settings: Settings, gdrive_double: GoogleDriveDouble, tmp_path: Path
) -> None:
    back = consent(settings)
    token = redeem(settings, back["code"])

    assert back["state"] == "the state"
    assert token.refresh_token
    assert token.expires_at
    assert timedelta(minutes=55) < token.expires_at - datetime.now(UTC) < timedelta(minutes=65)
    drive = ConnectedDrive(gdrive_double.store, settings, MemoryTokens(token), tmp_path)
    file_id = store(drive).put("cities.csv", BODY)
    assert asyncio.run(drive.file(file_id)).size_bytes == len(BODY)


def test_the_consent_page_asks_for_reading_only_and_forever(settings: Settings) -> None:
    url = DRIVE.oauth_client(settings).authorization_url(
        state="s", code_verifier=VERIFIER, redirect_uri=BACK
    )

    asked = parse_qs(urlsplit(url).query)

    assert asked["scope"] == [SCOPE]
    assert (asked["access_type"], asked["prompt"]) == (["offline"], ["consent"])
    assert asked["code_challenge_method"] == ["S256"]
    assert VERIFIER not in url


def test_a_user_who_declines_is_sent_back_without_a_code(settings: Settings) -> None:
    assert consent(settings, choice="deny") == {"state": "the state", "error": "access_denied"}


def test_a_code_works_once(settings: Settings) -> None:
    code = consent(settings)["code"]
    redeem(settings, code)

    with pytest.raises(ConsentError):
        redeem(settings, code)


def test_a_code_needs_its_verifier(settings: Settings) -> None:
    with pytest.raises(ConsentError):
        redeem(settings, consent(settings)["code"], verifier="w" * 64)


def test_a_consent_with_the_permission_unticked_is_no_consent(
    settings: Settings, gdrive_double: GoogleDriveDouble
) -> None:
    gdrive_double.google.granted_scope = "openid"

    with pytest.raises(ConsentError, match="not given"):
        redeem(settings, consent(settings)["code"])


def test_a_consent_that_does_not_last_is_no_consent(
    settings: Settings, gdrive_double: GoogleDriveDouble
) -> None:
    code = gdrive_double.authority.consent(
        client_id=gdrive_double.authority.client_id,
        challenge=CHALLENGE,
        method="S256",
        redirect_uri=BACK,
    )

    with pytest.raises(ConsentError, match="lasting"):
        redeem(settings, code)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(path="/token", status=401, body='{"error": "invalid_client"}'), ConfigurationError),
        (
            Fault(path="/token", status=400, body='{"error": "redirect_uri_mismatch"}'),
            ConfigurationError,
        ),
        (Fault(path="/token", status=200, body="<html>"), ConsentError),
        (
            Fault(path="/token", status=200, body='{"access_token": "a", "expires_in": "x"}'),
            DatasourceConnectError,
        ),
    ],
)
def test_a_code_that_brings_no_token_is_told(
    settings: Settings,
    gdrive_double: GoogleDriveDouble,
    fault: Fault,
    kind: type[SynctablesError],
) -> None:
    code = consent(settings)["code"]
    gdrive_double.trouble.add(fault)

    with pytest.raises(kind):
        redeem(settings, code)


def test_a_client_that_google_does_not_know_is_named(
    settings: Settings, gdrive_double: GoogleDriveDouble
) -> None:
    code = consent(settings)["code"]
    gdrive_double.authority.client_secret = "another"

    with pytest.raises(ConfigurationError, match="SYNCTABLES_GDRIVE_CLIENT_SECRET"):
        redeem(settings, code)


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
    gdrive_double: GoogleDriveDouble, settings: Settings, tmp_path: Path
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
    drive = ConnectedDrive(gdrive_double.store, settings, tokens, tmp_path)

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


def test_revoking_withdraws_the_consent_and_is_no_error_twice(
    settings: Settings, gdrive_double: GoogleDriveDouble
) -> None:
    client, token = DRIVE.oauth_client(settings), granted(gdrive_double)

    client.revoke(token)
    client.revoke(token)

    assert not gdrive_double.authority.is_valid(token.access_token)
    sent = gdrive_double.trouble.seen("/revoke")
    assert [one.query for one in sent] == ["", ""]


def test_revoking_at_a_service_that_is_down_is_tried_again(
    settings: Settings, gdrive_double: GoogleDriveDouble
) -> None:
    gdrive_double.trouble.add(Fault(path="/revoke", status=503))

    with pytest.raises(DatasourceConnectError):
        DRIVE.oauth_client(settings).revoke(granted(gdrive_double))


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


async def test_no_secret_is_in_any_log_error_address_or_repr(
    gdrive: ConnectedDrive,
    settings: Settings,
    gdrive_double: GoogleDriveDouble,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in (None, "google", "googleapiclient", "requests", "urllib3", "oauthlib"):
        caplog.set_level("DEBUG", logger=name)  # whatever an earlier test made quiet
    told: list[str] = []
    back = await asyncio.to_thread(consent, settings)
    token = await asyncio.to_thread(redeem, settings, back["code"])
    client = DRIVE.oauth_client(settings)
    told += [repr(token), repr(client), repr(vars(client))]
    told.append(str(await asyncio.to_thread(failure_of, lambda: redeem(settings, back["code"]))))
    file_id = store(gdrive).put("cities.csv", BODY)
    key = parse_qs(urlsplit(store(gdrive).share_by_link(file_id)).query)["resourcekey"][0]
    link = f"https://drive.google.com/file/d/{file_id}/view?resourcekey={key}"
    await gdrive.file(link)
    gdrive_double.authority.advance(timedelta(hours=2))
    await gdrive.file(link)
    secrets = gdrive_double.authority.tokens_ever() | {back["code"], VERIFIER, key}
    store(gdrive).delete(file_id)
    told.append(describe(await gdrive.failure(link)))
    gdrive_double.authority.revoke_everything()
    told.append(describe(await gdrive.failure(link)))
    told += [record.getMessage() + str(vars(record)) for record in caplog.records]
    told += [
        f"{seen.path}?{seen.query}"
        for seen in gdrive_double.trouble.seen()
        if seen.path != "/o/oauth2/v2/auth"
    ]

    assert len(secrets) >= 7
    assert len(told) > 20
    secrets |= {gdrive_double.authority.client_secret}
    assert [(secret, text) for secret in secrets for text in told if secret in text] == []


def describe(error: BaseException | None) -> str:
    """The error with all that caused it, as a log would have it."""
    if error is None:
        return ""
    return f"{error!r} {error} {describe(error.__cause__)}"


def failure_of(call: Callable[[], object]) -> SynctablesError:
    with pytest.raises(SynctablesError) as caught:
        call()
    return caught.value
