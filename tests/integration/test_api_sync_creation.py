"""How a sync is created over HTTP, and what is refused and leaves nothing behind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.api_server import URL, count_rows, serve_api

if TYPE_CHECKING:
    from tests.support.api_server import ApiAccount, ApiServer

TOO_SHORT = {"errors": "Invalid interval: Sync interval must be at least 15 minutes"}


@pytest.mark.parametrize(
    "options",
    [
        {"json": {"url": URL, "interval": "3600"}},
        {"json": {"url": URL, "interval": 3600}},
        {"json": {"url": URL}},
        {"params": {"url": URL, "interval": 3600}},
        {"params": {"url": "http://x", "interval": 9}, "json": {"url": URL, "interval": 3600}},
        {"data": {"url": URL, "interval": "3600"}},
        {"files": {"url": (None, URL), "interval": (None, "3600")}},
        {"data": json.dumps({"url": URL, "interval": 3600})},
        {
            "data": json.dumps({"url": URL, "interval": 3600}),
            "headers": {"Content-Type": "application/x-www-form-urlencoded"},
        },
        {
            "json": {
                "url": URL,
                "interval": 3600,
                "id": "x",
                "state": "success",
                "user_id": 7,
                "run_at": "1999",
                "service_name": None,
                "create_vis": True,
                "anything": {"else": []},
            }
        },
    ],
)  # fmt: skip
def test_a_sync_is_created_however_the_parameters_are_sent(
    api: ApiAccount, options: dict[str, Any]
) -> None:
    answer = api.call("POST", "synchronizations", **options)

    assert answer.status_code == 200, answer.text
    created = answer.json()
    assert (created["url"], created["interval"], created["state"]) == (URL, 3600, "created")


def test_options_are_kept(api: ApiAccount) -> None:
    options = {
        "type_guessing": "false",
        "quoted_fields_guessing": False,
        "content_guessing": True,
        "layer": "Tabelle 1",
        "key_columns": ["id"],
        "column_types": {"code": "text"},
        "schema_policy": "freeze",
        "max_row_loss": 0.25,
        "on_empty": "accept",
    }
    created = api.create_sync(**options)

    assert {key: created[key] for key in options} == {**options, "type_guessing": False}
    assert api.call("GET", f"synchronizations/{created['id']}").json()["layer"] == "Tabelle 1"


@pytest.mark.parametrize("interval", [899, 0, -1, None, "", "899", "hourly", True, 900.5, [], {}])
def test_an_interval_below_the_minimum_is_refused(
    api: ApiAccount, shared_server: ApiServer, interval: object
) -> None:
    answer = api.call("POST", "synchronizations", json={"url": URL, "interval": interval})

    assert (answer.status_code, answer.json()) == (400, TOO_SHORT)
    assert count_rows(shared_server, api) == (0, 0)


@pytest.mark.parametrize("interval", [2**31, 10**30, "99999999999", 1e300])
def test_an_interval_beyond_all_measure_is_refused(api: ApiAccount, interval: object) -> None:
    answer = api.call("POST", "synchronizations", json={"url": URL, "interval": interval})

    assert answer.status_code == 400
    assert "at most" in answer.json()["errors"]


def test_the_operator_can_lower_the_minimum(database_url: str) -> None:
    with serve_api(database_url, minimum_interval_seconds=5, sync_now_seconds=0) as server:
        alice = server.create_account("alice")
        assert alice.create_sync(interval=5)["interval"] == 5
        answer = alice.call("POST", "synchronizations", json={"url": URL, "interval": 4})
        assert answer.json()["errors"] == (
            "Invalid interval: Sync interval must be at least 5 seconds"
        )


@pytest.mark.parametrize(
    "url",
    [
        None, "", " ", 3, [], {}, "parks.csv", "ftp://example.org/a.csv", "file:///etc/passwd",
        "http://", "https://", "javascript:alert(1)", "http://[::1", "http://a b/", "//x.org/a",
        "https://example.org/\x00", "https://example.org/\ud800", "https://example.org:99999/",
        "http://" + "a" * 9000,
    ],
)  # fmt: skip
def test_what_is_no_http_address_is_refused_and_leaves_nothing(
    api: ApiAccount, shared_server: ApiServer, url: object
) -> None:
    answer = api.call("POST", "synchronizations", json={"url": url, "interval": 3600})

    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"]
    assert isinstance(answer.json()["errors"], str)
    assert count_rows(shared_server, api) == (0, 0)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b""),
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b"null"),
        ("application/json", b'"x"'),
        ("application/json", b'{"url": NaN}'),
        ("application/json", b'{"url":' * 100_000),
        ("application/json", b'{"interval": ' + b"9" * 5_000 + b"}"),
        ("application/json", b'{"url": "' + b"a" * 2_000_000 + b'"}'),
        ("application/json", b"\xff\xfe{}"),
        ("application/xml", b"<url/>"),
        ("multipart/form-data", b"--b"),
        ("multipart/form-data; boundary=b", b"--b\r\n"),
        ("multipart/form-data; boundary=" + "b" * 999, b"--b\r\n"),
        ("\xe9", b"x"),
    ],
)
def test_a_body_that_cannot_be_read_is_a_400(
    api: ApiAccount, shared_server: ApiServer, content_type: str, body: bytes
) -> None:
    headers = {"Content-Type": content_type.encode("latin-1")}
    answer = api.call("POST", "synchronizations", data=body, headers=headers)

    assert answer.status_code == 400, answer.text
    assert isinstance(answer.json()["errors"], str)
    assert count_rows(shared_server, api) == (0, 0)


@pytest.mark.parametrize(
    "options",
    [
        {"layer": "\x00"},
        {"layer": "\ud800"},
        {"layer": ["a"]},
        {"table_name": "a\x00"},
        {"table_name": 3},
        {"key_columns": ["\x00"]},
        {"column_types": {"\x00": "text"}},
        {"column_types": {"a": "geometry"}},
        {"column_types": [["a", "text"]]},
        {"max_row_loss": "NaN"},
        {"max_row_loss": 2},
        {"schema_policy": "x"},
        {"on_empty": 1},
        {"type_guessing": "perhaps"},
        {"service_name": "gdrive", "service_item_id": "1"},
        {"connector": {"provider": "mysql"}},
        {"remote_visualization_id": "1"},
    ],
)
def test_an_option_of_the_wrong_kind_is_a_400_with_its_reason(
    api: ApiAccount, shared_server: ApiServer, options: dict[str, object]
) -> None:
    answer = api.call("POST", "synchronizations", json={"url": URL, **options})

    assert answer.status_code == 400, answer.text
    assert isinstance(answer.json()["errors"], str)
    assert count_rows(shared_server, api) == (0, 0)


def test_texts_in_any_script_are_kept(api: ApiAccount) -> None:
    created = api.create_sync(
        url="https://example.org/пар%20ки.csv?q=é&x='\"", layer="公園 'x\" 🌳"
    )

    assert created["layer"] == "公園 'x\" 🌳"
    shown = api.call("GET", f"synchronizations/{created['id']}").json()
    assert shown["service_item_id"] == shown["url"] == created["url"]
