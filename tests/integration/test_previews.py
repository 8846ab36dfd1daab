"""Previews over real HTTP, with a real worker: what they say, and that nothing comes of them."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest

from synctables.cli import run
from synctables.importer.apply.refresh import FEWEST_ROWS_TO_REWRITE
from synctables.syncs.model import SyncOptions
from synctables.syncs.preview_runs import forget_previews
from synctables.syncs.previews import MOST_UNFINISHED, Preview, create_preview, find_preview
from synctables.syncs.runs import MOST_ATTEMPTS
from tests.support.api_server import ApiAccount, ApiServer
from tests.support.file_server import FileServer, Page
from tests.support.previewing import Client
from tests.support.workers import Desk, StartWorker

CSV = b"name,lat,lon,size\nOslo,59.91,10.75,700000\nBergen,60.39,5.32,280000\nMolde,62.74,7.16,\n"
CHANGED = (
    b"name,lat,lon,size\nOslo,59.91,10.75,709000\nBergen,60.39,5.32,280000\nVoss,60.63,6.42,6000\n"
    b"Hamar,60.79,11.07,32000\n"
)


async def test_an_address_is_previewed_before_there_is_a_table(
    client: Client, file_server: FileServer
) -> None:
    url = file_server.put("/cities.csv", CSV, etag='"v1"')
    result = await client.preview_address(url, interval=3600)

    assert (result["way"], result["table_name"]) == ("create", "cities")
    assert (result["is_modified"], result["bytes"], result["etag"]) == (None, len(CSV), '"v1"')
    assert result["rows"] == {"inserted": 3, "updated": 0, "deleted": 0, "unchanged": 0}
    assert [(c["name"], c["type"]) for c in result["columns"]] == [
        ("name", "text"),
        ("lat", "double precision"),
        ("lon", "double precision"),
        ("size", "bigint"),
    ]
    assert all(column["reason"] for column in result["columns"])
    assert result["first_rows"][0] == {
        "row": 1,
        "values": {
            "the_geom": {"type": "Point", "coordinates": [10.75, 59.91]},
            "name": "Oslo",
            "lat": 59.91,
            "lon": 10.75,
            "size": 700000,
        },
    }
    assert {"delimiter", "encoding"} <= {decision["subject"] for decision in result["decisions"]}
    assert result["refusals"] == []
    assert await client.desk.rows("SELECT count(*) FROM tables") == [(0,)]
    assert await client.desk.rows("SELECT count(*) FROM runs") == [(0,)]
    assert await client.desk.rows("SELECT count(*) FROM syncs") == [(0,)]


async def test_a_preview_of_a_sync_says_what_a_run_would_do(
    client: Client, file_server: FileServer
) -> None:
    url = file_server.put("/cities.csv", CSV, etag='"v1"')
    sync = await client.add(url, key_columns=["name"])
    file_server.put("/cities.csv", CHANGED, etag='"v2"')
    result = await client.preview(sync["id"])

    assert (result["way"], result["is_modified"], result["hand_edits"]) == ("delta", True, 0)
    assert result["rows"] == {"inserted": 2, "updated": 1, "deleted": 1, "unchanged": 1}
    assert result["paired_by"] == {"by": "declared_key", "columns": ["name"]}
    examples = result["examples"]
    assert examples["updated"] == [{"id": 1, "changes": {"size": {"old": 700000, "new": 709000}}}]
    (deleted,) = examples["deleted"]
    assert (deleted["id"], deleted["values"]["name"], deleted["values"]["size"]) == (
        3,
        "Molde",
        None,
    )
    inserted = [(row["row"], row["values"]["name"]) for row in examples["inserted"]]
    assert inserted == [(3, "Voss"), (4, "Hamar")]
    assert [row["values"]["name"] for row in examples["unchanged"]] == ["Bergen"]
    assert [row["row"] for row in result["first_rows"]] == [1, 2, 3, 4]


EVERYTHING = """
SELECT (SELECT jsonb_agg(to_jsonb(syncs)) FROM syncs),
       (SELECT jsonb_agg(to_jsonb(runs) ORDER BY id) FROM runs),
       (SELECT jsonb_agg(to_jsonb(tables)) FROM tables),
       (SELECT jsonb_agg(to_jsonb(table_states)) FROM table_states),
       (SELECT count(*) FROM log_entries), (SELECT count(*) FROM signature_journal),
       (SELECT jsonb_agg(jsonb_build_array(relname, relnatts, relfilenode) ORDER BY oid)
        FROM pg_class WHERE relnamespace = 'bob'::regnamespace),
       (SELECT jsonb_agg(jsonb_build_array(ctid, xmin, to_jsonb(cities)) ORDER BY ctid)
        FROM bob.cities)
