"""A cloud drive from consent to revocation, by the API alone, at each service's double."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from doubles.drives import DriveDouble
from synctables.db.pool import connect
from synctables.importer.publish import EVENT_CHANNEL
from synctables.settings import load_settings
from tests.support.api_server import ApiAccount, serve_api
from tests.support.workers import WAIT_SECONDS, Connection, running_worker

FIRST = b"name,lat,lon\nOslo,59.9,10.7\nBergen,60.4,5.3\n"
SECOND = FIRST + b"Voss,60.6,6.4\n"

Call = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Town:
    """A whole service on loopback: API, worker and one account, with a drive set up."""

    account: ApiAccount
    drive: DriveDouble
    database_url: str
    listener: Connection

    async def call(self, method: str, path: str, *, status: int = 200, **options: Any) -> Call:
        answer = await asyncio.to_thread(self.account.call, method, path, **options)
        assert answer.status_code == status, answer.text
        body: Call = answer.json()
        return body

    async def service(self, verb: str, *, method: str = "GET", status: int = 200) -> Call:
        path = f"imports/service/{self.drive.service}/{verb}"
        return await self.call(method, path, status=status)

    async def connect(self) -> requests.Response:
        """The user goes to the service, agrees, and comes back."""
        url = (await self.service("auth_url"))["url"]
        return await asyncio.to_thread(lambda: visit(self.drive.agree(url)))

    async def create(self, item_id: str) -> Call:
        """A sync of an item, once its first run has ended."""
        body = {"service_name": self.drive.service, "service_item_id": item_id, "interval": 3600}
        created = await self.call("POST", "synchronizations", json=body)
        assert created["url"] is None
        return await self.ended(created["id"])

    async def refresh(self, sync_id: str) -> Call:
        forced = await self.call("PUT", f"synchronizations/{sync_id}/sync_now", json={})
        assert forced["enqueued"]
        return await self.ended(sync_id)

    async def ended(self, sync_id: str) -> Call:
        return await self.until(
            f"synchronizations/{sync_id}", lambda sync: sync["state"] in ("success", "failure")
        )

    async def until(self, path: str, holds: Callable[[Call], bool]) -> Call:
        """The answer of ``path``, asked again at every event until it is as wanted."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not holds(answer := await self.call("GET", path)):
                async for _ in self.listener.notifies(timeout=1, stop_after=1):
                    pass
        return answer

    def names(self, sync: Call) -> list[str]:
        with psycopg.connect(self.database_url) as connection:
            table = psycopg.sql.Identifier(self.account.name, sync["name"])
            query = psycopg.sql.SQL("SELECT name FROM {} ORDER BY cartodb_id").format(table)
            return [row[0] for row in connection.execute(query)]


def visit(address: str) -> requests.Response:
    """As the user's browser does, without any key."""
    return requests.get(address, timeout=20)


@pytest.fixture
async def town(database_url: str, drive: DriveDouble, short_dir: Path) -> AsyncIterator[Town]:
    settings: dict[str, Any] = {
        "allowed_networks": "127.0.0.0/8,::1/128",
        "sync_now_seconds": 0,
        "data_dir": short_dir,
        **drive.settings,
    }
    with serve_api(database_url, **settings) as server:
        async with (
            await connect(database_url, application_name="tests") as listener,
            running_worker(load_settings(**settings), database_url, short_dir),
        ):
            await listener.set_autocommit(True)
            await listener.execute(f"LISTEN {EVENT_CHANNEL}")
            account = await asyncio.to_thread(server.create_account, "alice")
            yield Town(account=account, drive=drive, database_url=database_url, listener=listener)


async def test_a_file_is_synced_from_consent_to_revocation(town: Town) -> None:
    drive = town.drive
    item_id = drive.put("towns.csv", FIRST)
    assert (await town.service("token_valid"))["oauth_valid"] is False
    came_back = await town.connect()
    assert came_back.status_code == 200
    assert "window.close()" in came_back.text
    assert (await town.service("token_valid"))["oauth_valid"] is True

    files = (await town.service("list_files"))["files"]
    assert [(file["id"], file["filename"], file["size"]) for file in files] == [
        (item_id, "towns.csv", len(FIRST))
    ]

    sync = await town.create(item_id)
    assert (sync["state"], sync["error_message"]) == ("success", None)
    assert (sync["service_name"], sync["service_item_id"]) == (drive.service, item_id)
    assert sync["checksum"]
    assert town.names(sync) == ["Oslo", "Bergen"]
    assert drive.download_count == 1

    unchanged = await town.refresh(sync["id"])
    assert unchanged["state"] == "success"
    assert drive.download_count == 1, "an unchanged file is not downloaded"

    drive.put("towns.csv", SECOND)
    changed = await town.refresh(sync["id"])
    assert (changed["state"], town.names(changed)) == ("success", ["Oslo", "Bergen", "Voss"])
    assert changed["checksum"] != sync["checksum"]
    assert drive.download_count == 2

    drive.let_token_expire()
    drive.put("towns.csv", FIRST)
    renewed = await town.refresh(sync["id"])
    assert (renewed["state"], town.names(renewed)) == ("success", ["Oslo", "Bergen"])

    drive.revoke()
    revoked = await town.refresh(sync["id"])
    assert revoked["state"] == "failure"
    assert revoked["error_code"] in (1012, 1016, 1021)
    assert town.names(revoked) == ["Oslo", "Bergen"], "the table stays as it was"
    assert (await town.service("token_valid"))["oauth_valid"] is False

    assert (await town.connect()).status_code == 200, "a dead token is gone: connecting works again"
    again = await town.refresh(sync["id"])
    assert (again["state"], again["error_code"]) == ("success", None)


