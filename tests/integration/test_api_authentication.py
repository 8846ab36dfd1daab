"""Keys and addresses over real HTTP: who gets in, and what everybody else is told."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.api_server import serve_api

if TYPE_CHECKING:
    from tests.support.api_server import ApiAccount, ApiServer

PATH = "/api/v1/synchronizations"


def basic(name: str, api_key: str) -> dict[str, str]:
    text = base64.b64encode(f"{name}:{api_key}".encode()).decode()
    return {"Authorization": f"bASIC {text}"}


@pytest.mark.parametrize("prefix", ["", "/user/NAME", "/u/NAME"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_key_is_taken_from_query_header_and_body(
    api: ApiAccount, prefix: str, slash: str
) -> None:
    path = prefix.replace("NAME", api.name) + PATH + slash
    ways: list[dict[str, Any]] = [
        {"params": {"api_key": api.api_key}},
        {"headers": {"Authorization": f"Bearer {api.api_key}"}},
        {"headers": basic(api.name, api.api_key)},
        {"headers": basic(api.name, api.api_key), "params": {"api_key": "wrong"}},
        {"json": {"api_key": api.api_key}},
        {"data": {"api_key": api.api_key}},
        {"files": {"api_key": (None, api.api_key)}},
    ]
    for way in ways:
        answer = api.call_plain("GET", path, **way)
        assert (answer.status_code, answer.json()["total_entries"]) == (200, 0), way


def test_a_call_without_a_valid_key_is_refused_in_the_documented_shape(api: ApiAccount) -> None:
    ways: list[dict[str, Any]] = [
        {},
        {"params": {"api_key": ""}},
        {"params": {"api_key": "0" * 40}},
        {"params": {"api_key": "\x00"}},
        {"params": {"api_key": api.api_key.upper() + "x"}},
        {"json": {"api_key": 3}},
        {"headers": {"Authorization": "Basic !"}},
        {"headers": {"Authorization": "Basic"}},
        {"headers": {"Authorization": "Bearer"}},
        {"headers": {"Authorization": "Bearer é".encode()}},
        {"headers": {"Authorization": f"Token {api.api_key}"}},
        {"headers": basic("bob", api.api_key)},
        {"headers": basic("", api.api_key)},
        {"headers": basic(api.name, "wrong"), "params": {"api_key": api.api_key}},
        {"cookies": {"api_key": api.api_key}},
    ]
    for way in ways:
        answer = api.call_plain("GET", PATH, **way)
        is_nul = way.get("params", {}).get("api_key") == "\x00"
        assert answer.status_code == (400 if is_nul else 401), way
        assert isinstance(answer.json()["errors"], str), way
        if not is_nul:
            assert answer.headers["WWW-Authenticate"].startswith("Basic "), way
        assert api.api_key not in answer.text


def test_every_call_needs_a_key(api: ApiAccount) -> None:
    sync = api.create_sync()
    for method, path in (
        ("GET", PATH),
        ("POST", PATH),
        ("GET", f"{PATH}/{sync['id']}"),
        ("PUT", f"{PATH}/{sync['id']}"),
        ("DELETE", f"{PATH}/{sync['id']}"),
        ("GET", f"{PATH}/{sync['id']}/sync_now"),
        ("PUT", f"{PATH}/{sync['id']}/sync_now"),
        ("GET", f"{PATH}/{sync['id']}/log"),
        ("GET", f"/api/v1/logs/{sync['log_id']}"),
        ("GET", "/api/v1/imports"),
        ("POST", "/api/v1/imports"),
        ("POST", "/api/v1/imports?filename=x.csv"),
        ("GET", f"/api/v1/imports/{sync['data_import']['item_queue_id']}"),
    ):
        assert api.call_plain(method, path).status_code == 401, (method, path)


def test_a_key_opens_only_its_own_account(api: ApiAccount, shared_server: ApiServer) -> None:
    bob = shared_server.create_account(f"bob-of-{api.name}")
    for prefix in (f"/user/{bob.name}", f"/u/{bob.name}", "/user/nobody", "/user/a%00b"):
        answer = api.call_plain("GET", prefix + PATH, params={"api_key": api.api_key})
        assert answer.status_code == 401, prefix
        assert answer.json() == {"errors": "This API key is not valid for this account."}


def test_what_belongs_to_somebody_else_answers_as_if_unknown(
    api: ApiAccount, shared_server: ApiServer
) -> None:
    bob = shared_server.create_account(f"bob-of-{api.name}")
    sync = bob.create_sync()
    unknown = "8d6f0d8e-8c35-4b62-9f0b-0a3f5d2f6b10"
    run_id = sync["data_import"]["item_queue_id"]
    for method, path, known in (
        ("GET", "synchronizations/{}", sync["id"]),
        ("PUT", "synchronizations/{}", sync["id"]),
        ("DELETE", "synchronizations/{}", sync["id"]),
        ("GET", "synchronizations/{}/sync_now", sync["id"]),
        ("PUT", "synchronizations/{}/sync_now", sync["id"]),
        ("GET", "synchronizations/{}/log", sync["id"]),
        ("GET", "logs/{}", sync["log_id"]),
        ("GET", "imports/{}", run_id),
    ):
        theirs = api.call(method, path.format(known))
        nobodys = api.call(method, path.format(unknown))
        assert (theirs.status_code, nobodys.status_code) == (404, 404), path
        assert theirs.text.replace(known, "ID") == nobodys.text.replace(unknown, "ID")
    assert api.call("GET", "synchronizations").json()["total_entries"] == 0
    assert api.call("GET", "imports").json()["imports"] == []
    assert bob.call("GET", "synchronizations").json()["total_entries"] == 1


def test_the_sub_domain_names_the_account_below_the_domain(database_url: str) -> None:
    with serve_api(database_url, domain="example.org") as server:
        alice = server.create_account("alice")
        for host, status in (
            ("alice.example.org", 200),
            ("ALICE.example.org:8080", 200),
            ("example.org", 200),
            ("www.example.org", 200),
            ("127.0.0.1", 200),
            ("bob.example.org", 401),
            ("a.alice.example.org", 401),
        ):
            answer = alice.call("GET", "synchronizations", headers={"Host": host})
            assert answer.status_code == status, host
        answer = alice.call_plain(
            "GET",
            f"/u/alice{PATH}",
            headers={"Host": "team.example.org"},
            params={"api_key": alice.api_key},
        )
        assert answer.status_code == 200


def test_answers_carry_the_security_headers(api: ApiAccount) -> None:
    for path in (PATH, "/", "/health", "/api/v1/nowhere"):
        headers = api.call_plain("GET", path).headers
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-XSS-Protection"] == "1; mode=block"
        assert "Referrer-Policy" in headers
