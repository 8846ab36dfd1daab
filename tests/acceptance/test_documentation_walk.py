"""The documentation of the Sync Tables API, endpoint by endpoint, with its calls and its promises.

Over real HTTP, with a worker that fetches from a real server.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

if TYPE_CHECKING:
    import requests

    from tests.support.api_server import ApiAccount, ApiServer
    from tests.support.file_server import FileServer
    from tests.support.workers import Desk

CSV = b"name,lat,lon\nOslo,59.91,10.75\nBergen,60.39,5.32\n"
UUID_PATTERN = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
TIME_PATTERN = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"

# The documented attributes of a sync table, and what each may be.
ATTRIBUTES: dict[str, str] = {
    "id": UUID_PATTERN,
    "name": "cities|null",
    "interval": r"\d+",
    "url": "http://.*",
    "state": "created|queued|syncing|success|failure",
    "created_at": TIME_PATTERN,
    "updated_at": TIME_PATTERN,
    "run_at": TIME_PATTERN,
    "retried_times": r"\d+",
    "log_id": UUID_PATTERN,
    "error_code": r"\d+|null",
    "error_message": ".*",
    "ran_at": TIME_PATTERN,
    "modified_at": f"{TIME_PATTERN}|null",
    "etag": ".*",
    "checksum": ".*",
    "user_id": UUID_PATTERN,
    "service_name": "null",
    "service_item_id": ".*",
    "type_guessing": "true|false",
    "quoted_fields_guessing": "true|false",
    "content_guessing": "true|false",
    "visualization_id": "null",
    "from_external_source": "false",
}
_IN_JSON = {None: "null", True: "true", False: "false"}


def check_attributes(sync: dict[str, Any]) -> None:
    for name, pattern in ATTRIBUTES.items():
        value = sync[name]
        text = _IN_JSON.get(value, str(value)) if isinstance(value, bool | None) else str(value)
        assert re.fullmatch(pattern, text), (name, value)
    for name in ("interval", "retried_times"):
        assert isinstance(sync[name], int), name


@dataclass(frozen=True)
class Reader:
    """Somebody who types the documentation's calls; waiting for an answer blocks nobody else."""

    account: ApiAccount

    async def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """As documented: the key in the query, everything below ``/api/v1``."""
        separator = "&" if "?" in path else "?"
        path = f"/user/{self.account.name}{path}{separator}api_key={self.account.api_key}"
        return await asyncio.to_thread(self.account.call_plain, method, path, **options)

    async def json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer = await self.call(method, path, **options)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
def reader(api_server: ApiServer) -> Reader:
    return Reader(api_server.create_account("reader"))


