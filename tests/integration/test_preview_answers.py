"""How previews are asked for and answered: calls, ids, failures, sizes, and the command."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest

from synctables.cli import run
from synctables.datasources.source import Source
from synctables.syncs.model import SyncOptions
from synctables.syncs.preview_runs import forget_previews
from synctables.syncs.previews import MOST_UNFINISHED, Preview, create_preview, find_preview
from synctables.syncs.runs import MOST_ATTEMPTS
from tests.support.api_server import ApiAccount, ApiServer
from tests.support.file_server import FileServer
from tests.support.previewing import Client
from tests.support.workers import Desk, StartWorker

CSV = b"name,lat,lon,size\nOslo,59.91,10.75,700000\nBergen,60.39,5.32,280000\nMolde,62.74,7.16,\n"
CHANGED = (
    b"name,lat,lon,size\nOslo,59.91,10.75,709000\nBergen,60.39,5.32,280000\nVoss,60.63,6.42,6000\n"
    b"Hamar,60.79,11.07,32000\n"
)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        pytest.param("http://169.254.169.254/latest/meta-data", 1102, id="a private address"),
        pytest.param("/missing.csv", 1100, id="nothing there"),
        pytest.param("/picture.csv", 1002, id="no data"),
    ],
)
async def test_what_would_end_a_run_ends_a_preview(
    client: Client, file_server: FileServer, path: str, code: int
) -> None:
    file_server.put("/picture.csv", b"\x89PNG\r\n\x1a\n" + bytes(100))
    url = path if path.startswith("http") else file_server.url(path)
    status, answer = await client.call("POST", "preview", {"url": url})
    assert (status, answer["state"], answer["error_code"]) == (200, "failure", code)
    assert answer["error_text"]["title"]
    assert answer["result"] is None


async def test_a_table_that_is_gone_is_said(client: Client, file_server: FileServer) -> None:
    sync = await client.add(file_server.put("/cities.csv", CSV))
    await client.desk.execute("DROP TABLE bob.cities")
    _, answer = await client.call("POST", f"synchronizations/{sync['id']}/preview")
    assert (answer["state"], answer["error_code"]) == ("failure", 2104)


async def test_who_does_not_wait_gets_an_id(client: Client, file_server: FileServer) -> None:
    url = file_server.put("/a.csv", b"a\n1\n", hold_after_bytes=2)
    status, begun = await client.call("POST", "preview", {"url": url, "wait": 0.1})
    assert status == 202
    assert (begun["result"], begun["finished_at"]) == (None, None)
    file_server.release("/a.csv")

    async def ended() -> Any:
        shown = (await client.call("GET", f"preview/{begun['id']}"))[1]
        return shown if shown["finished_at"] else None

    shown = await client.desk.until(ended)
    assert shown["result"]["row_count"] == 1


HOSTILE = [
    pytest.param("/wide.csv", ",".join(f"column number {n}" for n in range(350)) + "\n"
                 + ("x" * 300 + ",") * 349 + "x\n", 350, id="many columns of long values"),
    pytest.param("/long.csv", "h" * 100_000 + "\n" + "y" * 2_000_000 + "\n", 1, id="a long value"),
    pytest.param("/shape.geojson", '{"type": "LineString", "coordinates": ['
                 + ",".join(f"[{n % 180}, {n % 90}]" for n in range(100_000)) + "]}", 0,
                 id="a shape of many points"),
    pytest.param("/control.csv", "a,b\n\x1b[2J\u202e,<script>\n", 2, id="control characters"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "column_count"), HOSTILE)
async def test_whatever_a_file_holds_the_answer_is_small(
    client: Client, file_server: FileServer, path: str, body: str, column_count: int
) -> None:
    url = file_server.put(path, body.encode())
    result = await client.preview_address(url)
    assert (len(result["columns"]), result["row_count"]) == (column_count, 1)
    assert len(str(result)) < 1_000_000
    sync = await client.add(url)
    await client.desk.execute(f'UPDATE bob."{sync["name"]}" SET the_geom = NULL')
    await client.desk.execute(f'DELETE FROM bob."{sync["name"]}"')
    again = await client.preview(sync["id"])
    assert again["rows"]["inserted"] == 1
    assert len(str(again)) < 1_000_000


async def test_shapes_that_no_geojson_can_hold_are_shown_as_cut(
    client: Client, file_server: FileServer
) -> None:
    sync = await client.add(file_server.put("/cities.csv", CSV))
    curve = "ST_GeomFromText('CIRCULARSTRING(0 0, 1 1, 2 0)', 4326)"
    await client.desk.execute(f"UPDATE bob.cities SET the_geom = {curve}")
    file_server.put("/cities.csv", CSV + CSV.splitlines()[1] + b"\n")
    updated = (await client.preview(sync["id"]))["examples"]["updated"]
    assert [change["changes"]["the_geom"]["old"]["type"] for change in updated] == [
        "CircularString"
    ] * 3
    assert all(change["changes"]["the_geom"]["old"]["is_cut"] for change in updated)


async def test_numbers_beyond_a_double_are_told_as_text(
    client: Client, file_server: FileServer
) -> None:
    body = b"big,exact\n12345678901234567890123,1.5\n9,0.12345678901234567890\n"
    result = await client.preview_address(file_server.put("/a.csv", body))
    assert [row["values"]["big"] for row in result["first_rows"]] == ["12345678901234567890123", 9]
    assert result["first_rows"][1]["values"]["exact"] == "0.1234567890123456789"


async def test_a_preview_whose_worker_ends_again_and_again_is_stuck(
    desk: Desk, file_server: FileServer, start_worker: StartWorker
) -> None:
    async with desk.pool.connection() as connection:
        preview = await create_preview(
            connection,
            desk.jobs_app,
            account_id=desk.account.id,
            sync_id=None,
            source=Source(url=file_server.put("/a.csv", b"a\n1\n")),
            options=SyncOptions(interval_seconds=3600),
            accept=(),
            places=(),
        )
    await desk.execute(f"UPDATE previews SET attempt_count = {MOST_ATTEMPTS}")
    await start_worker()

    async def ended() -> Preview | None:
        async with desk.pool.connection() as connection:
            found = await find_preview(
                connection, account_id=desk.account.id, preview_id=preview.id
            )
        return found if found.finished_at else None

    assert (await desk.until(ended)).error_code == 6671


async def test_an_account_has_so_many_previews_waiting_and_no_more(api: ApiAccount) -> None:
    """No worker takes them here."""
    statuses = [
        api.call("POST", "preview", json={"url": "https://example.org/a.csv"}).status_code
        for _ in range(MOST_UNFINISHED + 1)
    ]
    assert statuses == [202] * MOST_UNFINISHED + [400]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        pytest.param("preview", {}, 400, id="no address"),
        pytest.param("preview", {"url": "ftp://example.org/a.csv"}, 400, id="a wrong address"),
        pytest.param("preview", {"url": "https://x.org/a", "wait": -1}, 400, id="a wrong wait"),
        pytest.param(
            "preview", {"url": "https://x.org/a", "accept": "all"}, 400, id="a wrong word"
        ),
        pytest.param(f"synchronizations/{uuid4()}/preview", {}, 404, id="no such sync"),
    ],
)
def test_a_wrong_call_is_refused_and_nothing_is_stored(
    api: ApiAccount, shared_server: ApiServer, path: str, body: dict[str, Any], status: int
) -> None:
    answer = api.call("POST", path, json=body)
    assert (answer.status_code, list(answer.json())) == (status, ["errors"])
    assert not shared_server.query(
        "SELECT FROM previews JOIN accounts ON accounts.id = account_id WHERE name = %s", api.name
    )


def test_previews_are_their_accounts_own(api: ApiAccount, shared_server: ApiServer) -> None:
    other = shared_server.create_account(f"other-{api.name}")
    sync = api.create_sync()
    mine = api.call("POST", f"synchronizations/{sync['id']}/preview")
    assert (mine.status_code, mine.json()["synchronization_id"]) == (202, sync["id"])
    assert api.call_plain("GET", mine.headers["Location"]).status_code == 401
    assert api.call("GET", f"preview/{mine.json()['id']}").json()["state"] == "pending"
    assert other.call("GET", f"preview/{mine.json()['id']}").status_code == 404
    assert other.call("POST", f"synchronizations/{sync['id']}/preview").status_code == 404


async def test_a_day_later_a_preview_is_forgotten(client: Client, file_server: FileServer) -> None:
    url = file_server.put("/a.csv", b"a\n1\n")
    old, new = [await client.call("POST", "preview", {"url": url}) for _ in range(2)]
    await client.desk.execute(
        "UPDATE synctables.previews SET created_at = now() - interval '25 hours'"
        f" WHERE id = '{old[1]['id']}'"
    )
    async with client.desk.pool.connection() as connection:
        await forget_previews(connection)
    assert (await client.call("GET", f"preview/{old[1]['id']}"))[0] == 404
    assert (await client.call("GET", f"preview/{new[1]['id']}"))[0] == 200


async def test_the_command_says_the_same_in_lines(
    client: Client,
    file_server: FileServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SYNCTABLES_SERVER", client.api.base_url)
    monkeypatch.setenv("SYNCTABLES_API_KEY", client.api.api_key)

    async def command(*arguments: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(run, ["preview", *arguments])
        return code, *capsys.readouterr()

    url = file_server.put("/cities.csv", CSV)
    code, out, _ = await command(url)
    assert (code, out.splitlines()[0].partition(" (")[0]) == (0, "cities: 3 inserted by create")
    assert "size\tbigint\tsize\tfits every value" in out

    await client.add(url, key_columns=["name"])
    file_server.put("/cities.csv", CHANGED + b"\x1b[2J,60.79,11.07,1\n")
    code, out, _ = await command("cities")
    assert (code, "\x1b" in out) == (0, False)
    assert "~ id 1: size: 700000 → 709000" in out
    assert "- id 3: " in out
    assert "+ row 3: " in out

    file_server.put("/cities.csv", b"name,lat,lon,size\n")
    code, out, _ = await command("cities", "--json", "--accept", "schema")
    assert (code, json.loads(out)["result"]["refusals"][0]["code"]) == (1, 2102)
    code, out, _ = await command("cities")
    assert "Override: --accept empty" in out
    assert (await command("cities", "--accept", "empty"))[0] == 0

    code, _, err = await command(file_server.url("/missing.csv"))
    assert (code, err.startswith("Error: 1100 Download file not found.")) == (1, True)
