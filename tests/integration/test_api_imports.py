"""``/api/v1/imports`` over real HTTP: addresses, uploads of every shape, and how a run shows."""

from __future__ import annotations

import http.client
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests.support.api_server import serve_api

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api_server import ApiAccount, ApiServer

CSV = b"name,size\nOslo,700000\n"
ALWAYS = {
    "id", "user_id", "table_id", "data_type", "table_name", "state", "error_code", "queue_id",
    "tables_created_count", "synchronization_id", "type_guessing", "quoted_fields_guessing",
    "content_guessing", "create_visualization", "visualization_id", "user_defined_limits",
    "get_error_text", "display_name", "original_url", "warnings", "is_raster",
}  # fmt: skip


def stored_upload(server: ApiServer, run_id: str) -> tuple[str, bytes]:
    """File name and content as the worker will find them."""
    (run,) = server.query("SELECT file_name, url FROM runs WHERE id = %s", run_id)
    chunks = server.query(
        "SELECT content FROM upload_chunks WHERE run_id = %s ORDER BY number", run_id
    )
    assert run["url"] is None
    return run["file_name"], b"".join(chunk["content"] for chunk in chunks)


def run_count(server: ApiServer, api: ApiAccount) -> int:
    (row,) = server.query(
        "SELECT count(*) AS run_count FROM runs JOIN accounts ON accounts.id = account_id"
        " WHERE accounts.name = %s",
        api.name,
    )
    count: int = row["run_count"]
    return count


@pytest.mark.parametrize(
    "options",
    [
        {"json": {"url": "https://example.org/a.csv"}},
        {"params": {"url": "https://example.org/a.csv", "interval": "x", "value": "y"}},
        {"data": {"url": "https://example.org/a.csv", "privacy": "Public"}},
        {"params": {"url": "https://example.org/a.csv"}, "json": {"collision_strategy": "skip"}},
        {"data": {"url": "https://example.org/a.csv"}, "files": {"file": ("b.csv", CSV)}},
        {"params": {"url": "https://example.org/a.csv", "filename": "b.csv"}},
    ],
)
def test_an_address_is_imported_however_it_is_sent(
    api: ApiAccount, options: dict[str, Any]
) -> None:
    answer = api.call("POST", "imports", **options)

    assert answer.status_code == 200, answer.text
    assert answer.json() == {"item_queue_id": answer.json()["item_queue_id"], "success": True}
    shown = api.call("GET", f"imports/{answer.json()['item_queue_id']}").json()
    assert (shown["data_type"], shown["original_url"]) == ("url", "https://example.org/a.csv")
    assert (shown["state"], shown["display_name"]) == ("pending", "a.csv")


def upload_ways(api: ApiAccount) -> list[dict[str, Any]]:
    bearer = {"Authorization": f"Bearer {api.api_key}"}
    return [
        {"headers": bearer, "files": {"file": ("towns.csv", CSV)}},
        {"headers": bearer, "files": {"filename": ("towns.csv", CSV, "text/csv")}},
        {"headers": bearer, "files": {"file": ("C:\\x\\towns.csv", CSV)}},
        {"params": {"api_key": api.api_key}, "files": {"file": ("towns.csv", CSV)}},
        {"data": {"api_key": api.api_key, "x": "y"}, "files": {"file": ("towns.csv", CSV)}},
        {"files": [("file", ("towns.csv", CSV)), ("api_key", (None, api.api_key))]},
        {"headers": bearer, "params": {"filename": "towns.csv"}, "data": CSV},
        {
            "headers": {**bearer, "Content-Type": "application/x-www-form-urlencoded"},
            "params": {"filename": "../towns.csv"},
            "data": CSV,
        },
        {
            "params": {"filename": "towns.csv", "api_key": api.api_key},
            "headers": {"Content-Type": "application/json"},
            "data": iter([CSV[:5], CSV[5:]]),  # chunked: no length announced
        },
    ]


