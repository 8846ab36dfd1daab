"""Tables that their users altered, or hung code on: healed, or refused with what is in the way."""

from __future__ import annotations

import random
from typing import Any

import pytest

from synctables.errors import CannotChangeTableError, LockedTableError
from synctables.importer.apply import Target, coded_table_errors
from synctables.importer.apply.foresee import Foreseen, foresee
from synctables.importer.apply.model import Applied, Way
from synctables.importer.apply.statements import write_delta
from synctables.importer.apply.swap import swap
from synctables.importer.model import ColumnType, TypedLayer
from tests.support.applying import Applying
from tests.support.layers import MakeLayer

TYPES = {"name": ColumnType.TEXT, "size": ColumnType.BIGINT}
OLD = [(f"city {number}", number) for number in range(20)]
NEW = [(f"city {number}", number * (1 + number % 2)) for number in range(3, 22)]
AS_TEXT = {"name": ColumnType.TEXT, "size": ColumnType.TEXT}

NO_KEY = "ALTER TABLE alice.cities DROP CONSTRAINT cities_pkey"
NO_SEQUENCE = "ALTER TABLE alice.cities ALTER cartodb_id DROP IDENTITY"

WITHOUT_IDS = {
    "dropped": (["ALTER TABLE alice.cities DROP cartodb_id"], '"cartodb_id", which every'),
    "renamed": (["ALTER TABLE alice.cities RENAME cartodb_id TO id"], '"cartodb_id", which every'),
    "text": (
        [NO_SEQUENCE, "ALTER TABLE alice.cities ALTER cartodb_id TYPE text"],
        '"cartodb_id".* to text',
    ),
    "twice": (
        [NO_KEY, "UPDATE alice.cities SET cartodb_id = 7 WHERE cartodb_id < 10"],
        'Rows share a "cartodb_id"',
    ),
    "null": (
        [
            NO_KEY,
            NO_SEQUENCE,
            "ALTER TABLE alice.cities ALTER cartodb_id DROP NOT NULL",
            "UPDATE alice.cities SET cartodb_id = NULL WHERE cartodb_id = 7",
        ],
        'Rows share a "cartodb_id" or have none',
    ),
    "shape dropped": (["ALTER TABLE alice.cities DROP the_geom CASCADE"], '"the_geom", which'),
    "projected shape dropped": (
        ["ALTER TABLE alice.cities DROP the_geom_webmercator CASCADE"],
        '"the_geom_webmercator", which',
    ),
}


async def look_ahead(applying: Applying, layer: TypedLayer, before: Applied) -> Foreseen:
    live = await applying.find(before)
    assert live is not None
    target = Target(
        account_id=applying.account.id,
        schema_name="alice",
        table_name=live.name,
        live=live,
        contract=before.columns,
    )
    async with coded_table_errors(applying.pool, live):
        return await foresee(
            applying.pool, layer, target, scratch=applying.scratch, on_rows=lambda _: None
        )


@pytest.mark.parametrize(("changes", "said"), WITHOUT_IDS.values(), ids=WITHOUT_IDS)
async def test_a_table_without_the_columns_of_every_table_is_refused_in_words(
    applying: Applying, make_layer: MakeLayer, changes: list[str], said: str
) -> None:
    before = await applying.create(make_layer(TYPES, OLD))
    await applying.execute(*changes)
    rows = "SELECT to_jsonb(cities)::text FROM alice.cities ORDER BY 1"
    table = await applying.rows(rows)

    with pytest.raises(CannotChangeTableError, match=said):
        await applying.refresh(make_layer(TYPES, NEW), before)
    with pytest.raises(CannotChangeTableError, match=said):
        await look_ahead(applying, make_layer(TYPES, NEW), before)

    assert await applying.rows(rows) == table


@pytest.mark.parametrize(
    "changes",
    [
        [NO_KEY],
        ["ALTER TABLE alice.cities ALTER cartodb_id TYPE integer"],
        ['ALTER TABLE alice.cities ADD "#id" int, ADD "#position" int, ADD "#mask" text'],
    ],
)
async def test_what_leaves_the_ids_alone_does_no_harm(
    applying: Applying, make_layer: MakeLayer, changes: list[str]
) -> None:
    before = await applying.create(make_layer(TYPES, OLD))
    await applying.execute(*changes)
    foreseen = await look_ahead(applying, make_layer(TYPES, NEW), before)
    after = await applying.refresh(make_layer(TYPES, NEW), before)

    assert after.rows == foreseen.rows
    found = await applying.rows("SELECT name, size FROM alice.cities ORDER BY cartodb_id")
    assert sorted(found) == sorted(NEW)


