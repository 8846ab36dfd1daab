"""What users do to a table, before a refresh or during it, is healed, let alone, or told."""

from __future__ import annotations

import asyncio

import pytest

from synctables.errors import CannotChangeTableError, LockedTableError, TableVanishedError
from synctables.importer.model import RowCounts
from tests.support.applying import CITIES, POINTS, TYPES, Applying
from tests.support.layers import MakeLayer


async def test_edits_by_hand_are_healed_and_own_columns_stay(
    applying: Applying, make_layer: MakeLayer
) -> None:
    layer = make_layer(TYPES, CITIES, POINTS)
    before = await applying.create(layer)
    await applying.execute("ALTER TABLE alice.cities ADD COLUMN note text")
    await applying.execute("UPDATE alice.cities SET note = 'mine'")
    await applying.execute("UPDATE alice.cities SET size = 1 WHERE cartodb_id = 1")
    await applying.execute(
        "UPDATE alice.cities SET the_geom_webmercator = NULL WHERE cartodb_id = 2"
    )
    await applying.execute("INSERT INTO alice.cities (cartodb_id, name) VALUES (900, 'stray')")
    await applying.execute("DELETE FROM alice.cities WHERE cartodb_id = 4")

    after = await applying.refresh(layer, before)

    assert after.rows == RowCounts(inserted=1, updated=2, deleted=1, unchanged=1)
    assert await applying.rows(
        "SELECT cartodb_id, name, size, note FROM alice.cities ORDER BY cartodb_id"
    ) == [
        (1, "Oslo", 700_000, "mine"),
        (2, "Bergen", 280_000, "mine"),
        (3, "Bergen", 280_000, "mine"),
        (4, None, None, None),
    ]
    moved = "SELECT count(*) FROM alice.cities WHERE the_geom_webmercator IS NULL"
    assert await applying.rows(moved) == [(1,)]


async def test_children_of_rows_that_stay_are_kept(
    applying: Applying, make_layer: MakeLayer
) -> None:
    before = await applying.create(make_layer(TYPES, CITIES))
    await applying.execute(
        "CREATE TABLE alice.visits (city bigint REFERENCES alice.cities ON DELETE CASCADE)"
    )
    await applying.execute("INSERT INTO alice.visits SELECT cartodb_id FROM alice.cities")
    await applying.refresh(make_layer(TYPES, CITIES[1:]), before)
    assert await applying.rows("SELECT city FROM alice.visits ORDER BY 1") == [(2,), (3,), (4,)]


async def test_a_trigger_that_swallows_rows_is_named(
    applying: Applying, make_layer: MakeLayer
) -> None:
    before = await applying.create(make_layer(TYPES, CITIES))
    await applying.execute(
        "CREATE FUNCTION alice.ignore() RETURNS trigger"
        " LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    )
    await applying.execute(
        "CREATE TRIGGER keep BEFORE DELETE ON alice.cities"
        " FOR EACH ROW EXECUTE FUNCTION alice.ignore()"
    )
    with pytest.raises(CannotChangeTableError, match="trigger keep"):
        await applying.refresh(make_layer(TYPES, []), before)
    assert await applying.rows("SELECT count(*) FROM alice.cities") == [(4,)]


async def test_a_renamed_table_is_followed(applying: Applying, make_layer: MakeLayer) -> None:
    before = await applying.create(make_layer(TYPES, CITIES))
    await applying.execute("ALTER TABLE alice.cities RENAME TO towns")
    after = await applying.refresh(make_layer(TYPES, CITIES[:1]), before)
    assert after.table.name == "towns"
    assert await applying.rows("SELECT count(*) FROM alice.towns") == [(1,)]


async def test_a_dropped_table_is_not_found(applying: Applying, make_layer: MakeLayer) -> None:
    before = await applying.create(make_layer(TYPES, CITIES))
    await applying.execute("DROP TABLE alice.cities")
    assert await applying.find(before) is None


async def test_what_took_the_tables_name_during_the_run_is_let_alone(
    applying: Applying, make_layer: MakeLayer
) -> None:
    before = await applying.create(make_layer(TYPES, CITIES))
    known = await applying.find(before)
    await applying.execute("ALTER TABLE alice.cities RENAME TO towns")
    await applying.execute("CREATE TABLE alice.cities (LIKE alice.towns INCLUDING ALL)")
    await applying.execute("INSERT INTO alice.cities (cartodb_id, name) VALUES (1, 'mine')")

    after = await applying.refresh(make_layer(TYPES, [("Voss", 6_000)]), before, live=known)

    assert after.table.name == "towns"
    assert await applying.rows("SELECT name FROM alice.towns") == [("Voss",)]
    assert await applying.rows("SELECT name FROM alice.cities") == [("mine",)]


async def test_a_table_dropped_during_the_run_is_said(
    applying: Applying, make_layer: MakeLayer
) -> None:
    before = await applying.create(make_layer(TYPES, CITIES))
    known = await applying.find(before)
    await applying.execute("DROP TABLE alice.cities")
    with pytest.raises(TableVanishedError, match="dropped during this run"):
        await applying.refresh(make_layer(TYPES, []), before, live=known)


@pytest.mark.parametrize(
    "statement",
    ["LOCK TABLE alice.cities IN ACCESS EXCLUSIVE MODE", "UPDATE alice.cities SET size = 1"],
)
async def test_a_lock_that_stays_is_not_waited_for_for_ever(
    applying: Applying, make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    monkeypatch.setattr("synctables.importer.apply.columns.PATIENCE", "200ms")
    before = await applying.create(make_layer(TYPES, CITIES))
    async with applying.pool.connection() as user:
        await user.execute(statement)
        with pytest.raises(LockedTableError):
            async with asyncio.timeout(20):
                await applying.refresh(make_layer(TYPES, []), before)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "ALTER TABLE alice.cities DROP size, ADD size bigint GENERATED ALWAYS AS (1) STORED",
            "generated",
        ),
        ("PERFORM no_such_function()", "no_such_function"),
        ("EXECUTE 'nonsense'", "syntax error"),
        ("RAISE 'mine' USING ERRCODE = 'XX000'", "mine"),
        ("RAISE 'mine' USING ERRCODE = 'ZZ999'", "mine"),
        ("INSERT INTO alice.cities (name) VALUES ('again')", "stack depth"),
    ],
)
async def test_whatever_users_do_to_the_table_is_told_in_the_databases_words(
    applying: Applying, make_layer: MakeLayer, change: str, said: str
) -> None:
    before = await applying.create(make_layer(TYPES, CITIES))
    if not change.startswith("ALTER"):
        await applying.execute(
            "CREATE FUNCTION alice.trip() RETURNS trigger LANGUAGE plpgsql"
            f" AS $$ BEGIN {change}; RETURN new; END $$"
        )
        change = (
            "CREATE TRIGGER trip BEFORE INSERT ON alice.cities"
            " FOR EACH ROW EXECUTE FUNCTION alice.trip()"
        )
    await applying.execute(change)
    with pytest.raises(CannotChangeTableError, match=said):
        await applying.refresh(make_layer(TYPES, [*CITIES, ("Voss", 1)]), before)
