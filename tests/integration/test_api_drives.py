"""The calls about cloud drives on a server whose operator has set none of them up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
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
