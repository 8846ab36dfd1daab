"""Sync tables of objects, from the API to the table."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from synctables.settings import Settings, load_settings
from synctables.syncs.model import Run
from tests.support.api_server import ApiAccount, serve_api
from tests.support.object_stores import Bucket
from tests.support.workers import Desk

KEY = "open/cities 2026.csv"


@pytest.fixture
def settings(s3: Bucket) -> Settings:
    """For the worker: what is below ``open`` in the bucket may be read."""
    places = s3.address("open")
    return load_settings(object_store_places=places, sync_now_seconds=0, **s3.options)


async def test_an_object_becomes_a_table_that_stays_equal_to_it(
    s3: Bucket, settings: Settings, desk: Desk, database_url: str, worker: None
) -> None:
    url = s3.put(KEY, b"name,inhabitants\nJena,110000\n")
    limits = {"object_store_places": s3.address("open")}
    with serve_api(database_url, sync_now_seconds=0, **limits) as server:
        account = server.create_account("bob")
        created = await _call(
            account, "POST", "synchronizations", json={"url": url, "interval": 3600}
        )
        run = await desk.wait_for(created["data_import"]["item_queue_id"])
        assert run.error_code is None, run.error_message
        path = f"synchronizations/{created['id']}"
        shown = await _call(account, "GET", path)
        assert (shown["url"], shown["state"], shown["name"]) == (url, "success", "cities_2026")
        assert shown["etag"]
        assert await desk.rows("SELECT name, inhabitants FROM bob.cities_2026") == [
            ("Jena", 110000)
        ]

        run = await _sync_now(account, path, desk)
        assert (run.error_code, run.report) == (None, {})
        assert s3.seen("GET")[-1].headers["if-none-match"].strip('"') == shown["etag"]
        assert (await _call(account, "GET", path))["updated_at"] == shown["updated_at"]

        s3.put(KEY, b"name,inhabitants\nJena,111000\nWeimar,65000\n")
        await _sync_now(account, path, desk)
        rows = await desk.rows("SELECT name, inhabitants FROM bob.cities_2026 ORDER BY name")
        assert rows == [("Jena", 111000), ("Weimar", 65000)]

        s3.delete(KEY)
        await _sync_now(account, path, desk)
        failed = await _call(account, "GET", path)
        assert (failed["state"], failed["error_code"]) == ("failure", 1100)
        assert len(await desk.rows("SELECT 1 FROM bob.cities_2026")) == 2


@pytest.mark.parametrize(
    ("path", "url", "reason"),
    [
        (path, url, reason)
        for path in ("synchronizations", "imports", "preview")
        for url, reason in [
            (
                "gs://open/cities.csv",
                "The operator can allow it with SYNCTABLES_OBJECT_STORE_PLACES",
            ),
            ("s3://shut/cities.csv", "lists in SYNCTABLES_OBJECT_STORE_PLACES"),
            ("s3://open/../shut/cities.csv", "it contains the segment . or .."),
            ("s3://KEY:s3cret@open/cities.csv", "both are settings of the operator"),
        ]
    ],
)
def test_an_address_that_may_not_be_read_is_refused_with_400(
    restricted: ApiAccount, path: str, url: str, reason: str
) -> None:
    answer = restricted.call("POST", path, json={"url": url, "interval": 3600})
    assert answer.status_code == 400
    assert reason in str(answer.json()["errors"])
    assert "s3cret" not in answer.text


@pytest.fixture
def restricted(session_database_url: str, request: pytest.FixtureRequest) -> Any:
    """An account on a server whose operator opens one bucket of S3."""
    with serve_api(request.getfixturevalue("database_url"), object_store_places="s3://open") as one:
        yield one.create_account("carol")


async def _call(account: ApiAccount, method: str, path: str, **options: Any) -> dict[str, Any]:
    answer = await asyncio.to_thread(account.call, method, path, **options)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def _sync_now(account: ApiAccount, path: str, desk: Desk) -> Run:
    """Ask for a run and wait for its end."""
    before = await desk.rows("SELECT id FROM synctables.runs")
    told = await _call(account, "PUT", f"{path}/sync_now")
    assert told["enqueued"], told
    ((run_id,),) = set(await desk.rows("SELECT id FROM synctables.runs")) - set(before)
    return await desk.wait_for(run_id)