@pytest.mark.usefixtures("worker")
async def test_the_documentation_is_true(
    reader: Reader, api_server: ApiServer, desk: Desk, file_server: FileServer
) -> None:
    url = file_server.put("/cities.csv", CSV, etag='"v1"')

    # "Syncing a file from a URL": the documentation's own call, interval as text.
    created = await reader.json(
        "POST",
        "/api/v1/synchronizations/",
        data=f'{{"url":"{url}", "interval":"3600"}}',
        headers={"Content-Type": "application/json"},
    )
    check_attributes(created)
    assert created["data_import"]["endpoint"] == "/api/v1/imports"
    assert re.fullmatch(UUID_PATTERN, created["data_import"]["item_queue_id"])
    assert created["url"] == url
    as_documented = {
        "name": None, "interval": 3600, "state": "created", "modified_at": None, "etag": None,
        "checksum": "", "error_code": None, "error_message": None, "retried_times": 0,
        "service_name": None, "service_item_id": None, "type_guessing": True,
        "quoted_fields_guessing": True, "content_guessing": False, "visualization_id": None,
        "from_external_source": False,
    }  # fmt: skip
    assert {name: created[name] for name in as_documented} == as_documented
    assert created["created_at"] == created["updated_at"] == created["ran_at"] < created["run_at"]

    # "item_queue_id … can be used to retrieve data related to the created table."
    run_id = created["data_import"]["item_queue_id"]
    await desk.wait_for(UUID(run_id))
    run = await reader.json("GET", f"{created['data_import']['endpoint']}/{run_id}")
    assert (run["state"], run["success"], run["table_name"]) == ("complete", True, "cities")
    assert run["synchronization_id"] == created["id"]

    # "Upload and manage synced tables": the list.
    listed = await reader.json("GET", "/api/v1/synchronizations/")
    assert set(listed) == {"synchronizations", "total_entries"}
    assert listed["total_entries"] == 1
    (sync,) = listed["synchronizations"]
    check_attributes(sync)
    assert (sync["id"], sync["state"], sync["name"]) == (created["id"], "success", "cities")
    assert (sync["etag"], sync["checksum"], sync["service_item_id"]) == ("v1", "v1", url)
    assert sync["run_at"] == created["run_at"]
    assert sync["ran_at"] >= created["ran_at"]

    # "Check whether a sync table is syncing or not".
    path = f"/api/v1/synchronizations/{sync['id']}"
    assert await reader.json("GET", f"{path}/sync_now") == {"state": "success"}

    # "Force a synchronization …": only 900 seconds after the last attempt.
    refused = await reader.json("PUT", f"{path}/sync_now", headers={"Content-Length": "0"})
    assert (refused["enqueued"], refused["synchronization_id"]) == (False, sync["id"])
    api_server.query("UPDATE syncs SET attempted_at = now() - interval '900 s'")
    file_server.put("/cities.csv", CSV + b"Molde,62.74,7.16\n", etag='"v2"')
    forced = await reader.json("PUT", f"{path}/sync_now", headers={"Content-Length": "0"})
    assert forced == {"enqueued": True, "synchronization_id": sync["id"]}

    async def state_of_rest() -> dict[str, Any] | None:
        state = (await reader.json("GET", f"{path}/sync_now"))["state"]
        assert state in {"queued", "syncing", "success"}
        return await reader.json("GET", path) if state == "success" else None

    refreshed = await desk.until(state_of_rest)
    assert (refreshed["etag"], refreshed["retried_times"]) == ("v2", 0)
    assert refreshed["updated_at"] >= sync["updated_at"]
    assert api_server.query("SELECT name, st_asewkt(the_geom) AS at FROM reader.cities"
                            " ORDER BY cartodb_id DESC LIMIT 1") == [
        {"name": "Molde", "at": "SRID=4326;POINT(7.16 62.74)"}
    ]  # fmt: skip

    # "log_id: … to locate the log traces of the given table."
    log = await reader.json("GET", f"/api/v1/logs/{sync['log_id']}")
    assert log["entries"]
    assert log == await reader.json("GET", f"{path}/log")

    # "Removing the synchronization feature from a given dataset": the table stays.
    removed = await reader.call("DELETE", path)
    assert (removed.status_code, removed.content) == (204, b"")
    assert (await reader.json("GET", "/api/v1/synchronizations/"))["total_entries"] == 0
    assert api_server.query("SELECT count(*) AS row_count FROM reader.cities") == [{"row_count": 3}]


@pytest.mark.usefixtures("worker")
async def test_a_failure_is_shown_where_the_documentation_says(
    reader: Reader, desk: Desk, file_server: FileServer
) -> None:
    url = file_server.put("/gone.csv", status=404)
    created = await reader.json(
        "POST", "/api/v1/synchronizations", json={"url": url, "interval": 900}
    )
    run_id = created["data_import"]["item_queue_id"]
    await desk.wait_for(UUID(run_id))

    sync = await reader.json("GET", f"/api/v1/synchronizations/{created['id']}")
    assert (sync["state"], sync["error_code"], sync["retried_times"]) == ("failure", 1100, 1)
    assert sync["error_message"].startswith("Download file not found.")
    run = await reader.json("GET", f"/api/v1/imports/{run_id}")
    assert (run["state"], run["success"], run["error_code"]) == ("failure", False, 1100)
    assert run["http_response_code"] == 404
    assert run["get_error_text"]["title"] == "Download file not found"
    assert not run["get_error_text"]["what_about"].startswith("Download file not found")


@pytest.mark.usefixtures("worker")
async def test_an_uploaded_file_becomes_a_table(
    reader: Reader, api_server: ApiServer, desk: Desk
) -> None:
    created = await reader.json("POST", "/api/v1/imports", files={"file": ("towns.csv", CSV)})
    await desk.wait_for(UUID(created["item_queue_id"]))

    run = await reader.json("GET", f"/api/v1/imports/{created['item_queue_id']}")
    assert (run["state"], run["table_name"], run["tables_created_count"]) == (
        "complete",
        "towns",
        1,
    )
    assert api_server.query("SELECT count(*) AS row_count FROM reader.towns") == [{"row_count": 2}]