"""


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(CHANGED, id="a version that would pass"),
        pytest.param(CSV, id="the version that is there"),
        pytest.param(b"name,lat,lon,size\n", id="a version that would be refused"),
        pytest.param(b"name,lat,lon,size,age\nOslo,59.91,10.75,x,9\n", id="other columns"),
        pytest.param(b"<!DOCTYPE html><html></html>", id="a version that cannot be read"),
    ],
)
async def test_nothing_comes_of_a_preview(
    client: Client, file_server: FileServer, body: bytes
) -> None:
    sync = await client.add(file_server.put("/cities.csv", CSV, etag='"v1"'))
    await client.desk.execute("UPDATE bob.cities SET size = 1 WHERE name = 'Oslo'")
    before = await client.desk.rows(EVERYTHING)
    file_server.put("/cities.csv", body, etag='"v2"')
    await client.preview(sync["id"])
    assert await client.desk.rows(EVERYTHING) == before
    assert await client.show(sync["id"]) == sync


async def test_a_source_that_did_not_change_is_said_so(
    client: Client, file_server: FileServer
) -> None:
    sync = await client.add(file_server.put("/cities.csv", CSV, etag='"v1"'))
    file_server.put("/cities.csv", CSV, etag='"v2"')
    result = await client.preview(sync["id"])
    assert (result["is_modified"], result["etag"]) == (False, '"v2"')
    assert result["rows"] == {"inserted": 0, "updated": 0, "deleted": 0, "unchanged": 3}
    assert len(result["first_rows"]) == 3


GOOD = b"name,size\n" + b"".join(b"city %d,%d\n" % (i, i) for i in range(30))
REFUSED = [
    pytest.param(b"name,size\n", {}, [(2102, "empty")], id="no rows"),
    pytest.param(b"name,size\na,1\n", {}, [(2101, "row_loss")], id="few rows"),
    pytest.param(b"<!DOCTYPE html><p>Log in</p>", {}, [(2103, "html")], id="a page"),
    pytest.param(
        GOOD.replace(b",7\n", b",x\n"), {"schema_policy": "freeze"}, [(2012, "schema")],
        id="a value of another type",
    ),
    pytest.param(
        b"name,age\na,1\n", {"schema_policy": "freeze"}, [(2101, "row_loss"), (2012, "schema")],
        id="few rows and other columns",
    ),
    pytest.param(
        b"name,age\n", {"schema_policy": "freeze"}, [(2102, "empty"), (2012, "schema")],
        id="no rows and other columns",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("body", "options", "expected"), REFUSED)
async def test_every_refusal_is_told_and_is_what_a_run_says(
    client: Client,
    file_server: FileServer,
    body: bytes,
    options: dict[str, Any],
    expected: list[tuple[int, str]],
) -> None:
    sync = await client.add(file_server.put("/cities.csv", GOOD), **options)
    file_server.put("/cities.csv", body)
    result = await client.preview(sync["id"])
    refusals = [refusal for refusal in result["refusals"] if refusal["accept"]]
    assert [(refusal["code"], refusal["accept"]) for refusal in refusals] == expected
    assert all(r["title"] and r["text"] and r["hint"] for r in refusals)

    run_after = await client.run(sync["id"])
    assert run_after.error_code == refusals[0]["code"]
    assert refusals[0]["text"] in str(run_after.error_message)

    words = [word for _, word in expected]
    accepted = await client.preview(sync["id"], accept=words)
    assert not {code for code, _ in expected} & {r["code"] for r in accepted["refusals"]}


async def test_options_hold_for_the_preview_alone(client: Client, file_server: FileServer) -> None:
    sync = await client.add(file_server.put("/cities.csv", GOOD))
    file_server.put("/cities.csv", b"name,size\na,1\n")
    assert (await client.preview(sync["id"], max_row_loss=1))["refusals"] == []
    assert (await client.show(sync["id"]))["max_row_loss"] == 0.9


async def test_a_type_that_something_depends_on_is_foretold(
    client: Client, file_server: FileServer
) -> None:
    sync = await client.add(file_server.put("/cities.csv", b"id,size\na,1\nb,2\n"))
    await client.desk.execute("CREATE MATERIALIZED VIEW bob.sizes AS SELECT size FROM bob.cities")
    file_server.put("/cities.csv", b"id,size\na,1\nb,two\n")
    result = await client.preview(sync["id"])
    assert result["way"] is None
    assert result["schema_changes"] == ['column "size" became text, from bigint']
    (refusal,) = result["refusals"]
    assert (refusal["code"], refusal["accept"]) == (2013, None)
    assert 'column "size" became text, from bigint' in refusal["text"]
    assert "Materialized view bob.sizes" in refusal["text"]
    assert result["examples"]["updated"] == [
        {"id": 2, "changes": {"size": {"old": 2, "new": "two"}}}
    ]
    refused = await client.run(sync["id"])
    assert refused.error_code == 2013
    assert refusal["text"] in str(refused.error_message)


async def test_a_type_that_changes_is_foretold_as_a_rewrite(
    client: Client, file_server: FileServer
) -> None:
    sync = await client.add(file_server.put("/a.csv", b"id,other,size\na,x,1\nb,y,2\nc,z,3\n"))
    await client.desk.execute("UPDATE bob.a SET size = 7 WHERE id = 'c'")
    file_server.put("/a.csv", b"id,other,size,extra\na,x,1,\nb,y,two,\nd,w,4,9\n")
    before = await client.desk.rows("SELECT ctid, xmin, a::text FROM bob.a")
    result = await client.preview(sync["id"])
    assert await client.desk.rows("SELECT ctid, xmin, a::text FROM bob.a") == before
    assert result["refusals"] == []
    assert result["way"] == "rewrite"
    assert result["schema_changes"] == [
        'column "size" became text, from bigint',
        'column "extra" (bigint) was added',
    ]
    assert {"id": 2, "changes": {"size": {"old": 2, "new": "two"}}} in result["examples"]["updated"]

    report: Any = (await client.run(sync["id"])).report
    assert {"read": 3, **result["rows"]} == report["rows"]
    (table,) = report["tables"]
    told = {"way": result["way"], "hand_edits": result["hand_edits"]}
    assert table == {"name": "a", "paired_by": result["paired_by"], **told}


async def test_many_changes_are_foretold_as_a_rewrite(
    client: Client, file_server: FileServer
) -> None:
    count = FEWEST_ROWS_TO_REWRITE + 1
    body = "id,size\n" + "".join(f"a{n},{{}}\n" for n in range(count))
    sync = await client.add(file_server.put("/a.csv", body.replace("{}", "1").encode()))
    await client.desk.execute("UPDATE bob.a SET size = 9 WHERE cartodb_id <= 10")
    file_server.put("/a.csv", body.replace("{}", "2").encode())
    result = await client.preview(sync["id"])
    assert (result["way"], result["hand_edits"]) == ("rewrite", 10)
    assert result["rows"] == {"inserted": 0, "updated": count, "deleted": 0, "unchanged": 0}
    report: Any = (await client.run(sync["id"])).report
    assert report["tables"][0]["way"] == "rewrite"
    assert {"read": count, **result["rows"]} == report["rows"]


async def test_columns_that_come_and_go_are_foretold(
    client: Client, file_server: FileServer
) -> None:
    sync = await client.add(file_server.put("/a.csv", b"id,size\na,1\nb,2\n"))
    file_server.put("/a.csv", b"id,age\na,\nb,9\n")
    result = await client.preview(sync["id"])
    assert result["schema_changes"] == [
        'column "age" (bigint) was added',
        'column "size" vanished, its values become NULL',
    ]
    assert [change["changes"] for change in result["examples"]["updated"]] == [
        {"size": {"old": 1, "new": None}},
        {"age": {"old": None, "new": 9}, "size": {"old": 2, "new": None}},
    ]
    report: Any = (await client.run(sync["id"])).report
    assert {"read": 2, **result["rows"]} == report["rows"]


async def test_a_preview_works_while_a_run_is_under_way(
    client: Client, file_server: FileServer
) -> None:
    sync = await client.add(file_server.put("/cities.csv", CSV))
    held = Page(body=CHANGED, hold_after_bytes=10)
    file_server.script("/cities.csv", held, Page(body=CHANGED))
    await client.call("PUT", f"synchronizations/{sync['id']}/sync_now")
    await asyncio.to_thread(file_server.wait_until_held, "/cities.csv")
    assert (await client.preview(sync["id"]))["rows"]["inserted"] == 2
    assert (await client.show(sync["id"]))["state"] == "syncing"
    file_server.release("/cities.csv")
    await client.desk.until(lambda: client.ended(sync["id"]))
    assert (await client.show(sync["id"]))["state"] == "success"


async def test_a_preview_waits_for_nothing_that_a_run_locks_and_no_run_for_it(
    client: Client, file_server: FileServer
) -> None:
    """EXCLUSIVE lets nobody pass who locks more than a reader, and two who do not wait for each
    other in one order do not in the other."""
    sync = await client.add(file_server.put("/cities.csv", CSV))
    file_server.put("/cities.csv", CHANGED)
    async with client.desk.pool.connection() as connection, connection.transaction():
        await connection.execute("SELECT FROM synctables.table_states FOR UPDATE")
        await connection.execute("SELECT FROM synctables.tables FOR UPDATE")
        await connection.execute("UPDATE bob.cities SET size = 5")
        await connection.execute("LOCK TABLE bob.cities IN EXCLUSIVE MODE")
        assert (await client.preview(sync["id"]))["hand_edits"] == 0


async def test_edits_by_hand_are_counted(client: Client, file_server: FileServer) -> None:
    sync = await client.add(file_server.put("/cities.csv", CSV))
    await client.desk.execute("UPDATE bob.cities SET size = 5 WHERE name = 'Bergen'")
    await client.desk.execute("DELETE FROM bob.cities WHERE name = 'Oslo'")
    file_server.put("/cities.csv", CSV + b"Voss,60.63,6.42,6000\n")
    result = await client.preview(sync["id"])
    assert result["hand_edits"] == 2
    assert result["rows"] == {"inserted": 2, "updated": 1, "deleted": 0, "unchanged": 1}
    (changed,) = result["examples"]["updated"]
    assert changed["changes"] == {"size": {"old": 5, "new": 280000}}


async def test_a_sync_without_a_table_is_previewed_as_a_creation(
    client: Client, file_server: FileServer
) -> None:
    sync = await client.add(file_server.put("/a.csv", status=404))
    file_server.put("/a.csv", b"a\n1\n")
    result = await client.preview(sync["id"])
    assert (result["way"], result["is_modified"]) == ("create", None)


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
            url=file_server.put("/a.csv", b"a\n1\n"),
            options=SyncOptions(interval_seconds=3600),
            accept=(),
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