async def test_ids_that_are_used_up_are_said(applying: Applying, make_layer: MakeLayer) -> None:
    before = await applying.create(make_layer(TYPES, OLD))
    await applying.execute(
        "UPDATE alice.cities SET cartodb_id = 9223372036854775807 WHERE cartodb_id = 20"
    )
    with pytest.raises(CannotChangeTableError, match="maximum value"):
        await applying.refresh(make_layer(TYPES, [*OLD, ("more", 1)]), before)
    as_text = make_layer(AS_TEXT, [(name, str(size)) for name, size in [*OLD, ("more", 1)]])
    with pytest.raises(CannotChangeTableError, match="1 ids are left"):
        await applying.refresh(as_text, before)


TRIGGER = "CREATE TRIGGER mine {} ON alice.cities FOR EACH {} EXECUTE FUNCTION alice.mine()"
MEDDLING = {
    "other values": (
        "NEW.name := upper(NEW.name); RETURN NEW",
        TRIGGER.format("BEFORE INSERT OR UPDATE", "ROW"),
        "became others than were written",
    ),
    "another id": (
        "NEW.cartodb_id := NEW.cartodb_id + 1000; RETURN NEW",
        TRIGGER.format("BEFORE INSERT", "ROW"),
        "became others than were written",
    ),
    "a row more": (
        "INSERT INTO alice.cities (name) VALUES ('mine'); RETURN NULL",
        TRIGGER.format("AFTER UPDATE", "STATEMENT"),
        "Other rows were changed",
    ),
    "a row less": (
        "DELETE FROM alice.cities WHERE cartodb_id = 5; RETURN NULL",
        TRIGGER.format("AFTER UPDATE", "STATEMENT"),
        "Other rows were changed",
    ),
    "another row": (
        "IF pg_trigger_depth() = 1 THEN UPDATE alice.cities SET size = 7 WHERE cartodb_id = 5;"
        " END IF; RETURN NULL",
        TRIGGER.format("AFTER UPDATE", "STATEMENT"),
        "Other rows were changed",
    ),
    "another row at the end": (
        "IF pg_trigger_depth() = 1 THEN UPDATE alice.cities SET size = 7 WHERE cartodb_id = 5;"
        " END IF; RETURN NULL",
        "CREATE CONSTRAINT TRIGGER mine AFTER UPDATE ON alice.cities DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION alice.mine()",
        "Other rows were changed",
    ),
    "rows elsewhere": (
        "RETURN NULL",
        "CREATE RULE mine AS ON INSERT TO alice.cities"
        " DO INSTEAD INSERT INTO alice.others SELECT NEW.*",
        "Other rows were changed",
    ),
}


@pytest.mark.parametrize(("body", "hung", "said"), MEDDLING.values(), ids=MEDDLING)
async def test_what_makes_the_table_another_than_the_file_is_refused_and_named(
    applying: Applying, make_layer: MakeLayer, body: str, hung: str, said: str
) -> None:
    before = await applying.create(make_layer(TYPES, OLD))
    await applying.execute(
        "CREATE TABLE alice.others (LIKE alice.cities)",
        f"CREATE FUNCTION alice.mine() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$",
        hung,
    )
    table = await applying.content()

    with pytest.raises(CannotChangeTableError, match=f"{said}.*On the table: .* mine"):
        await applying.refresh(make_layer(TYPES, NEW), before)

    assert await applying.content() == table


async def test_a_trigger_may_fill_a_column_of_its_own(
    applying: Applying, make_layer: MakeLayer
) -> None:
    before = await applying.create(make_layer(TYPES, OLD))
    await applying.execute(
        "ALTER TABLE alice.cities ADD shouted text, ADD written int DEFAULT 0",
        "CREATE FUNCTION alice.mine() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.shouted := upper(NEW.name); NEW.written := NEW.written + 1; RETURN NEW;"
        " END $$",
        TRIGGER.format("BEFORE INSERT OR UPDATE", "ROW"),
    )
    after = await applying.refresh(make_layer(TYPES, NEW), before)

    assert after.way is Way.DELTA
    assert sorted(await applying.rows("SELECT name, size FROM alice.cities")) == sorted(NEW)
    assert await applying.rows(
        "SELECT bool_and(shouted = upper(name) AND written = 1) FROM alice.cities"
        " WHERE shouted IS NOT NULL"
    ) == [(True,)]


async def test_what_a_trigger_sets_does_not_outlive_the_run(
    applying: Applying, make_layer: MakeLayer
) -> None:
    before = await applying.create(make_layer(TYPES, OLD))
    await applying.execute(
        "CREATE FUNCTION alice.mine() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN SET statement_timeout = 77777; SET extra_float_digits = -5; RETURN NULL; END $$",
        TRIGGER.format("AFTER UPDATE", "STATEMENT"),
    )
    await applying.refresh(make_layer(TYPES, NEW), before)

    for _ in range(8):
        assert await applying.rows(
            "SELECT current_setting('statement_timeout'), current_setting('extra_float_digits'),"
            " current_setting('search_path')"
        ) == [("0", "1", "synctables,public")]


