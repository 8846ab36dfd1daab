"""The calls about cloud drives on a server whose operator has set none of them up."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.api_server import serve_api

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api_server import ApiAccount

GUIDES = {
    "gdrive": ("SYNCTABLES_GDRIVE_CLIENT_ID", "docs/guides/gdrive.md"),
    "dropbox": ("SYNCTABLES_DROPBOX_CLIENT_ID", "docs/guides/dropbox.md"),
    "box": ("SYNCTABLES_BOX_CLIENT_ID", "docs/guides/box.md"),
}


@pytest.mark.parametrize("service", GUIDES)
@pytest.mark.parametrize(
    ("method", "verb"),
    [
        ("GET", "auth_url"),
        ("GET", "list_files"),
        ("GET", "token_valid"),
        ("GET", "validate_code/some/code"),
        ("DELETE", "invalidate_token"),
    ],
)
def test_a_service_that_is_not_set_up_names_its_settings_and_its_guide(
    api: ApiAccount, method: str, verb: str, service: str
) -> None:
    answer = api.call(method, f"imports/service/{service}/{verb}")
    assert answer.status_code == 400
    text = answer.json()["errors"]["imports"]
    for words in GUIDES[service]:
        assert words in text


@pytest.mark.parametrize("service", GUIDES)
@pytest.mark.parametrize("path", ["synchronizations", "imports", "preview"])
def test_an_item_of_a_service_that_is_not_set_up_is_refused_before_anything_is_stored(
    api: ApiAccount, path: str, service: str
) -> None:
    answer = api.call("POST", path, json={"service_name": service, "service_item_id": "x"})
    assert answer.status_code == 400
    assert GUIDES[service][0] in answer.text
    assert api.call("GET", "synchronizations").json()["total_entries"] == 0


def test_a_service_that_does_not_exist_has_no_valid_token_and_nothing_else(api: ApiAccount) -> None:
    valid = api.call("GET", "imports/service/nowhere/token_valid")
    assert valid.json() == {"oauth_valid": False, "success": True}
    for verb in ("auth_url", "list_files"):
        answer = api.call("GET", f"imports/service/nowhere/{verb}")
        assert answer.status_code == 400
        assert "no service 'nowhere'" in answer.json()["errors"]["imports"]


def test_calls_about_drives_need_a_key_but_the_way_back_does_not(api: ApiAccount) -> None:
    assert api.call_plain("GET", "/api/v1/imports/service/box/list_files").status_code == 401
    way_back = api.call_plain("GET", "/api/v1/imports/service/box/oauth_callback/?code=x&state=y")
    assert way_back.status_code == 400
    assert way_back.headers["content-type"].startswith("text/html")


def test_what_a_service_says_on_the_way_back_is_text_and_no_markup(api: ApiAccount) -> None:
    path = "/api/v1/imports/service/box/oauth_callback"
    answer = api.call_plain("GET", f"{path}?error=<script>alert(1)</script>")
    assert answer.status_code == 400
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert" in answer.text
    assert "script-src 'sha256-" in answer.headers["content-security-policy"]


def test_a_page_is_never_wrapped_as_a_script(api: ApiAccount) -> None:
    answer = api.call_plain("GET", "/api/v1/imports/service/box/oauth_callback?callback=alert")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.startswith("<!doctype html>")
    assert "content-security-policy" in answer.headers


def test_the_way_back_is_where_the_operator_says_whatever_the_caller_does(
    database_url: str, tmp_path: Path
) -> None:
    """``Host`` is made up by whoever calls, and may be kept by a cache on the way."""
    app = {"box_client_id": "x", "box_client_secret": "y", "data_dir": tmp_path}
    path = "/api/v1/imports/service/box/oauth_callback/"
    with serve_api(database_url, **app) as server:
        alice = server.create_account("alice")
        assert way_back(alice) == server.base_url + path
        assert way_back(alice, host="localhost:8080") == f"http://localhost:8080{path}"
        for host in ("evil.example", "localhost.evil.example"):
            answer = alice.call("GET", "imports/service/box/auth_url", headers={"Host": host})
            assert answer.status_code == 400
            assert "SYNCTABLES_PUBLIC_URL" in answer.json()["errors"]["imports"]
    with serve_api(database_url, **app, public_url="https://tables.example.org/") as server:
        alice = server.create_account("bob")
        assert way_back(alice, host="evil.example") == f"https://tables.example.org{path}"


def way_back(account: ApiAccount, host: str | None = None) -> str:
    headers = {"Host": host} if host else {}
    answer = account.call("GET", "imports/service/box/auth_url", headers=headers)
    assert answer.status_code == 200, answer.text
    return parse_qs(urlsplit(str(answer.json()["url"])).query)["redirect_uri"][0]