async def test_a_deleted_file_is_said_and_the_table_stays(town: Town) -> None:
    item_id = town.drive.put("towns.csv", FIRST)
    await town.connect()
    sync = await town.create(item_id)
    town.drive.delete("towns.csv")
    gone = await town.refresh(sync["id"])
    assert (gone["state"], gone["error_code"]) == ("failure", 1017)
    assert town.names(gone) == ["Oslo", "Bergen"]


async def test_an_import_and_a_preview_read_the_same_item(town: Town) -> None:
    item_id = town.drive.put("towns.csv", FIRST)
    await town.connect()
    source = {"service_name": town.drive.service, "service_item_id": item_id}
    preview = await town.call("POST", "preview", json=source)
    assert preview["state"] == "complete"
    queued = await town.call("POST", "imports", json=source)
    item = await town.until(f"imports/{queued['item_queue_id']}", lambda item: "success" in item)
    assert (item["state"], item["data_type"]) == ("complete", "datasource")
    assert town.names({"name": item["table_name"]}) == ["Oslo", "Bergen"]


async def test_the_way_back_works_once_and_only_for_who_was_sent(town: Town) -> None:
    url = (await town.service("auth_url"))["url"]
    way_back = await asyncio.to_thread(town.drive.agree, url)
    forged = way_back.replace("state=", "state=x")
    assert (await asyncio.to_thread(visit, forged)).status_code == 400
    assert (await asyncio.to_thread(visit, way_back)).status_code == 200
    repeated = await asyncio.to_thread(visit, way_back)
    assert repeated.status_code == 400
    assert "Connect the service again" in repeated.text
    assert "OAuth already set" in (await town.service("auth_url", status=400))["errors"]["imports"]


async def test_disconnecting_revokes_at_the_service_first(town: Town) -> None:
    await town.connect()
    tokens = town.drive.double.authority.tokens_ever()
    assert (await town.service("invalidate_token", method="DELETE"))["success"] is True
    assert not town.drive.double.authority.tokens_ever(), "the service has no grant left"
    assert tokens, "it had one"
    text = (await town.service("list_files", status=400))["errors"]["imports"]
    assert text == f"No oauth set for service {town.drive.service}"
    problem = await town.service("invalidate_token", method="DELETE", status=400)
    assert "No oauth set" in problem["errors"]["imports"]


async def test_no_secret_is_told_to_anybody(
    town: Town, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """A whole life of a connection, and then every answer, log, row and address is searched."""
    caplog.set_level("DEBUG")
    item_id = town.drive.put("towns.csv", FIRST)
    told = [(await town.connect()).text]
    told.append(str(await town.service("list_files")))
    sync = await town.create(item_id)
    town.drive.let_token_expire()
    told.append(str(await town.refresh(sync["id"])))
    authority = town.drive.double.authority
    secrets = {*authority.tokens_ever(), authority.client_secret}
    town.drive.revoke()
    told.append(str(await town.refresh(sync["id"])))
    told.append(str(await town.call("GET", f"synchronizations/{sync['id']}")))
    told.append(str(await town.call("GET", f"logs/{sync['log_id']}")))
    output = capfd.readouterr()
    told += [caplog.text, output.out, output.err]
    with psycopg.connect(town.database_url) as connection:
        for table in ("syncs", "runs", "log_entries", "oauth_tokens", "oauth_consents"):
            query = psycopg.sql.SQL("SELECT t::text FROM synctables.{} AS t").format(
                psycopg.sql.Identifier(table)
            )
            told += [row[0] for row in connection.execute(query)]
    targets = [f"{seen.path}?{seen.query}" for seen in town.drive.double.trouble.seen()]
    assert len(secrets) >= 3
    for secret in secrets:
        assert not [text for text in told if secret in text]
        assert not [target for target in targets if secret in target]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"service_name": "nowhere", "service_item_id": "x"}, "no service 'nowhere'"),
        ({"service_name": "{service}"}, "service_item_id is missing"),
        ({"service_name": "{service}", "service_item_id": "x"}, "No oauth set for service"),
        ({"service_name": "{service}", "service_item_id": ["x"]}, "empty or a string"),
        ({"service_name": 5, "service_item_id": "x"}, "Invalid service_name"),
    ],
)
async def test_what_cannot_be_synced_is_a_400_with_its_reason(
    town: Town, parameters: Call, words: str
) -> None:
    body = {
        name: value.format(service=town.drive.service) if isinstance(value, str) else value
        for name, value in parameters.items()
    }
    answer = await town.call("POST", "synchronizations", json=body, status=400)
    assert words in answer["errors"]
    assert (await town.call("GET", "synchronizations"))["total_entries"] == 0
