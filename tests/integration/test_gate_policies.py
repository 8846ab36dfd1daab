"""The gate's policies over real HTTP: what a sync lets pass, what one forced run does, and why."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.file_server import FileServer
from tests.support.previewing import Client

GOOD = b"name,size\n" + b"".join(b"city %d,%d\n" % (i, i) for i in range(10))
FREEZE = {"schema_policy": "freeze"}


def _rows(count: int) -> bytes:
    return b"".join(GOOD.splitlines(keepends=True)[: count + 1])


@pytest.mark.parametrize(
    ("body", "options", "code"),
    [
        pytest.param(_rows(1), {}, None, id="nine tenths may go by default"),
        pytest.param(_rows(5), {"max_row_loss": 0.5}, None, id="as many gone as may go"),
        pytest.param(_rows(4), {"max_row_loss": 0.5}, 2101, id="one more gone than may go"),
        pytest.param(_rows(9), {"max_row_loss": 0}, 2101, id="none may go"),
        pytest.param(_rows(1), {"max_row_loss": 1}, None, id="all but none may go"),
        pytest.param(_rows(0), {"max_row_loss": 1}, 2102, id="all gone is another matter"),
        pytest.param(_rows(0), {"on_empty": "accept"}, None, id="all may go"),
        pytest.param(GOOD + b"x,0x1\n", FREEZE, 2012, id="frozen, a value of another type"),
        pytest.param(GOOD.replace(b"size", b"age"), FREEZE, 2012, id="frozen, another column"),
        pytest.param(GOOD + b"x,\n", FREEZE, None, id="frozen, and only rows changed"),
        pytest.param(GOOD.replace(b"size", b"age"), {}, None, id="another column by default"),
    ],
)
async def test_a_policy_lets_pass_or_refuses(
    client: Client,
    file_server: FileServer,
    body: bytes,
    options: dict[str, Any],
    code: int | None,
) -> None:
    sync = await client.add(file_server.put("/cities.csv", GOOD), **options)
    file_server.put("/cities.csv", body)
    run = await client.run(sync["id"])
    assert run.error_code == code
    shown = await client.show(sync["id"])
    assert shown["state"] == ("success" if code is None else "failure")
    if code is not None:
        assert await client.desk.rows("SELECT count(*) FROM bob.cities") == [(10,)]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(
            GOOD.replace(b",7\n", b",x7\n").replace(b",9\n", b",x9\n"),
            ['column "size" changed from bigint to text', 'row 8 holds "x7"'],
            id="the first value that does not fit, and its row",
        ),
        pytest.param(
            GOOD.replace(b"size", b"age"),
            ['column "size" vanished', 'column "age" was added'],
            id="columns that came and went",
        ),
    ],
)
async def test_a_frozen_schema_names_column_row_and_value(
    client: Client, file_server: FileServer, body: bytes, words: list[str]
) -> None:
    sync = await client.add(file_server.put("/cities.csv", GOOD), **FREEZE)
    file_server.put("/cities.csv", body)
    run = await client.run(sync["id"])
    assert run.error_code == 2012
    assert [word for word in words if word not in str(run.error_message)] == []


async def test_what_was_accepted_once_holds_and_is_not_refused_again(
    client: Client, file_server: FileServer
) -> None:
    sync = await client.add(file_server.put("/cities.csv", GOOD), **FREEZE)
    file_server.put("/cities.csv", GOOD.replace(b"size", b"age"))
    assert (await client.run(sync["id"])).error_code == 2012
    assert (await client.run(sync["id"], "row_loss", "empty")).error_code == 2012
    assert (await client.run(sync["id"], "schema")).error_code is None
    file_server.put("/cities.csv", GOOD.replace(b"size", b"age") + b"Voss,11\n")
    assert (await client.run(sync["id"])).error_code is None
    file_server.put("/cities.csv", GOOD)
    again = await client.run(sync["id"])
    assert again.error_code == 2012
    assert 'column "age" vanished' in str(again.error_message)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(
            "ALTER COLUMN size TYPE double precision",
            'column "size" is double precision in the table, not bigint',
            id="another type",
        ),
        pytest.param("DROP COLUMN size", 'column "size" was dropped from the table', id="dropped"),
        pytest.param("RENAME COLUMN size TO area", '"size" was dropped', id="renamed"),
    ],
)
async def test_a_frozen_schema_refuses_what_somebody_did_to_the_table(
    client: Client, file_server: FileServer, change: str, words: str
) -> None:
    sync = await client.add(file_server.put("/cities.csv", GOOD), **FREEZE)
    await client.desk.execute(f"ALTER TABLE bob.cities {change}")
    file_server.put("/cities.csv", GOOD + b"Voss,11\n")
    run = await client.run(sync["id"])
    assert run.error_code == 2012
    assert words in str(run.error_message)
    assert await client.desk.rows("SELECT count(*) FROM bob.cities") == [(10,)]


async def test_an_own_column_is_no_change_of_a_frozen_schema(
    client: Client, file_server: FileServer
) -> None:
    sync = await client.add(file_server.put("/cities.csv", GOOD), **FREEZE)
    await client.desk.execute("ALTER TABLE bob.cities ADD COLUMN note text DEFAULT 'mine'")
    file_server.put("/cities.csv", GOOD + b"Voss,11\n")
    assert (await client.run(sync["id"])).error_code is None


async def test_a_new_column_takes_no_users_place(client: Client, file_server: FileServer) -> None:
    sync = await client.add(file_server.put("/cities.csv", b"name\nOslo\nBergen\n"))
    await client.desk.execute("ALTER TABLE bob.cities ADD COLUMN note text DEFAULT 'mine'")
    file_server.put("/cities.csv", b"name,note\nOslo,wet\nBergen,wetter\n")

    foreseen = await client.preview(sync["id"])
    assert [(c["name"], c["field"]) for c in foreseen["columns"]] == [
        ("name", "name"),
        ("note_1", "note"),
    ]
    for body in (b"name,note\nOslo,wet\nBergen,wetter\n", b"note,name\ndry,Oslo\nwetter,Bergen\n"):
        file_server.put("/cities.csv", body)
        assert (await client.run(sync["id"])).error_code is None
    assert await client.desk.rows("SELECT name, note, note_1 FROM bob.cities ORDER BY 1") == [
        ("Bergen", "mine", "wetter"),
        ("Oslo", "mine", "dry"),
    ]


async def test_a_column_that_a_failed_run_added_is_ours_all_the_same(
    client: Client, file_server: FileServer
) -> None:
    sync = await client.add(file_server.put("/cities.csv", b"name\nOslo\nBergen\n"))
    await client.desk.execute(
        "CREATE FUNCTION bob.refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE 'not today'; END$$"
    )
    await client.desk.execute(
        "CREATE TRIGGER refuse BEFORE UPDATE ON bob.cities EXECUTE FUNCTION bob.refuse()"
    )
    file_server.put("/cities.csv", b"name,note\nOslo,wet\nBergen,\n")
    assert (await client.run(sync["id"])).error_code == 2013
    await client.desk.execute("DROP TRIGGER refuse ON bob.cities")
    assert (await client.run(sync["id"])).error_code is None
    assert await client.desk.rows("SELECT name, note FROM bob.cities ORDER BY 1") == [
        ("Bergen", None),
        ("Oslo", "wet"),
    ]


@pytest.mark.parametrize(
    ("options", "paired_by"),
    [
        pytest.param(
            {"key_columns": ["name"]}, {"by": "declared_key", "columns": ["name"]}, id="declared"
        ),
        pytest.param({}, {"by": "detected_key", "columns": ["name"]}, id="detected"),
        pytest.param({"column_types": {"name": "jsonb"}}, None, id="by position"),
    ],
)
async def test_a_run_says_how_it_went(
    client: Client,
    file_server: FileServer,
    options: dict[str, Any],
    paired_by: dict[str, Any] | None,
) -> None:
    body = b"name,size\n" + b"".join(b"%d,1\n" % i for i in range(10))
    sync = await client.add(file_server.put("/cities.csv", body), **options)
    await client.desk.execute("UPDATE bob.cities SET size = 5 WHERE cartodb_id = 9")
    file_server.put("/cities.csv", body.replace(b"3,1", b"3,4"))
    run = await client.run(sync["id"])
    expected = paired_by or {"by": "position", "columns": []}
    report: Any = run.report
    (table,) = report["tables"]
    assert table == {"name": "cities", "way": "delta", "hand_edits": 1, "paired_by": expected}
    shown = (await client.call("GET", f"imports/{run.id}"))[1]
    assert shown["report"]["tables"] == [table]
    log = await client.desk.log(run.log_id)
    key = f" ({', '.join(expected['columns'])})" if expected["columns"] else ""
    assert f"paired by {expected['by'].replace('_', ' ')}{key}." in log
    assert "cities: Way: create." in log
    assert "cities: Way: delta." in log
    assert "found and healed: 1 rows" in log
