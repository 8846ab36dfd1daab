"""Tokens at Box: asked for with PKCE, renewed once for all, never lost, withdrawn, never shown."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import structlog

from doubles.box import BoxDouble
from doubles.oauth import Authority
from doubles.server import Fault
from synctables.datasources.base import Fetched
from synctables.datasources.box import DRIVE
from synctables.datasources.drives.model import OAuthToken
from synctables.errors import (
    BoxPermissionError,
    ConsentError,
    DatasourceConfigurationError,
    DatasourceConnectError,
    DriveForbiddenError,
    NotConnectedError,
    RunError,
)
from synctables.log import configure_logging
from tests.support.clouds_box import box_at_hand, stored_token

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.clouds import CloudAuthority
    from tests.support.clouds_box import BoxAtHand

CALLBACK = "https://tables.example.org/api/v1/imports/service/box/oauth_callback/"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # of RFC 7636, appendix B
TOKEN = "/oauth2/token"
AN_HOUR = timedelta(hours=1, minutes=1)


class FileTokens:
    """Tokens in a file that several of these share, as workers share a row of the database."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def current(self) -> OAuthToken:
        text = self._path.read_text()
        if not text:
            raise NotConnectedError
        return OAuthToken.from_json(text)

    def renew(self, stale: OAuthToken, exchange: Callable[[OAuthToken], OAuthToken]) -> OAuthToken:
        with self._locked():
            if (current := self.current()) == stale:
                current = exchange(stale)
                self._path.write_text(current.to_json())
            return current

    def discard(self, dead: OAuthToken) -> None:
        with self._locked():
            if self._path.read_text() == dead.to_json():
                self._path.write_text("")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@pytest.fixture(params=["repeats", "never repeats"])
def either_box(
    request: pytest.FixtureRequest, cloud_authority: CloudAuthority, tmp_path: Path
) -> Iterator[BoxAtHand]:
    """A Box that answers a lost refresh again, as Box does, and a stricter one."""
    authority = Authority(rotates=True, repeats_unused=request.param == "repeats")
    with box_at_hand(BoxDouble(authority=authority), cloud_authority, tmp_path / "box") as box:
        yield box


def consent(box: BoxAtHand, state: str = "st4te") -> str:
    """Press the button of the consent page. Returns the address to which it leads."""
    address = DRIVE.oauth_client(box.settings).authorization_url(
        state=state, code_verifier=VERIFIER, redirect_uri=CALLBACK
    )
    ca_file = str(box.settings.drive_ca_file)
    page = requests.get(address, verify=ca_file, timeout=20)
    [approve] = re.findall(r'href="([^"]*approve=1)"', page.text)
    link = box.double.base_url + approve.replace("&amp;", "&")
    answer = requests.get(link, verify=ca_file, timeout=20, allow_redirects=False)
    return answer.headers["Location"]


def test_the_consent_page_is_boxs_with_a_challenge(box: BoxAtHand) -> None:
    real = box.settings.model_copy(update={"box_endpoint": None})
    address = DRIVE.oauth_client(real).authorization_url(
        state="st4te", code_verifier=VERIFIER, redirect_uri=CALLBACK
    )
    assert address.startswith("https://account.box.com/api/oauth2/authorize?")
    assert parse_qs(urlsplit(address).query) == {
        "response_type": ["code"],
        "client_id": ["client-id"],
        "redirect_uri": [CALLBACK],
        "state": ["st4te"],
        "code_challenge": ["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"],
        "code_challenge_method": ["S256"],
    }


async def test_a_consent_becomes_a_token_that_reads(box: BoxAtHand) -> None:
    number = box.double.items.put("/a.csv", b"name\n")
    back = urlsplit(consent(box))
    query = parse_qs(back.query)
    assert f"{back.scheme}://{back.netloc}{back.path}" == CALLBACK
    assert query["state"] == ["st4te"]
    oauth = DRIVE.oauth_client(box.settings)
    box.tokens.token = await asyncio.to_thread(
        lambda: oauth.redeem(query["code"][0], code_verifier=VERIFIER, redirect_uri=CALLBACK)
    )
    assert box.tokens.token.expires_at is not None
    assert isinstance(await box.fetcher.fetch(number), Fetched)


@pytest.mark.parametrize(
    "wrong", [{"code": "other"}, {"code_verifier": "w" * 64}, {"redirect_uri": f"{CALLBACK}x"}]
)
def test_a_code_that_box_does_not_take_gives_no_token(
    box: BoxAtHand, wrong: dict[str, str]
) -> None:
    code = parse_qs(urlsplit(consent(box)).query)["code"][0]
    given = {"code": code, "code_verifier": VERIFIER, "redirect_uri": CALLBACK, **wrong}
    with pytest.raises(ConsentError, match="Box did not take the code"):
        DRIVE.oauth_client(box.settings).redeem(**given)


