"""Consent at Dropbox: the page, the code, tokens and their end; and that none of it leaks."""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from doubles.dropbox import DropboxDouble
from doubles.server import Fault
from synctables.datasources.drives.model import OAuthClient
from synctables.datasources.dropbox import DRIVE
from synctables.errors import (
    ConsentError,
    DatasourceConfigurationError,
    DatasourceConnectError,
    DropboxPermissionError,
    RunError,
    SynctablesError,
)
from synctables.settings import Settings
from tests.support.dropbox_cloud import REDIRECT_URI, Reader, granted

VERIFIER = "secret-verifier-" + "v" * 40
SCOPES = ["account_info.read", "files.metadata.read", "files.content.read", "sharing.read"]
TOKEN = "/oauth2/token"


@pytest.fixture
def client(dropbox_settings: Settings) -> OAuthClient:
    return DRIVE.oauth_client(dropbox_settings)


def url_of(client: OAuthClient) -> str:
    return client.authorization_url(
        state="the-state", code_verifier=VERIFIER, redirect_uri=REDIRECT_URI
    )


def answer_page(client: OAuthClient, settings: Settings, *, approve: int) -> dict[str, list[str]]:
    """What the browser brings back after a click on the consent page."""
    url = url_of(client)
    page = requests.get(url, verify=str(settings.drive_ca_file), timeout=10)
    assert page.ok
    assert all(scope in page.text for scope in SCOPES)
    clicked = requests.get(
        f"{url}&approve={approve}",
        verify=str(settings.drive_ca_file),
        timeout=10,
        allow_redirects=False,
    )
    assert clicked.headers["Location"].startswith(REDIRECT_URI)
    return parse_qs(urlsplit(clicked.headers["Location"]).query)


def test_the_address_for_consent_asks_for_reading_only_and_proves_itself_later(
    dropbox_settings: Settings,
) -> None:
    settings = dropbox_settings.model_copy(update={"dropbox_endpoint": None})
    url = url_of(DRIVE.oauth_client(settings))
    assert url.startswith("https://www.dropbox.com/oauth2/authorize?")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert asked.pop("code_challenge")
    assert asked.pop("scope").split() == SCOPES
    assert asked.pop("force_reapprove") == "true", "nobody is sent back without a question"
    assert asked == {
        "response_type": "code",
        "client_id": settings.dropbox_client_id,
        "redirect_uri": REDIRECT_URI,
        "state": "the-state",
        "code_challenge_method": "S256",
        "token_access_type": "offline",
    }
    assert VERIFIER not in url


def test_a_consent_becomes_a_token_that_is_renewed_and_withdrawn(
    client: OAuthClient, dropbox_settings: Settings, dropbox_double: DropboxDouble
) -> None:
    back = answer_page(client, dropbox_settings, approve=1)
    assert back["state"] == ["the-state"]
    token = client.redeem(back["code"][0], code_verifier=VERIFIER, redirect_uri=REDIRECT_URI)
    assert token.refresh_token
    assert token.expires_at
    assert not token.is_stale(datetime.now(UTC))
    assert dropbox_double.authority.is_valid(token.access_token)

    renewed = client.refresh(token)
    assert renewed.access_token != token.access_token
    assert renewed.refresh_token == token.refresh_token

    client.revoke(renewed)
    assert not dropbox_double.authority.tokens_ever()
    client.revoke(renewed)
    with pytest.raises(DropboxPermissionError) as raised:
        client.refresh(renewed)
    assert (raised.value.code, raised.value.transient) == (1016, False)


@pytest.mark.parametrize("is_known_to_have_ended", [True, False])
def test_a_consent_is_withdrawn_although_its_access_token_has_ended(
    client: OAuthClient, dropbox_double: DropboxDouble, is_known_to_have_ended: bool
) -> None:
    lasts = timedelta(0) if is_known_to_have_ended else timedelta(hours=9)
    token = granted(dropbox_double.authority, lasts=lasts)
    dropbox_double.authority.advance(timedelta(hours=2))
    client.revoke(token)
    assert not dropbox_double.authority.tokens_ever()


def test_who_declines_brings_back_no_code(client: OAuthClient, dropbox_settings: Settings) -> None:
    back = answer_page(client, dropbox_settings, approve=0)
    assert back["error"] == ["access_denied"]
    assert "code" not in back


def test_a_code_works_once_and_only_for_who_asked_for_it(
    client: OAuthClient, dropbox_settings: Settings
) -> None:
    def code() -> str:
        return answer_page(client, dropbox_settings, approve=1)["code"][0]

    used = code()
    client.redeem(used, code_verifier=VERIFIER, redirect_uri=REDIRECT_URI)
    for attempt in (
        {"code": used, "code_verifier": VERIFIER, "redirect_uri": REDIRECT_URI},
        {"code": "made up", "code_verifier": VERIFIER, "redirect_uri": REDIRECT_URI},
        {"code": code(), "code_verifier": "another", "redirect_uri": REDIRECT_URI},
        {"code": code(), "code_verifier": VERIFIER, "redirect_uri": "https://evil.example/"},
    ):
        with pytest.raises(ConsentError):
            client.redeem(**attempt)


