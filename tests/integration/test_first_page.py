"""The first page, over HTTP."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import requests

from synctables.accounts.service import rotate_key
from synctables.db.pool import connect

if TYPE_CHECKING:
    from tests.support.api_server import ApiAccount

_COOKIE = "synctables_session"


def _sign_in(api: ApiAccount, api_key: str, **headers: str) -> requests.Response:
    return api.call_plain(
        "POST", "/sign-in", data={"api_key": api_key}, headers=headers, allow_redirects=False
    )


def _session(api: ApiAccount) -> dict[str, str]:
    session = _sign_in(api, api.api_key).cookies[_COOKIE]
    assert session is not None
    return {_COOKIE: session}


def test_a_stranger_learns_that_it_runs_and_nothing_else(api: ApiAccount) -> None:
    api.create_sync(url="https://example.org/secret.csv")
    answer = api.call_plain("GET", "/")
    assert answer.status_code == 200
    assert "Synctables is running" in answer.text
    assert 'href="/openapi.json"' in answer.text
    assert "secret.csv" not in answer.text
    assert api.name not in answer.text


def test_whoever_signs_in_sees_the_sync_tables(api: ApiAccount) -> None:
    api.create_sync(url="https://user:word@example.org/parks.csv?token=mystery", table_name="parks")
    answer = _sign_in(api, api.api_key)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    page = api.call_plain("GET", "/", cookies={_COOKIE: answer.cookies[_COOKIE]}).text
    assert f"<strong>{api.name}</strong>" in page
    assert "https://example.org/parks.csv" in page
    assert "word" not in page
    assert "mystery" not in page
    assert re.search(r"<time datetime=\"[\dT:+-]+\" title=\"[^\"]+ UTC\">in 59 min</time>", page)


def test_a_key_in_the_address_signs_in_and_leaves_the_address(api: ApiAccount) -> None:
    api.create_sync(url="https://example.org/parks.csv")
    page = requests.get(f"{api.base_url}/", params={"api_key": api.api_key}, timeout=10)
    assert "https://example.org/parks.csv" in page.text
    assert api.api_key not in page.url


def test_a_link_on_another_site_signs_nobody_in(api: ApiAccount) -> None:
    answer = requests.get(
        f"{api.base_url}/",
        params={"api_key": api.api_key},
        headers={"Sec-Fetch-Site": "cross-site"},
        timeout=10,
    )
    assert "Synctables is running" in answer.text
    assert _COOKIE not in answer.cookies


def test_a_form_with_many_fields_signs_nobody_in(api: ApiAccount) -> None:
    fields = {f"field_{number}": "x" for number in range(50)}
    assert api.call_plain("POST", "/sign-in", data=fields).status_code == 401


def test_the_session_is_out_of_reach_of_scripts_and_other_sites(api: ApiAccount) -> None:
    cookie = _sign_in(api, api.api_key).headers["Set-Cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert api.api_key not in cookie


def test_the_page_allows_only_its_own_scripts_and_is_not_kept(api: ApiAccount) -> None:
    headers = api.call_plain("GET", "/").headers
    assert headers["Content-Security-Policy"].startswith("default-src 'self';")
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("api_key", ["", "wrong", "é\x00", "x" * 10_000])
def test_a_wrong_key_opens_nothing(api: ApiAccount, api_key: str) -> None:
    answer = _sign_in(api, api_key)
    assert answer.status_code == 401
    assert "No account has this key." in answer.text
    assert _COOKIE not in answer.cookies


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({}, 303),
    ],
)
def test_only_a_form_of_this_page_signs_in(
    api: ApiAccount, headers: dict[str, str], status: int
) -> None:
    assert _sign_in(api, api.api_key, **headers).status_code == status


def test_the_fragment_renews_the_table_alone(api: ApiAccount) -> None:
    api.create_sync(table_name="parks")
    answer = api.call_plain("GET", "/fragments/syncs", cookies=_session(api))
    assert answer.status_code == 200
    assert answer.text.lstrip().startswith(("<p", "<table"))
    assert "parks" in answer.text


def test_without_a_session_the_fragment_sends_the_browser_back_to_the_page(api: ApiAccount) -> None:
    answer = api.call_plain("GET", "/fragments/syncs")
    assert (answer.status_code, answer.headers["HX-Refresh"]) == (401, "true")
    assert answer.text == ""


def test_a_forged_session_is_a_stranger(api: ApiAccount) -> None:
    genuine = _session(api)[_COOKIE]
    claim, _, signature = genuine.rpartition(".")
    key_id, ends_at = claim.split(".")
    for forged in (
        f"{claim}.{'0' * len(signature)}",
        f"{key_id}.{int(ends_at) + 1}.{signature}",
        f"{'0' * 32}.{ends_at}.{signature}",
    ):
        page = api.call_plain("GET", "/", cookies={_COOKIE: forged}).text
        assert api.name not in page


async def test_a_new_key_ends_the_sessions_of_the_old_one(api: ApiAccount) -> None:
    cookies = _session(api)
    async with await connect(api.server.database_url, application_name="tests") as connection:
        await rotate_key(connection, name=api.name)
    assert "Synctables is running" in api.call_plain("GET", "/", cookies=cookies).text


def test_signing_out_forgets_the_session(api: ApiAccount) -> None:
    answer = api.call_plain("POST", "/sign-out", cookies=_session(api), allow_redirects=False)
    assert answer.status_code == 303
    assert f'{_COOKIE}="";' in answer.headers["Set-Cookie"]
    assert "max-age=0" in answer.headers["Set-Cookie"].lower()


def test_names_from_outside_are_escaped(api: ApiAccount) -> None:
    api.create_sync(url="https://example.org/<script>alert(1)</script>.csv")
    page = api.call_plain("GET", "/", cookies=_session(api)).text
    assert "<script>alert" not in page
