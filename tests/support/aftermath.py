"""What must be true after any accident, whatever it was and wherever it happened.

`assert_old_or_new`          the table is what it was, or what the new file says
`assert_recovers`            the next run, asked for where the last failed, brings the new file
`assert_nothing_is_left`     no run, job, table, lock, file or process of what died
"""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg

from soaking.left_overs import find_left_overs
from synctables.importer.apply.work_schema import sweep_work_schema
from synctables.importer.workspace_owners import WORKSPACES
from synctables.syncs.model import SyncState

if TYPE_CHECKING:
    from tests.support.workers import Desk

# Every column but the id, by name, as text: one statement, so that it sees one table.
_CONTENT = """
SELECT (SELECT jsonb_object_agg(key, value) FROM jsonb_each_text(to_jsonb(city) - 'cartodb_id'))
FROM alice.cities AS city
"""
_SHAPES = ("the_geom", "the_geom_webmercator")
"""Columns of every table; no file of these tests has any shapes."""

_LOCKS = """
SELECT count(*) FROM pg_locks WHERE pid <> pg_backend_pid()
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND relation IN (SELECT oid FROM pg_class WHERE relnamespace = 'alice'::regnamespace)
"""
_CHECKS = "SELECT count(*) FROM synctables.checks"
_WAITING_JOBS = """
SELECT count(*) FROM synctables.procrastinate_jobs
WHERE status IN ('todo', 'doing') AND queue_name IN ('runs', 'checks')
"""


def content_of(file: bytes, *, empty: Sequence[str] = ()) -> list[str]:
    """The rows of the table that equals the file: each names all its columns and values.

    ``empty``: columns that the file does not have and the table does, NULL in every row.
    """
    others = dict.fromkeys((*_SHAPES, *empty))
    rows = csv.DictReader(file.decode().splitlines())
    return sorted(json.dumps(others | row, sort_keys=True) for row in rows)


async def read_content(desk: Desk) -> list[str]:
    """The rows of the table as it is now, as `content_of` writes them."""
    return sorted(json.dumps(row, sort_keys=True) for (row,) in await desk.rows(_CONTENT))


async def assert_old_or_new(desk: Desk, *, old: bytes | None, new: bytes) -> None:
    """The table has one file's rows and columns; ``old`` is None where there was none before.

    Columns that only the new file has may stand beside the old rows, empty: they are added before
    the rows come (docs/decisions/0021).
    """
    try:
        rows = await read_content(desk)
    except psycopg.errors.UndefinedTable:
        assert old is None
        return
    allowed = [content_of(new)]
    if old is not None:
        allowed += [content_of(old), content_of(old, empty=_columns_of(new))]
    assert rows in allowed


def _columns_of(file: bytes) -> list[str]:
    return file.split(b"\n", 1)[0].decode().split(",")


async def presume_dead(desk: Desk) -> None:
    """All workers that there are fell silent long ago."""
    await desk.execute(
        "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '10 minutes'"
    )


async def assert_is_due_soon(desk: Desk, sync_id: UUID) -> None:
    """The run has failed for now, and the next one comes within a minute by itself."""
    sync = await desk.sync(sync_id)
    assert sync.state is SyncState.FAILURE
    ((now,),) = await desk.rows("SELECT now()")
    assert sync.run_at - now <= timedelta(minutes=1)


async def assert_recovers(
    desk: Desk,
    sync_id: UUID,
    *,
    new: bytes,
    vanished: Sequence[str] = (),
    data_dirs: Iterable[Path] = (),
) -> None:
    """The next run, which comes by itself or is asked for, succeeds and leaves nothing behind.

    ``vanished``: columns that earlier files had and the new one does not.
    """

    async def is_new() -> bool | None:
        sync = await desk.sync(sync_id)
        if sync.state is SyncState.FAILURE:
            await desk.force_only(sync_id)
        return sync.state is SyncState.SUCCESS or None

    await desk.until(is_new)
    content = content_of(new, empty=vanished)
    assert await read_content(desk) == content
    ids = {id_ for (id_,) in await desk.rows("SELECT cartodb_id FROM alice.cities")}
    assert len(ids) == len(content)
    await assert_nothing_is_left(desk, data_dirs)
    assert await desk.rows("SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [
        (False,)
    ]


async def assert_nothing_is_left(desk: Desk, data_dirs: Iterable[Path] = ()) -> None:
    """Once the living workers have tidied up, which takes them a moment."""
    places, database_url = list(data_dirs), desk.pool.conninfo
    assert isinstance(database_url, str)
    found = ["not looked at"]

    async def is_tidy() -> bool | None:
        nonlocal found
        async with desk.pool.connection() as connection:
            await sweep_work_schema(connection)
        found = await asyncio.to_thread(_look, database_url, places)
        return not found or None

    try:
        await desk.until(is_tidy)
    except TimeoutError:
        raise AssertionError(found) from None
    assert await desk.rows(
        "SELECT relnamespace::regnamespace::text, relname FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace IN ('alice'::regnamespace,"
        " 'synctables_work'::regnamespace)"
    ) == [("alice", "cities")]


def _look(database_url: str, places: list[Path]) -> list[str]:
    more = {"locks": _LOCKS, "checks": _CHECKS, "jobs": _WAITING_JOBS}
    with psycopg.connect(database_url) as connection:
        found = find_left_overs(connection, places)
        for what, statement in more.items():
            row = connection.execute(statement.encode()).fetchone()
            assert row is not None
            found += [f"{row[0]} {what}"] * bool(row[0])
    for place in places:
        found += [str(folder) for folder in (place / WORKSPACES).glob("*/*")]
    return found
