"""Syncs that are due: one that stands, copies of it by the hundred, and the hand on the clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from synctables.settings import Settings
from synctables.syncs.model import Sync
from tests.support.file_server import FileServer
from tests.support.workers import Desk, running_worker

RUN_COUNT = "SELECT count(*) FROM runs"

_COPY = """
INSERT INTO syncs SELECT (jsonb_populate_record(syncs, jsonb_build_object(
    'id', copy.id, 'log_id', gen_random_uuid(), 'url', copy.url, 'service_item_id', copy.url))).*
FROM syncs, unnest(%s::uuid[], %s::text[]) AS copy (id, url) WHERE syncs.id = %s
"""


async def make_due(desk: Desk, *sync_ids: UUID, at: datetime | None = None) -> None:
    """Let their slot be ``at``, by default now; the offset that spreads claims is left out."""
    async with desk.pool.connection() as connection:
        await connection.execute(
            "UPDATE syncs SET run_at = coalesce(%s, now()), spread_seconds = 0,"
            " put_off_until = NULL WHERE id = ANY(%s)",
            [at, list(sync_ids)],
        )


async def put_copies(desk: Desk, sync: Sync, urls: Sequence[str]) -> list[UUID]:
    """Syncs like this one, of the same table, for other addresses; not due yet."""
    ids = [uuid4() for _ in urls]
    async with desk.pool.connection() as connection:
        await connection.execute(_COPY, [ids, list(urls), sync.id])
    return ids


@pytest.fixture
async def standing(
    desk: Desk, file_server: FileServer, settings: Settings, database_url: str, short_dir: Path
) -> Sync:
    """A sync with a table and a known version, not due; no worker runs any more."""
    url = file_server.put("/a.csv", b"name,size\nOslo,1\n", etag='"v1"')
    async with running_worker(settings, database_url, short_dir):
        sync, _ = await desk.add(url)
    return sync