async def test_an_access_token_that_is_about_to_end_is_renewed_first(box: BoxAtHand) -> None:
    number = box.double.items.put("/a.csv", b"name\n")
    first = box.tokens.current()
    assert first.expires_at is not None
    box.tokens.token = OAuthToken(
        access_token=first.access_token,
        refresh_token=first.refresh_token,
        expires_at=first.expires_at - timedelta(minutes=59),
    )
    await box.fetcher.file(number)
    assert box.double.authority.refresh_count == 1
    assert box.tokens.stored == [box.tokens.token]
    assert {one.headers["authorization"] for one in box.double.trouble.seen("/2.0/")} == {
        f"Bearer {box.tokens.current().access_token}"
    }


async def test_an_access_token_that_ends_in_the_middle_of_a_run_is_renewed(box: BoxAtHand) -> None:
    number = box.double.items.put("/a.csv", b"name\n")
    box.double.before_content = lambda: box.double.authority.advance(AN_HOUR)
    await box.fetcher.file(number)
    assert box.double.authority.refresh_count == 1
    assert len(box.double.trouble.seen("/2.0/files/[0-9]+/content")) == 2


async def test_a_token_that_is_refused_again_and_again_is_renewed_once(box: BoxAtHand) -> None:
    box.double.trouble.add(Fault(path="/2.0/files/", status=401), times=9)
    with pytest.raises(DatasourceConnectError, match="401") as raised:
        await box.fetcher.fetch("12345")
    assert raised.value.transient
    assert box.double.authority.refresh_count == 1
    assert box.tokens.discarded == []


@pytest.mark.parametrize("worker_count", [2, 7])
async def test_workers_that_renew_at_once_never_lose_the_token(
    either_box: BoxAtHand, tmp_path: Path, worker_count: int
) -> None:
    box, path = either_box, tmp_path / "token.json"
    path.write_text(box.tokens.current().to_json())
    number = box.double.items.put("/a.csv", b"name\n")
    workers = [
        box.fetcher_with(FileTokens(path), tmp_path / f"worker{one}") for one in range(worker_count)
    ]
    for hours in range(1, 4):
        box.double.authority.advance(AN_HOUR)
        fetched = await asyncio.gather(*(worker.fetch(number) for worker in workers))
        assert all(isinstance(one, Fetched) for one in fetched)
        assert box.double.authority.refresh_count == hours


async def test_threads_that_share_their_tokens_renew_once(either_box: BoxAtHand) -> None:
    box = either_box
    numbers = [box.double.items.put(f"/{one}.csv", b"name\n") for one in range(6)]
    box.double.authority.advance(AN_HOUR)
    fetched = await asyncio.gather(*(box.fetcher.fetch(number) for number in numbers))
    assert all(isinstance(one, Fetched) for one in fetched)
    assert box.double.authority.refresh_count == len(box.tokens.stored) == 1


@pytest.mark.parametrize("lost", [1, 2])
async def test_a_lost_answer_is_asked_for_again_at_once(box: BoxAtHand, lost: int) -> None:
    number = box.double.items.put("/a.csv", b"name\n")
    box.double.authority.advance(AN_HOUR)
    box.double.trouble.add(Fault(path=TOKEN, cut_after_bytes=0), times=lost)
    assert isinstance(await box.fetcher.fetch(number), Fetched)
    assert box.double.authority.refresh_count == 1
    assert len(box.double.trouble.seen(TOKEN)) == lost + 1


async def test_answers_that_stay_lost_cost_the_run_and_not_the_token(box: BoxAtHand) -> None:
    number = box.double.items.put("/a.csv", b"name\n")
    before = box.tokens.current()
    box.double.authority.advance(AN_HOUR)
    box.double.trouble.add(Fault(path=TOKEN, cut_after_bytes=0), times=3)
    with pytest.raises(DatasourceConnectError):
        await box.fetcher.fetch(number)
    assert box.tokens.current() == before
    assert isinstance(await box.fetcher.fetch(number), Fetched)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_token_endpoint_that_wants_rest_gets_it(box: BoxAtHand, status: int) -> None:
    box.double.authority.advance(AN_HOUR)
    fault = Fault(path=TOKEN, status=status, headers={"Retry-After": "30"})
    box.double.trouble.add(fault, times=9)
    with pytest.raises(DatasourceConnectError) as raised:
        await box.fetcher.fetch("12345")
    assert raised.value.retry_after_seconds == 30
    assert len(box.double.trouble.seen(TOKEN)) == 1
    assert box.tokens.discarded == []