@pytest.mark.parametrize("number", range(9))
def test_a_file_is_taken_however_it_is_sent(
    api: ApiAccount, shared_server: ApiServer, number: int
) -> None:
    answer = api.call_plain("POST", "/api/v1/imports/", **upload_ways(api)[number])

    assert answer.status_code == 200, answer.text
    run_id = answer.json()["item_queue_id"]
    assert stored_upload(shared_server, run_id) == ("towns.csv", CSV)
    shown = api.call("GET", f"imports/{run_id}").json()
    assert (shown["data_type"], shown["display_name"]) == ("file", "towns.csv")
    assert shown["original_url"] is None


def test_a_large_file_arrives_byte_for_byte(api: ApiAccount, shared_server: ApiServer) -> None:
    content = bytes(range(256)) * 40_000
    answer = api.call(
        "POST", "imports", files={"file": ("l.bin", content)}, data={"type_guessing": "false"}
    )

    run_id = answer.json()["item_queue_id"]
    assert stored_upload(shared_server, run_id) == ("l.bin", content)
    assert api.call("GET", f"imports/{run_id}").json()["type_guessing"] is False


def test_a_file_beyond_the_limit_is_refused_before_and_while_it_arrives(database_url: str) -> None:
    with serve_api(database_url, max_file_bytes=3_000_000) as server:
        alice = server.create_account("alice")
        fits = b"x" * 3_000_000
        ways: list[tuple[dict[str, Any], int]] = [
            ({"files": {"file": ("a.csv", fits)}}, 200),
            ({"files": {"file": ("a.csv", fits + b"x")}}, 400),
            ({"params": {"filename": "a.csv"}, "data": fits}, 200),
            ({"params": {"filename": "a.csv"}, "data": fits + b"x"}, 400),
            ({"params": {"filename": "a.csv"}, "data": iter([fits, b"x"])}, 400),
        ]
        for options, status in ways:
            answer = alice.call("POST", "imports", **options)
            assert answer.status_code == status, answer.text
            if status == 400:
                assert "6666" in answer.json()["errors"]["imports"]
        assert run_count(server, alice) == 2
        # A length that can never fit is refused without a byte of the body.
        path = f"/api/v1/imports?filename=a.csv&api_key={alice.api_key}"
        connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc, timeout=20)
        connection.putrequest("POST", path)
        connection.putheader("Content-Length", str(10**12))
        connection.endheaders()
        answered = connection.getresponse()
        assert (answered.status, b"6666" in answered.read()) == (400, True)
        connection.close()


@pytest.mark.parametrize("folder", ["", "missing"])
def test_uploads_wait_in_the_data_folder_or_where_the_system_lets_them(
    database_url: str, tmp_path: Path, folder: str
) -> None:
    with serve_api(database_url, data_dir=tmp_path / folder) as server:
        alice = server.create_account("alice")
        answer = alice.call("POST", "imports", files={"file": ("a.csv", CSV)})
        assert stored_upload(server, answer.json()["item_queue_id"]) == ("a.csv", CSV)
    assert list(tmp_path.iterdir()) == []


def test_an_upload_without_a_key_is_refused_before_it_is_read(api: ApiAccount) -> None:
    """The client never sends the body, so an answer proves that nobody waited for it."""
    connection = http.client.HTTPConnection(urlsplit(api.base_url).netloc, timeout=20)
    connection.putrequest("POST", "/api/v1/imports?filename=a.csv")
    connection.putheader("Content-Length", "1000")
    connection.endheaders()

    assert connection.getresponse().status == 401
    connection.close()


