"""``/api/v1/synchronizations`` over real HTTP: keys, rules, refusals, and nothing left behind."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.api_server import serve_api

if TYPE_CHECKING:
    from tests.support.api_server import ApiAccount, ApiServer

DOCUMENTED_KEYS = {
    "id", "name", "interval", "url", "state", "created_at", "updated_at", "run_at",
    "retried_times", "log_id", "error_code", "error_message", "ran_at", "modified_at", "etag",
    "checksum", "user_id", "service_name", "service_item_id", "type_guessing",
    "quoted_fields_guessing", "content_guessing", "visualization_id", "from_external_source",
}  # fmt: skip
OUR_KEYS = {
    "attempted_at", "layer", "key_columns", "column_types", "schema_policy", "max_row_loss",
    "on_empty", "source_modified_at",
}  # fmt: skip
URL = "https://example.org/parks.csv"
TOO_SHORT = {"errors": "Invalid interval: Sync interval must be at least 15 minutes"}


def count_rows(server: ApiServer, api: ApiAccount) -> tuple[int, int]:
    """How many syncs and runs the account has."""
    (row,) = server.query(
        "SELECT (SELECT count(*) FROM syncs WHERE account_id = accounts.id) AS syncs,"
        " (SELECT count(*) FROM runs WHERE account_id = accounts.id) AS runs"
        " FROM accounts WHERE name = %s",
        api.name,
    )
    return row["syncs"], row["runs"]


def test_every_answer_has_the_documented_keys_and_ours(api: ApiAccount) -> None:
    created = api.create_sync()
    path = f"synchronizations/{created['id']}"
    (listed,) = api.call("GET", "synchronizations").json()["synchronizations"]
    shown = api.call("GET", path).json()
    changed = api.call("PUT", path).json()

    assert set(created) == DOCUMENTED_KEYS | OUR_KEYS | {"data_import"}
    assert set(listed) == set(shown) == set(changed) == DOCUMENTED_KEYS | OUR_KEYS
    assert listed == shown == changed


def test_times_are_whole_seconds_with_an_offset(api: ApiAccount) -> None:
    created = api.create_sync()
    for key in ("created_at", "updated_at", "run_at", "ran_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", created[key]), key


def test_a_creation_stores_sync_run_and_job(api: ApiAccount, shared_server: ApiServer) -> None:
    run_id = api.create_sync()["data_import"]["item_queue_id"]

    assert count_rows(shared_server, api) == (1, 1)
    jobs = shared_server.query(
        "SELECT * FROM procrastinate_jobs WHERE args->>'run_id' = %s", run_id
    )
    assert len(jobs) == 1


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


def test_a_change_holds_and_counts_from_now(api: ApiAccount) -> None:
    created = api.create_sync(interval=3600)
    answer = api.call(
        "PUT", f"synchronizations/{created['id']}", json={"interval": "86400", "layer": "b"}
    )

    assert answer.status_code == 200
    assert (answer.json()["interval"], answer.json()["layer"]) == (86400, "b")
    assert answer.json()["run_at"] > created["run_at"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"headers": {"Content-Type": "application/json"}},
        {"headers": {"Content-Length": "0"}},
        {"json": {}},
        {"data": b"{}"},
        {"json": {"interval": None, "layer": None, "type_guessing": None}},
        {
            "json": {
                "id": "x",
                "state": "failure",
                "user_id": "y",
                "url": "ftp://x",
                "run_at": "1999-01-01",
                "created_at": 3,
                "etag": [],
                "error_code": "z",
                "service_item_id": 3,
                "success": True,
                "client": "cps",
                "unknown": {},
            }
        },
    ],
)
def test_read_only_keys_null_and_no_body_change_nothing(
    api: ApiAccount, options: dict[str, Any]
) -> None:
    created = api.create_sync()
    path = f"synchronizations/{created['id']}"
    before = api.call("GET", path).json()
    answer = api.call("PUT", path, **options)

    assert (answer.status_code, answer.json()) == (200, before)


@pytest.mark.parametrize("interval", [899, "899", 0, True, "x", 2**31])
def test_the_minimum_holds_for_changes_too(api: ApiAccount, interval: object) -> None:
    created = api.create_sync()
    path = f"synchronizations/{created['id']}"
    answer = api.call("PUT", path, json={"interval": interval})

    assert answer.status_code == 400
    assert answer.json()["errors"].startswith("Invalid interval: ")
    assert api.call("GET", path).json()["interval"] == 3600


def test_what_a_client_read_it_can_send_back_whole(api: ApiAccount) -> None:
    created = api.create_sync(key_columns=["id"], column_types={"a": "text"})
    path = f"synchronizations/{created['id']}"
    shown = api.call("GET", path).json()

    assert api.call("PUT", path, json=shown).json() == shown


def test_a_removed_sync_is_unknown_afterwards(api: ApiAccount) -> None:
    path = f"synchronizations/{api.create_sync()['id']}"
    answer = api.call("DELETE", path)

    assert (answer.status_code, answer.content) == (204, b"")
    assert api.call("DELETE", path).status_code == 404
    assert api.call("GET", path).status_code == 404


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    "options",
    [{}, {"headers": {"Content-Type": "application/json"}}, {"json": {}}, {"data": ""}],
)
def test_forcing_is_refused_with_reason_and_wait(
    api: ApiAccount, slash: str, options: dict[str, Any]
) -> None:
    sync_id = api.create_sync()["id"]
    answer = api.call("PUT", f"synchronizations/{sync_id}/sync_now{slash}", **options)

    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"enqueued", "synchronization_id", "reason", "retry_after_seconds"}
    assert (body["enqueued"], body["synchronization_id"]) == (False, sync_id)
    assert 0 < body["retry_after_seconds"] <= 900


def end_first_run(server: ApiServer, sync_id: str, *, seconds_ago: int) -> None:
    """As a worker leaves it: the run ended, and so did its job."""
    server.query(
        "UPDATE syncs SET state = 'success', attempted_at = now() - make_interval(secs => %s)"
        " WHERE id = %s",
        seconds_ago,
        sync_id,
    )
    server.query(
        "UPDATE runs SET state = 'complete', outcome = 'success', finished_at = now()"
        " WHERE sync_id = %s",
        sync_id,
    )
    server.query(
        "UPDATE procrastinate_jobs SET status = 'doing' WHERE lock LIKE '%%' || %s", sync_id
    )
    server.query(
        "UPDATE procrastinate_jobs SET status = 'succeeded' WHERE lock LIKE '%%' || %s", sync_id
    )


def test_a_forced_run_is_queued_once_the_last_attempt_is_old(
    api: ApiAccount, shared_server: ApiServer
) -> None:
    sync_id = api.create_sync()["id"]
    end_first_run(shared_server, sync_id, seconds_ago=899)
    path = f"synchronizations/{sync_id}/sync_now"
    assert api.call("PUT", path).json()["enqueued"] is False
    end_first_run(shared_server, sync_id, seconds_ago=901)
    answer = api.call("PUT", path, json={"accept": ["row_loss", "empty"]})

    assert answer.json() == {"enqueued": True, "synchronization_id": sync_id}
    assert api.call("GET", path).json() == {"state": "queued"}
    (run,) = shared_server.query(
        "SELECT accept FROM runs WHERE sync_id = %s AND finished_at IS NULL", sync_id
    )
    assert run["accept"] == ["row_loss", "empty"]


def test_of_many_forced_runs_at_once_one_is_queued(
    api: ApiAccount, shared_server: ApiServer
) -> None:
    sync_id = api.create_sync()["id"]
    end_first_run(shared_server, sync_id, seconds_ago=901)
    path = f"synchronizations/{sync_id}/sync_now"
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: api.call("PUT", path), range(8)))

    assert {answer.status_code for answer in answers} == {200}
    assert sum(answer.json()["enqueued"] for answer in answers) == 1


@pytest.mark.parametrize("accept", ["everything", ["x"], [1], {}, 3])
def test_an_unknown_word_to_accept_is_a_400(api: ApiAccount, accept: object) -> None:
    sync_id = api.create_sync()["id"]
    answer = api.call("PUT", f"synchronizations/{sync_id}/sync_now", json={"accept": accept})

    assert answer.status_code == 400
    assert "accept" in answer.json()["errors"]


@pytest.mark.parametrize("suffix", ["", "/sync_now", "/log"])
@pytest.mark.parametrize("sync_id", ["1", "8d6f0d8e-8c35-4b62-9f0b-0a3f5d2f6b10", "%00", "a%2Fb"])
def test_an_unknown_id_is_a_404_with_a_text(api: ApiAccount, suffix: str, sync_id: str) -> None:
    answer = api.call("GET", f"synchronizations/{sync_id}{suffix}")

    assert answer.status_code == 404
    assert isinstance(answer.json()["errors"], str)


def test_an_answer_can_be_a_call_of_the_clients_function(api: ApiAccount) -> None:
    sync_id = api.create_sync()["id"]
    for path in ("synchronizations", f"synchronizations/{sync_id}/sync_now"):
        plain = api.call("GET", path)
        answer = api.call("GET", path, params={"callback": "$got_It1"})
        assert answer.text == f"/**/$got_It1({plain.text});"
        assert answer.headers["Content-Type"].startswith("text/javascript")
    for callback in ("", "1a", "a.b", "a()", "alert`1`", "é", "a\n"):
        answer = api.call("GET", "synchronizations", params={"callback": callback})
        assert answer.status_code == 400, callback
        assert answer.json() == {"errors": {"callback": "Invalid callback format"}}
    assert "total_entries" in api.call("GET", "synchronizations").json()


def test_an_answer_is_sent_only_once_the_sync_is_stored(api_server: ApiServer) -> None:
    """A constraint that fails at COMMIT must not be a 200."""
    alice = api_server.create_account("alice")
    api_server.query(
        "CREATE FUNCTION synctables.refuse() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RAISE EXCEPTION 'no'; END $$"
    )
    api_server.query(
        "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON synctables.syncs"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION synctables.refuse()"
    )
    answer = alice.call("POST", "synchronizations", json={"url": URL})

    assert answer.status_code == 500
    assert re.search(r"reference: [0-9a-f]{12}$", answer.json()["errors"])
    assert count_rows(api_server, alice) == (0, 0)
    assert api_server.query("SELECT FROM procrastinate_jobs") == []