async def test_a_longer_name_that_begins_like_the_tables_does_not_hinder_a_new_type(
    applying: Applying, make_layer: MakeLayer
) -> None:
    before = await applying.create(make_layer(TYPES, OLD))
    await applying.execute(
        "CREATE TABLE alice.cities_more (name text)",
        "CREATE VIEW alice.both AS SELECT name FROM alice.cities"
        " JOIN alice.cities_more USING (name)",
        "CREATE FUNCTION alice.cities_noted() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RETURN NEW; END $$",
        "CREATE TRIGGER noted BEFORE UPDATE ON alice.cities FOR EACH ROW"
        " EXECUTE FUNCTION alice.cities_noted()",
    )
    layer = make_layer(AS_TEXT, [(name, f"{size} km") for name, size in OLD])

    assert (await applying.refresh(layer, before)).way is Way.REWRITE


async def test_what_hindered_a_new_type_is_said(applying: Applying, make_layer: MakeLayer) -> None:
    before = await applying.create(make_layer(TYPES, OLD))
    await applying.execute("ALTER TABLE alice.cities ADD mine int NOT NULL DEFAULT 1")
    await applying.execute("ALTER TABLE alice.cities ALTER mine DROP DEFAULT")
    layer = make_layer(AS_TEXT, [(name, f"{size} km") for name, size in [*OLD, ("more", 1)]])

    with pytest.raises(CannotChangeTableError, match=r'became text.*null value in column "mine"'):
        await applying.refresh(layer, before)


@pytest.mark.parametrize(
    ("index", "row", "said"),
    [
        ("((100 / size))", ("nothing", 0), "division by zero"),
        ("(name)", (random.Random(1).randbytes(9_000).hex(), 1), "index row"),
    ],
)
async def test_an_index_of_a_users_that_cannot_hold_a_row_is_not_the_files_fault(
    applying: Applying, make_layer: MakeLayer, index: str, row: tuple[str, int], said: str
) -> None:
    before = await applying.create(make_layer(TYPES, OLD[1:]))
    await applying.execute(f"CREATE INDEX mine ON alice.cities {index}")
    with pytest.raises(CannotChangeTableError, match=said):
        await applying.refresh(make_layer(TYPES, [*OLD[1:], row]), before)


@pytest.mark.parametrize(
    "meanwhile",
    [
        "ALTER TABLE alice.cities RENAME TO towns",
        "ALTER TABLE alice.cities SET SCHEMA elsewhere",
        "UPDATE alice.cities SET name = 'mine' WHERE cartodb_id = 3",
        "COMMENT ON TABLE alice.cities IS 'mine'",
    ],
)
async def test_what_passes_by_does_not_refuse_a_new_type(
    applying: Applying, make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    before = await applying.create(make_layer(TYPES, OLD))
    await applying.execute("CREATE SCHEMA elsewhere")
    spoil(monkeypatch, applying, [meanwhile])
    rows = [(name, f"{size} km") for name, size in OLD]
    after = await applying.refresh(make_layer(AS_TEXT, rows), before)

    assert after.way is Way.REWRITE
    table = f"{after.table.schema_name}.{after.table.name}"
    found = await applying.rows(f"SELECT name, size FROM {table}")
    assert sorted(found) == sorted(rows)


async def test_a_table_that_is_edited_all_the_time_is_tried_again_later(
    applying: Applying, make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await applying.create(make_layer(TYPES, OLD))
    edit = "UPDATE alice.cities SET name = 'mine' WHERE cartodb_id = 3"
    spoil(monkeypatch, applying, [edit] * 3)

    with pytest.raises(LockedTableError, match=r'"size" became text.*Rows were edited'):
        await applying.refresh(
            make_layer(AS_TEXT, [(name, f"{size} km") for name, size in OLD]), before
        )


def spoil(monkeypatch: pytest.MonkeyPatch, applying: Applying, statements: list[str]) -> None:
    """Have each swap, as long as there are any, happen after one of these statements."""
    waiting = iter(statements)

    async def after_others(*arguments: Any, **named: Any) -> Any:
        if statement := next(waiting, None):
            await applying.execute(statement)
        return await swap(*arguments, **named)

    monkeypatch.setattr("synctables.importer.apply.rewrite.swap", after_others)


async def test_a_delta_that_somebody_keeps_spoiling_is_tried_again_later(
    applying: Applying, make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await applying.create(make_layer(TYPES, OLD))

    async def after_others(*arguments: Any, **named: Any) -> Any:
        await applying.execute("UPDATE alice.cities SET size = -1 WHERE cartodb_id = 1")
        return await write_delta(*arguments, **named)

    monkeypatch.setattr("synctables.importer.apply.delta.write_delta", after_others)
    with pytest.raises(LockedTableError, match="keeps editing"):
        await applying.refresh(make_layer(TYPES, [("city 0", 7), *OLD[1:]]), before)