@dataclass(frozen=True)
class TokenTrouble:
    status: int
    body: str
    kind: type[SynctablesError]
    headers: tuple[tuple[str, str], ...] = ()
    waits: int | None = None


@pytest.mark.parametrize(
    "trouble",
    [
        TokenTrouble(
            400,
            '{"error": "invalid_client: Invalid client_id or client_secret"}',
            DatasourceConfigurationError,
        ),
        TokenTrouble(401, '{"error": "invalid_client"}', DatasourceConfigurationError),
        TokenTrouble(400, '{"error": "unsupported_grant_type"}', DatasourceConnectError),
        TokenTrouble(400, "no JSON", DatasourceConnectError),
        TokenTrouble(200, "{}", DatasourceConnectError),
        TokenTrouble(200, '{"access_token": "a", "expires_in": "x"}', DatasourceConnectError),
        TokenTrouble(503, "", DatasourceConnectError, (("Retry-After", "7"),), 7),
        TokenTrouble(429, "", DatasourceConnectError, (("Retry-After", "9"),), 9),
    ],
    ids=lambda trouble: f"{trouble.status} {trouble.body[:24]}",
)
async def test_a_token_that_cannot_be_renewed_for_now_is_kept(
    reader: Reader, dropbox_double: DropboxDouble, trouble: TokenTrouble
) -> None:
    reader.tokens.token = granted(dropbox_double.authority, lasts=timedelta(0))
    dropbox_double.trouble.add(
        Fault(path=TOKEN, status=trouble.status, body=trouble.body, headers=dict(trouble.headers))
    )
    with pytest.raises(RunError) as raised:
        await reader.fetch("/cities.csv")
    assert type(raised.value) is trouble.kind
    assert getattr(raised.value, "retry_after_seconds", None) == trouble.waits
    assert reader.tokens.token is not None
    assert not reader.tokens.discarded


async def test_a_token_without_the_means_to_renew_it_ends(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    reader.tokens.token = replace(
        granted(dropbox_double.authority, lasts=timedelta(0)), refresh_token=None
    )
    with pytest.raises(DropboxPermissionError):
        await reader.fetch("/cities.csv")
    assert reader.tokens.token is None


# --- secrets -------------------------------------------------------------------------------------


async def test_no_secret_is_in_any_log_error_repr_or_address(
    reader: Reader,
    client: OAuthClient,
    dropbox_double: DropboxDouble,
    dropbox_settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("", "dropbox", "requests", "urllib3"):  # whatever an earlier test made quiet
        caplog.set_level(logging.DEBUG, logger=name or None)
    files, trouble = dropbox_double.files, dropbox_double.trouble
    said: list[str] = [repr(reader.datasource), repr(client), repr(reader.tokens.current())]
    secrets = {VERIFIER, dropbox_double.authority.client_secret}

    code = answer_page(client, dropbox_settings, approve=1)["code"][0]
    secrets.add(code)
    seen_before = len(trouble.seen())
    token = client.redeem(code, code_verifier=VERIFIER, redirect_uri=REDIRECT_URI)
    said += [repr(token), repr(client.refresh(token))]
    files.put("/cities.csv", b"name\nOslo\n")
    link = files.share("/cities.csv")
    secrets.add(parse_qs(urlsplit(link).query)["rlkey"][0])
    await reader.fetch("/cities.csv")
    await reader.fetch(link)
    secrets |= dropbox_double.authority.tokens_ever()

    quoting = f'Invalid "Authorization": "Bearer {token.access_token}" in this request'
    for path in ("/2/files/get_metadata", "/2/sharing/get_shared_link_metadata"):
        for status in (400, 401, 403, 409, 422, 429, 500, 200):
            times = 2 if status == 401 else 1  # renewed once
            trouble.add(Fault(path=path, status=status, body=quoting), times=times)
            item = link if "sharing" in path else "/cities.csv"
            said.append(await _failing(reader, item))
            reader.tokens.token = granted(dropbox_double.authority)
    files.unshare(link)
    said.append(await _failing(reader, link))
    for status in (400, 401, 429, 500):
        trouble.add(Fault(path=TOKEN, status=status, body=quoting + VERIFIER + code))
        said.append(_failing_redeem(client, code))
    secrets |= dropbox_double.authority.tokens_ever()

    said += [caplog.text, *(f"{one.path}?{one.query}" for one in trouble.seen()[seen_before:])]
    assert "Request to files/get_metadata" in caplog.text, "the SDK's own log was not seen"
    assert [secret for secret in secrets if any(secret in text for text in said)] == []


async def _failing(reader: Reader, item: str) -> str:
    with pytest.raises(RunError) as raised:
        await reader.datasource.probe(item, known=None)
    return _everything_about(raised.value)


def _failing_redeem(client: OAuthClient, code: str) -> str:
    with pytest.raises(SynctablesError) as raised:
        client.redeem(code, code_verifier=VERIFIER, redirect_uri=REDIRECT_URI)
    return _everything_about(raised.value)


def _everything_about(error: BaseException) -> str:
    return f"{error}{error!r}{vars(error)}{''.join(traceback.format_exception(error))}"
