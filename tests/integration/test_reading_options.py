"""What the user says about types holds on the first import and on every refresh, and is told."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
from typing import Any

import pytest
import xlsxwriter

from synctables.accounts.service import rotate_key
from synctables.importer.model import ColumnType
from synctables.syncs.model import Run, Sync, SyncState
from tests.support.api_server import ApiServer
from tests.support.file_server import FileServer
from tests.support.workers import Desk

pytestmark = pytest.mark.usefixtures("worker")

T = ColumnType


def types_of(sync: Sync) -> dict[str, ColumnType]:
    return {column.name: column.type for column in sync.contract}


def misfits_of(run: Run) -> list[tuple[str, int, str, list[list[Any]]]]:
    """Column, count, reason and examples of the only layer."""
    report: dict[str, Any] = run.report
    (layer,) = report["layers"]
    return [
        (found["column"], found["count"], found["reason"], found["examples"])
        for found in layer["misfits"]
    ]


PINS = {"code": T.TEXT, "size": T.BIGINT, "seen": T.TIMESTAMPTZ, "gone": T.DATE}


async def test_pinned_types_hold_and_what_does_not_fit_is_null_and_told(
    desk: Desk, file_server: FileServer
) -> None:
    url = file_server.put("/a.csv", b"code,size,seen\n1,10,2026-01-01\n2,big,2026-01-02\n")
    first, run = await desk.add(url, column_types=PINS)
    pinned = {"code": T.TEXT, "size": T.BIGINT, "seen": T.TIMESTAMPTZ}
    assert types_of(first) == pinned
    assert misfits_of(run) == [("size", 1, "not bigint", [[2, "big"]])]

    file_server.put("/a.csv", b"code,size,seen\n1,10.5,soon\n2,20,2026-01-02\n3,huge,2026-01-03\n")
    again, run = await desk.force(first.id)
    assert types_of(again) == pinned
    assert misfits_of(run) == [
        ("seen", 1, "not timestamp with time zone", [[1, "soon"]]),
        ("size", 2, "not bigint", [[1, "10.5"], [3, "huge"]]),
    ]
    days = [dt.datetime(2026, 1, day, tzinfo=dt.UTC) for day in (2, 3)]
    assert await desk.rows("SELECT code, size, seen FROM a ORDER BY code") == [
        ("1", None, None), ("2", 20, days[0]), ("3", None, days[1]),
    ]  # fmt: skip


async def test_misfits_stand_in_the_log_that_the_api_shows(
    desk: Desk, file_server: FileServer, api_server: ApiServer
) -> None:
    url = file_server.put("/a.csv", b"size\n10\n" + b"big\n" * 5)
    sync, _ = await desk.add(url, column_types={"size": T.BIGINT, "gone": T.DATE})
    async with desk.pool.connection() as connection:
        key = await rotate_key(connection, name=desk.account.name)
    answer = await asyncio.to_thread(
        api_server.call,
        "GET",
        f"/api/v1/synchronizations/{sync.id}/log",
        headers={"Authorization": f"Bearer {key}"},
    )
    lines = [entry["message"] for entry in answer.json()["entries"]]
    assert "column size: 5 times: not bigint. row 2: big; row 3: big; row 4: big" in lines, lines
    assert "pinned type of gone: not applied (the file has no such column)" in lines
    assert [line for line in lines if line.startswith("column size: bigint")]


async def test_without_guessing_every_column_is_text_and_stays_text(
    desk: Desk, file_server: FileServer
) -> None:
    url = file_server.put("/a.csv", b"id,lat,lon,day\n007,50.9,11.6,2026-01-01\n")
    first, _ = await desk.add(url, type_guessing=False)
    text = dict.fromkeys(("id", "lat", "lon", "day"), T.TEXT)
    assert types_of(first) == text

    file_server.put("/a.csv", b"id,lat,lon,day\n8,51,12,2026-01-02\n")
    again, _ = await desk.force(first.id)
    assert types_of(again) == text
    assert await desk.rows("SELECT id, lat, lon, day, the_geom FROM a") == [
        ("8", "51", "12", "2026-01-02", None)
    ]


async def test_without_guessing_a_workbook_is_text_too_but_for_what_is_pinned(
    desk: Desk, file_server: FileServer
) -> None:
    url = file_server.put("/a.xlsx", _workbook([["id", "size"], [1, 2.5]]))
    first, _ = await desk.add(url, type_guessing=False, column_types={"size": T.DOUBLE})
    file_server.put("/a.xlsx", _workbook([["id", "size"], [2, 3.5]]))
    again, _ = await desk.force(first.id)
    assert types_of(first) == types_of(again) == {"id": T.TEXT, "size": T.DOUBLE}
    assert await desk.rows("SELECT id, size FROM a") == [("2", 3.5)]


async def test_quoted_fields_stay_text_where_asked_for(desk: Desk, file_server: FileServer) -> None:
    url = file_server.put("/a.csv", b'code,size\n"1",10\n2,20\n')
    first, _ = await desk.add(url, quoted_fields_guessing=False)
    assert types_of(first) == {"code": T.TEXT, "size": T.BIGINT}

    file_server.put("/a.csv", b"code,size\n1,11\n2,20\n")  # the quotes are gone: the type stays
    again, _ = await desk.force(first.id)
    assert types_of(again) == {"code": T.TEXT, "size": T.BIGINT}
    assert await desk.rows("SELECT code, size FROM a ORDER BY 1") == [("1", 11), ("2", 20)]

    file_server.put("/a.csv", b'code,size\n1,"11"\n2,20\n')  # a quote more: the type widens
    wider, run = await desk.force(first.id)
    assert wider.state is SyncState.SUCCESS
    assert types_of(wider) == {"code": T.TEXT, "size": T.TEXT}
    assert run.report["schema_changes"]
    assert await desk.rows("SELECT code, size FROM a ORDER BY 1") == [("1", "11"), ("2", "20")]


def _workbook(rows: list[list[object]]) -> bytes:
    content = io.BytesIO()
    with xlsxwriter.Workbook(content) as workbook:
        sheet = workbook.add_worksheet()
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    return content.getvalue()