def test_a_key_behind_a_large_file_comes_too_late(
    api: ApiAccount, shared_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synctables.api.uploads.UNKNOWN_SENDER_BYTES", 1000)
    answer = api.call_plain(
        "POST",
        "/api/v1/imports",
        files=[("file", ("a.csv", b"x" * 2000)), ("api_key", (None, api.api_key))],
    )

    assert answer.status_code == 401
    assert "before the file" in answer.json()["errors"]["imports"]
    assert run_count(shared_server, api) == 0


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"json": {}},
        {"json": {"url": ""}},
        {"json": {"url": 3}},
        {"json": {"url": "ftp://example.org/a"}},
        {"json": {"url": "https://example.org/\x00"}},
        {"json": {"url": "https://e.org/", "privacy": "secret"}},
        {"json": {"url": "https://e.org/", "privacy": 3}},
        {"json": {"url": "https://e.org/", "collision_strategy": "merge"}},
        {"json": {"url": "https://e.org/", "service_item_id": {}}},
        {"json": {"url": "https://e.org/", "type_guessing": "x"}},
        {"json": {"sql": "select 1"}},
        {"json": {"table_copy": "parks"}},
        {"json": {"connector": {"provider": "mysql"}}},
        {"json": {"service_name": "dropbox", "service_item_id": "1"}},
        {"json": {"remote_visualization_id": "1"}},
        {"data": "[", "headers": {"Content-Type": "application/json"}},
        {"data": "<x/>", "headers": {"Content-Type": "text/xml"}},
        {"data": b"x", "headers": {"Content-Type": "multipart/form-data"}},
        {"data": b"--b\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
        {"files": {"note": (None, "no file")}},
        {"files": {"file": ("empty.csv", b"")}},
        {"params": {"filename": "empty.csv"}},
        {"params": {"filename": "a\x00.csv"}, "data": CSV},
        {"files": {"file": ("a.csv", CSV), "layer": (None, "\x00")}},
        {"files": {"file": ("a.csv", CSV), "type_guessing": (None, "perhaps")}},
        {"files": {"file": ("a.csv", CSV), "layer": (None, "x" * 2_000_000)}},
    ],
)
def test_an_import_that_is_wrong_is_a_400_in_the_shape_of_imports(
    api: ApiAccount, shared_server: ApiServer, options: dict[str, Any]
) -> None:
    answer = api.call("POST", "imports", **options)

    assert answer.status_code == 400, answer.text
    assert set(answer.json()) == {"errors"}
    assert isinstance(answer.json()["errors"]["imports"], str)
    assert run_count(shared_server, api) == 0


def test_every_error_of_imports_has_their_shape(api: ApiAccount) -> None:
    for answer, status in (
        (api.call("GET", f"imports/{uuid4()}"), 404),
        (api.call("GET", "imports/1"), 404),
        (api.call("GET", "imports/a/b"), 404),
        (api.call("PATCH", "imports"), 405),
        (api.call_plain("GET", "/api/v1/imports"), 401),
    ):
        assert answer.status_code == status
        assert isinstance(answer.json()["errors"]["imports"], str)


def test_a_stuck_client_holds_no_connection_to_the_database(database_url: str) -> None:
    """More uploads stall than the pool has connections; other calls go on."""
    with serve_api(database_url) as server:
        alice = server.create_account("alice")
        stalled = []
        for _ in range(15):
            connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc, timeout=20)
            path = f"/api/v1/imports?filename=a.csv&api_key={alice.api_key}"
            connection.putrequest("POST", path)
            connection.putheader("Content-Length", "1000")
            connection.endheaders(b"a,b\n")
            stalled.append(connection)
        for _ in range(3):
            assert alice.call("GET", "imports").status_code == 200
        for connection in stalled:
            connection.close()
        assert alice.call("GET", "imports").json()["imports"] == []


def test_running_imports_are_listed_newest_first(api: ApiAccount) -> None:
    ids = [
        api.call("POST", "imports", json={"url": f"https://e.org/{number}"}).json()["item_queue_id"]
        for number in range(3)
    ]

    assert api.call("GET", "imports").json() == {"imports": ids[::-1], "success": True}


