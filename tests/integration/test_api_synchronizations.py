"""``/api/v1/synchronizations`` over real HTTP: keys, changes, removal, and what is unknown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.api_server import URL, count_rows

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