async def test_an_answer_that_is_lost_for_good_asks_the_user_to_connect_again(
    cloud_authority: CloudAuthority, tmp_path: Path
) -> None:
    strict = BoxDouble(authority=Authority(rotates=True))
    with box_at_hand(strict, cloud_authority, tmp_path / "box") as box:
        box.double.authority.advance(AN_HOUR)
        box.double.trouble.add(Fault(path=TOKEN, cut_after_bytes=0))
        with pytest.raises(BoxPermissionError) as raised:
            await box.fetcher.fetch("12345")
    assert (raised.value.code, raised.value.transient) == (1021, False)
    assert "Connect Box again" in raised.value.hint
    assert box.tokens.token is None


async def test_a_withdrawn_consent_forgets_the_token_and_says_so(box: BoxAtHand) -> None:
    dead = box.tokens.current()
    box.double.authority.revoke_everything()
    with pytest.raises(BoxPermissionError, match="withdrawn") as raised:
        await box.fetcher.fetch("12345")
    assert (raised.value.code, raised.value.transient) == (1021, False)
    assert box.tokens.discarded == [dead]
    with pytest.raises(NotConnectedError):
        await box.fetcher.fetch("12345")


async def test_a_new_connection_survives_the_death_of_the_old_one(box: BoxAtHand) -> None:
    number = box.double.items.put("/a.csv", b"name\n")
    dead = box.tokens.current()
    box.double.authority.revoke_everything()
    fresh = stored_token(box.double.authority.grant())
    box.tokens.token = fresh
    box.tokens.discard(dead)
    assert isinstance(await box.fetcher.fetch(number), Fetched)
    assert box.tokens.token == fresh


@pytest.mark.parametrize("is_stale", [True, False])
def test_disconnecting_withdraws_the_consent_at_box(box: BoxAtHand, *, is_stale: bool) -> None:
    token = box.tokens.current()
    if is_stale:
        box.double.authority.advance(AN_HOUR)
    oauth = DRIVE.oauth_client(box.settings)
    oauth.revoke(token)
    with pytest.raises(BoxPermissionError):
        oauth.refresh(token)
    oauth.revoke(token)


@pytest.mark.parametrize(
    ("refusal", "expected", "message"),
    [
        ("invalid_client", DatasourceConfigurationError, "SYNCTABLES_BOX_CLIENT_SECRET"),
        ("unauthorized_client", DriveForbiddenError, "administrators"),
        ("invalid_grant", BoxPermissionError, "no more"),
    ],
)
def test_a_refusal_says_whose_it_is_to_mend(
    box: BoxAtHand, refusal: str, expected: type[RunError], message: str
) -> None:
    body = f'{{"error": "{refusal}", "error_description": "secret-detail"}}'
    box.double.trouble.add(Fault(path=TOKEN, status=400, body=body))
    with pytest.raises(expected, match=message):
        DRIVE.oauth_client(box.settings).refresh(box.tokens.current())


@pytest.fixture
def debug_logs(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What the program would log at its most talkative."""
    root, structured = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    configure_logging(level="DEBUG")
    yield lambda: capsys.readouterr().err
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**structured)


async def test_no_secret_is_in_any_log_error_or_address(
    box: BoxAtHand, debug_logs: Callable[[], str]
) -> None:
    number = box.double.items.put("/a.csv", b"name\n" * 50_000)
    oauth = DRIVE.oauth_client(box.settings)
    said = [repr(box.tokens.current()), repr(box.settings), repr(oauth)]

    async def attempt(*faults: Fault) -> None:
        for fault in faults:
            box.double.trouble.add(fault)
        try:
            said.append(repr(await box.fetcher.fetch(number)))
        except RunError as error:
            said.extend([*traceback.format_exception(error), repr(error)])

    await attempt(Fault(path="/d/1/", cut_after_bytes=70_000))
    await attempt(*[Fault(path="/2.0/files/", status=401)] * 2)
    await attempt(Fault(path="/2.0/files/", status=500, body='{"type": "error"}'))
    await attempt(*[Fault(path="/d/1/", status=403)] * 5)
    box.double.authority.advance(AN_HOUR)
    await attempt(*[Fault(path=TOKEN, cut_after_bytes=0)] * 3)
    secrets = box.double.authority.tokens_ever()
    box.double.authority.revoke_everything()
    await attempt()
    given = {"code": "secret-code", "code_verifier": "secret-verifier", "redirect_uri": CALLBACK}
    with pytest.raises(ConsentError) as refused:
        oauth.redeem(**given)
    said.extend(traceback.format_exception(refused.value))
    said.extend(f"{one.path}?{one.query}" for one in box.double.trouble.seen("/(2.0|oauth2)/"))
    everything = "\n".join([*said, debug_logs()])
    assert len(secrets) >= 3
    assert box.double.authority.client_secret not in everything
    assert not [one for one in (*secrets, "secret-") if one in everything]
