"""Consent at Google: given, declined, redeemed once, withdrawn; and no secret is told."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import Callable
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
    DatasourceConnectError,
    SynctablesError,
)
from synctables.settings import Settings
from tests.support.clouds import MemoryTokens
from tests.support.gdrive import BODY, ConnectedDrive, granted, store

VERIFIER = "v" * 64
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
BACK = "https://synctables.example.org/api/v1/imports/service/gdrive/oauth_callback/"


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
    gdrive_settings: Settings, gdrive_double: GoogleDriveDouble, tmp_path: Path
) -> None:
    back = consent(gdrive_settings)
    token = redeem(gdrive_settings, back["code"])

    assert back["state"] == "the state"
    assert token.refresh_token
    assert token.expires_at
    assert timedelta(minutes=55) < token.expires_at - datetime.now(UTC) < timedelta(minutes=65)
    drive = ConnectedDrive(gdrive_double.store, gdrive_settings, MemoryTokens(token), tmp_path)
    file_id = store(drive).put("cities.csv", BODY)
    assert asyncio.run(drive.file(file_id)).size_bytes == len(BODY)


def test_the_consent_page_asks_for_reading_only_and_forever(gdrive_settings: Settings) -> None:
    url = DRIVE.oauth_client(gdrive_settings).authorization_url(
        state="s", code_verifier=VERIFIER, redirect_uri=BACK
    )

    asked = parse_qs(urlsplit(url).query)

    assert asked["scope"] == [SCOPE]
    assert (asked["access_type"], asked["prompt"]) == (["offline"], ["consent"])
    assert asked["code_challenge_method"] == ["S256"]
    assert VERIFIER not in url


def test_a_user_who_declines_is_sent_back_without_a_code(gdrive_settings: Settings) -> None:
    assert consent(gdrive_settings, choice="deny") == {
        "state": "the state",
        "error": "access_denied",
    }


def test_a_code_works_once(gdrive_settings: Settings) -> None:
    code = consent(gdrive_settings)["code"]
    redeem(gdrive_settings, code)

    with pytest.raises(ConsentError):
        redeem(gdrive_settings, code)


def test_a_code_needs_its_verifier(gdrive_settings: Settings) -> None:
    with pytest.raises(ConsentError):
        redeem(gdrive_settings, consent(gdrive_settings)["code"], verifier="w" * 64)


def test_a_consent_with_the_permission_unticked_is_no_consent(
    gdrive_settings: Settings, gdrive_double: GoogleDriveDouble
) -> None:
    gdrive_double.google.granted_scope = "openid"

    with pytest.raises(ConsentError, match="not given"):
        redeem(gdrive_settings, consent(gdrive_settings)["code"])


def test_a_consent_that_does_not_last_is_no_consent(
    gdrive_settings: Settings, gdrive_double: GoogleDriveDouble
) -> None:
    code = gdrive_double.authority.consent(
        client_id=gdrive_double.authority.client_id,
        challenge=CHALLENGE,
        method="S256",
        redirect_uri=BACK,
    )

    with pytest.raises(ConsentError, match="lasting"):
        redeem(gdrive_settings, code)


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
    gdrive_settings: Settings,
    gdrive_double: GoogleDriveDouble,
    fault: Fault,
    kind: type[SynctablesError],
) -> None:
    code = consent(gdrive_settings)["code"]
    gdrive_double.trouble.add(fault)

    with pytest.raises(kind):
        redeem(gdrive_settings, code)


def test_a_client_that_google_does_not_know_is_named(
    gdrive_settings: Settings, gdrive_double: GoogleDriveDouble
) -> None:
    code = consent(gdrive_settings)["code"]
    gdrive_double.authority.client_secret = "another"

    with pytest.raises(ConfigurationError, match="SYNCTABLES_GDRIVE_CLIENT_SECRET"):
        redeem(gdrive_settings, code)


def test_revoking_withdraws_the_consent_and_is_no_error_twice(
    gdrive_settings: Settings, gdrive_double: GoogleDriveDouble
) -> None:
    client, token = DRIVE.oauth_client(gdrive_settings), granted(gdrive_double)

    client.revoke(token)
    client.revoke(token)

    assert not gdrive_double.authority.is_valid(token.access_token)
    sent = gdrive_double.trouble.seen("/revoke")
    assert [one.query for one in sent] == ["", ""]


def test_revoking_at_a_service_that_is_down_is_tried_again(
    gdrive_settings: Settings, gdrive_double: GoogleDriveDouble
) -> None:
    gdrive_double.trouble.add(Fault(path="/revoke", status=503))

    with pytest.raises(DatasourceConnectError):
        DRIVE.oauth_client(gdrive_settings).revoke(granted(gdrive_double))


async def test_no_secret_is_in_any_log_error_address_or_repr(
    gdrive: ConnectedDrive,
    gdrive_settings: Settings,
    gdrive_double: GoogleDriveDouble,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in (None, "google", "googleapiclient", "requests", "urllib3", "oauthlib"):
        caplog.set_level("DEBUG", logger=name)  # whatever an earlier test made quiet
    told: list[str] = []
    back = await asyncio.to_thread(consent, gdrive_settings)
    token = await asyncio.to_thread(redeem, gdrive_settings, back["code"])
    client = DRIVE.oauth_client(gdrive_settings)
    told += [repr(token), repr(client), repr(vars(client))]
    told.append(
        str(await asyncio.to_thread(failure_of, lambda: redeem(gdrive_settings, back["code"])))
    )
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
