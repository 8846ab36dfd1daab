"""How a file is read is the sync's to say: its types, and which sheets of a workbook."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence

import pytest
import xlsxwriter

from synctables.datasources.source import Source
from synctables.importer.model import ColumnType
from synctables.syncs.model import SyncOptions, SyncState
from synctables.syncs.service import SyncChanges, create_import, update_sync
from tests.support.file_server import FileServer
from tests.support.workers import Desk

pytestmark = pytest.mark.usefixtures("worker")


async def test_another_way_to_read_makes_another_table_of_an_unchanged_source(
    desk: Desk, file_server: FileServer
) -> None:
    sync, _ = await desk.add(file_server.put("/a.csv", b"code\n1\n2\n", etag='"v1"'))
    async with desk.pool.connection() as connection:
        await update_sync(
            connection,
            account_id=desk.account.id,
            sync_id=sync.id,
            changes=SyncChanges(column_types={"code": ColumnType.TEXT}),
            limits=desk.limits,
        )
    pinned, _ = await desk.force(sync.id)
    assert [column.type for column in pinned.contract] == [ColumnType.TEXT]
    assert await desk.rows("SELECT code FROM a ORDER BY 1") == [("1",), ("2",)]


async def test_another_way_to_read_counts_even_when_it_is_chosen_during_a_run(
    desk: Desk, file_server: FileServer
) -> None:
    url = file_server.put("/a.csv", b"code\n1\n2\n", etag='"v1"', hold_after_bytes=2)
    sync, run_id = await desk.add_only(url)
    await asyncio.to_thread(file_server.wait_until_held, "/a.csv")
    async with desk.pool.connection() as connection:
        await update_sync(
            connection,
            account_id=desk.account.id,
            sync_id=sync.id,
            changes=SyncChanges(type_guessing=False),
            limits=desk.limits,
        )
    file_server.release("/a.csv")
    await desk.wait_for(run_id)
    assert (await desk.sync(sync.id)).reads_anew

    file_server.put("/a.csv", b"code\n1\n2\n", etag='"v1"')
    again, run = await desk.force(sync.id)
    assert (run.http_status, again.reads_anew) == (200, False)
    assert (await desk.force(sync.id))[1].http_status == 304


def _workbook(**sheets: Sequence[Sequence[object]]) -> bytes:
    content = io.BytesIO()
    with xlsxwriter.Workbook(content) as workbook:
        for name, rows in sheets.items():
            sheet = workbook.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    return content.getvalue()


async def test_an_only_sheet_is_followed_when_another_is_put_before_it(
    desk: Desk, file_server: FileServer
) -> None:
    parks, lakes = [["park"], ["Stanley"]], [["lake"], ["Bodensee"]]
    sync, _ = await desk.add(file_server.put("/places.xlsx", _workbook(parks=parks)))
    assert sync.options.layer is None
    file_server.put("/places.xlsx", _workbook(lakes=lakes, parks=[*parks, ["Ibirapuera"]]))
    followed, _ = await desk.force(sync.id)
    assert followed.options.layer == "parks"
    assert await desk.rows("SELECT park FROM places ORDER BY 1") == [("Ibirapuera",), ("Stanley",)]


async def test_the_sheet_that_was_chosen_is_followed_by_name(
    desk: Desk, file_server: FileServer
) -> None:
    parks, lakes = [["park"], ["Stanley"]], [["lake"], ["Bodensee"]]
    url = file_server.put("/places.xlsx", _workbook(notes=[["note"]], parks=parks, lakes=lakes))
    sync, _ = await desk.add(url)
    assert sync.options.layer == "parks"

    file_server.put("/places.xlsx", _workbook(lakes=lakes, parks=[*parks, ["Ibirapuera"]]))
    moved, _ = await desk.force(sync.id)
    assert moved.state is SyncState.SUCCESS

    file_server.put("/places.xlsx", _workbook(lakes=lakes))
    without, _ = await desk.force(sync.id)
    assert without.error_code == 1024
    assert await desk.rows("SELECT park FROM places_parks ORDER BY 1") == [
        ("Ibirapuera",),
        ("Stanley",),
    ]


async def test_an_import_makes_a_table_of_each_sheet(desk: Desk, file_server: FileServer) -> None:
    sheets = {"parks": [["park"], ["Stanley"]], "lakes": [["lake"], ["Bodensee"]]}
    async with desk.pool.connection() as connection:
        run_id = await create_import(
            connection,
            desk.jobs_app,
            account=desk.account,
            source=Source(url=file_server.put("/places.xlsx", _workbook(**sheets))),
            file_name=None,
            options=SyncOptions(interval_seconds=3600),
            content=None,
            limits=desk.limits,
        )
    run = await desk.wait_for(run_id)
    assert run.table_names == ("places_parks", "places_lakes")
    assert await desk.rows("SELECT park, lake FROM places_parks, places_lakes") == [
        ("Stanley", "Bodensee")
    ]
