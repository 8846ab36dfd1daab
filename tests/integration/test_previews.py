"""Previews over real HTTP, with a real worker: what they say, and that nothing comes of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from synctables.importer.apply.refresh import FEWEST_ROWS_TO_REWRITE
from tests.support.file_pages import Page
from tests.support.file_server import FileServer
from tests.support.previewing import Client

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
    sync = await client.show(sync["id"])
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
