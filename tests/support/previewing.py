"""Previews and runs as a client asks for them: over HTTP, with a worker on the same database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from synctables.syncs import service
from synctables.syncs.model import Run
from tests.support.api_server import ApiAccount, serve_api

if TYPE_CHECKING:
    from tests.support.workers import Desk

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Client:
    """The account ``bob``; calls go through a thread, for the worker is in this one."""

    api: ApiAccount
    desk: Desk

    async def call(self, method: str, path: str, body: Json | None = None) -> Any:
        """The answer's status and body."""
        answer = await asyncio.to_thread(self.api.call, method, path, json=body)
        return answer.status_code, answer.json()

    async def add(self, url: str, **options: Any) -> Json:
        """A sync table, as it is after its first run."""
        status, sync = await self.call("POST", "synchronizations", {"url": url, **options})
        assert status == 200, sync
        await self.desk.wait_for(UUID(sync["data_import"]["item_queue_id"]))
        return await self.show(sync["id"])

    async def show(self, sync_id: str) -> Json:
        sync: Json = (await self.call("GET", f"synchronizations/{sync_id}"))[1]
        return sync

    async def run(self, sync_id: str, *accept: str) -> Run:
        """A forced run, once it has ended."""
        path = f"synchronizations/{sync_id}/sync_now"
        status, answer = await self.call("PUT", path, {"accept": list(accept)})
        assert (status, answer["enqueued"]) == (200, True), answer
        log_id = UUID((await self.show(sync_id))["log_id"])
        async with self.desk.pool.connection() as connection:
            run = await service.latest_run(connection, log_id=log_id)
        assert run is not None
        return await self.desk.wait_for(run.id)

    async def ended(self, sync_id: str) -> bool | None:
        """True as soon as no run is under way, for `Desk.until`."""
        return (await self.show(sync_id))["state"] in ("success", "failure") or None

    async def preview(self, sync_id: str, **options: Any) -> Json:
        """What a preview of the sync finds."""
        return await self.result(f"synchronizations/{sync_id}/preview", options)

    async def preview_address(self, url: str, **options: Any) -> Json:
        return await self.result("preview", {"url": url, **options})

    async def result(self, path: str, body: Json) -> Json:
        status, answer = await self.call("POST", path, body)
        assert (status, answer["state"]) == (200, "complete"), answer
        result: Json = answer["result"]
        return result


@pytest.fixture
def client(desk: Desk, database_url: str, worker: None) -> Iterator[Client]:
    with serve_api(database_url, sync_now_seconds=0, preview_wait_seconds=18) as server:
        yield Client(api=server.create_account("bob"), desk=desk)
