"""A source that stalls, breaks off, lies, changes, leads astray or answers with a page.

Each as a whole run of a worker. The table is not touched, down to where its rows lie.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from synctables.settings import Settings, load_settings
from synctables.syncs.model import SyncState
from tests.support.aftermath import assert_recovers
from tests.support.cities import NEW, OLD, PATH
from tests.support.file_pages import Page
from tests.support.file_server import FileServer
from tests.support.workers import Desk

ROWS = "SELECT ctid::text, xmin::text, * FROM alice.cities ORDER BY cartodb_id"
WEB_PAGE = b"<!doctype html><html><body><p>Please sign in.</p></body></html>"
SOON, NEXT_SLOT = timedelta(minutes=1), timedelta(hours=1)

INNOCENT = Page(body=NEW, etag='"innocent"')
CASES = [
    pytest.param([Page(body=NEW, etag='"2"', hold_after_bytes=50)], 1020, SOON, id="stalls, 1020"),
    pytest.param(
        [Page(body=NEW, hold_after_bytes=0, holds_headers=True)],
        1020,
        SOON,
        id="never answers, 1020",
    ),
    pytest.param([Page(body=NEW, cut_after_bytes=50)], 1103, SOON, id="breaks off"),
    pytest.param(
        [Page(body=NEW, etag='"2"', declared_bytes=len(NEW) + 1)], 1103, SOON, id="says too much"
    ),
    pytest.param(
        [Page(body=NEW * n, etag=f'"{n}"', cut_after_bytes=90) for n in range(2, 30)],
        *(1103, SOON),
        id="changes all the time",
    ),
    pytest.param(
        [Page(status=302, headers={"Location": "http://10.0.0.1/cities.csv"})],
        *(1102, NEXT_SLOT),
        id="leads to a private address",
    ),
    pytest.param([Page(body=WEB_PAGE, content_type="text/html")], 2103, NEXT_SLOT, id="is a page"),
]


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> Settings:
    """Where a source is to be silent, silence is told quickly."""
    is_silent = "1020" in request.node.name
    return load_settings(
        allowed_networks="127.0.0.0/8,::1/128",
        sync_now_seconds=0,
        idle_timeout_seconds=0.3 if is_silent else 60,
    )


@pytest.mark.parametrize(("pages", "code", "pause"), CASES)
@pytest.mark.usefixtures("worker")
async def test_a_bad_source_leaves_the_table_alone(
    desk: Desk,
    file_server: FileServer,
    short_dir: Path,
    pages: list[Page],
    code: int,
    pause: timedelta,
) -> None:
    sync, _ = await desk.add(file_server.put(PATH, OLD, etag='"1"'))
    before = await desk.rows(ROWS)
    file_server.script(PATH, *pages)

    sync, run = await desk.force(sync.id)

    assert run.error_code == code, run.error_message
    assert sync.state is SyncState.FAILURE
    assert run.finished_at is not None
    assert sync.run_at - run.finished_at <= pause
    assert await desk.rows(ROWS) == before
    file_server.script(PATH, INNOCENT)
    await assert_recovers(desk, sync.id, new=NEW, data_dirs=[short_dir])


@pytest.mark.usefixtures("worker")
async def test_a_source_that_says_too_little_or_changes_once_is_taken_as_it_is_then(
    desk: Desk, file_server: FileServer, short_dir: Path
) -> None:
    """Never a mixture: the first part of one version and the rest of another."""
    sync, _ = await desk.add(file_server.put(PATH, OLD, etag='"1"'))
    file_server.script(PATH, Page(body=NEW * 2, etag='"2"', cut_after_bytes=90), INNOCENT)
    sync, run = await desk.force(sync.id)
    assert run.error_code is None
    await assert_recovers(desk, sync.id, new=NEW, data_dirs=[short_dir])