def test_an_import_shows_the_documented_keys_in_every_state(
    api: ApiAccount, shared_server: ApiServer
) -> None:
    run_id = api.create_sync()["data_import"]["item_queue_id"]
    path = f"imports/{run_id}"
    waiting = api.call("GET", path).json()
    assert set(waiting) == ALWAYS
    assert waiting["queue_id"] == waiting["id"] == run_id
    assert waiting["user_defined_limits"] == '{"twitter_credits_limit":0}'
    assert json.loads(waiting["user_defined_limits"]) == {"twitter_credits_limit": 0}

    shared_server.query(
        "UPDATE runs SET state = 'failure', outcome = 'terminal', finished_at = now(),"
        " error_code = 1100, http_status = 404, error_message = 'Download file not found. It is"
        " gone. Look elsewhere.' WHERE id = %s",
        run_id,
    )
    failed = api.call("GET", path).json()
    assert set(failed) == ALWAYS | {"success", "http_response_code", "http_response_code_message"}
    assert (failed["success"], failed["error_code"]) == (False, 1100)
    assert failed["get_error_text"] == {
        "title": "Download file not found",
        "what_about": "It is gone. Look elsewhere.",
        "source": "user",
    }
    assert failed["http_response_code"] == 404
    assert failed["http_response_code_message"]
    assert failed["tables_created_count"] is None

    shared_server.query(
        "UPDATE runs SET error_code = NULL, error_message = NULL, http_status = NULL WHERE id = %s",
        run_id,
    )
    assert api.call("GET", path).json()["get_error_text"]["title"] == "Unknown"

    shared_server.query(
        "UPDATE runs SET state = 'complete', outcome = 'success', http_status = 304,"
        " table_names = %s, left_out_layers = %s WHERE id = %s",
        ["parks", "paths"],
        ["lakes"],
        run_id,
    )
    complete = api.call("GET", path).json()
    assert set(complete) == ALWAYS | {
        "success", "any_table_raster", "derived_visualization_id", "report",
    }  # fmt: skip
    assert (complete["success"], complete["get_error_text"]) == (True, None)
    assert (complete["table_name"], complete["tables_created_count"]) == ("parks", 2)
    assert complete["warnings"] == {"rejected_layers": ["lakes"], "max_tables_per_import": 26}
    assert (complete["is_raster"], complete["any_table_raster"]) == (False, False)


def test_a_log_shows_what_runs_said_and_how_far_the_present_one_is(
    api: ApiAccount, shared_server: ApiServer
) -> None:
    sync = api.create_sync()
    run_id = sync["data_import"]["item_queue_id"]
    shared_server.query(
        "INSERT INTO log_entries (log_id, run_id, level, stage, message)"
        " VALUES (%s, %s, 'info', 'fetch', 'one'), (%s, NULL, 'error', NULL, 'two')",
        sync["log_id"],
        run_id,
        sync["log_id"],
    )
    shared_server.query("UPDATE runs SET progress = '{\"rows\": 3}' WHERE id = %s", run_id)
    log = api.call("GET", f"synchronizations/{sync['id']}/log").json()

    assert log == api.call("GET", f"logs/{sync['log_id']}/").json()
    assert (log["id"], log["progress"]) == (sync["log_id"], {"rows": 3})
    first, second = log["entries"]
    assert re.fullmatch(r"[\d-]{10}T[\d:]{8}\+00:00", first.pop("at"))
    assert first == {"level": "info", "stage": "fetch", "run_id": run_id, "message": "one"}
    assert (second["stage"], second["run_id"], second["message"]) == (None, None, "two")

    shared_server.query(
        "UPDATE runs SET state = 'complete', outcome = 'success', finished_at = now()"
        " WHERE id = %s",
        run_id,
    )
    assert api.call("GET", f"logs/{sync['log_id']}").json()["progress"] is None


def test_the_log_of_a_plain_import_has_its_id(api: ApiAccount) -> None:
    run_id = api.call("POST", "imports", files={"file": ("a.csv", CSV)}).json()["item_queue_id"]

    assert api.call("GET", f"logs/{run_id}").json()["id"] == run_id
