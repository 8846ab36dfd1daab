"""apply on a real PostGIS: create a table, make it equal to a new version, touch nothing else."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from synctables.errors import (
    CannotChangeTableError,
    LoadError,
    LockedTableError,
    TableVanishedError,
    TooManyColumnsError,
)
from synctables.importer.apply.model import PairedBy, Pairing, Way
from synctables.importer.model import ColumnType, RowCounts
from tests.support.applying import Applying
from tests.support.forcing import prefer_rewrite
from tests.support.layers import MakeLayer

Connection = AsyncConnection[DictRow]

TYPES = {"name": ColumnType.TEXT, "size": ColumnType.BIGINT}
CITIES = [("Oslo", 700_000), ("Bergen", 280_000), ("Bergen", 280_000), (None, None)]
POINTS = [(10.75, 59.91), (5.32, 60.39), (5.32, 60.39), None]


async def test_a_created_table_has_the_documented_shape(
    applying: Applying, make_layer: MakeLayer
) -> None:
    applied = await applying.create(make_layer(TYPES, CITIES, POINTS))

    assert applied.rows == RowCounts(inserted=4)
    assert await applying.rows("SELECT cartodb_id, name, size FROM alice.cities ORDER BY 1") == [
        (1, "Oslo", 700_000),
        (2, "Bergen", 280_000),
        (3, "Bergen", 280_000),
        (4, None, None),
    ]
    assert await applying.rows(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 'alice.cities'::regclass AND attnum > 0 ORDER BY attnum",
    ) == [
        ("cartodb_id", "bigint"),
        ("the_geom", "geometry(Geometry,4326)"),
        ("the_geom_webmercator", "geometry(Geometry,3857)"),
        ("name", "text"),
        ("size", "bigint"),
    ]
    assert await applying.rows(
        "SELECT indexname, split_part(indexdef, ' USING ', 2) FROM pg_indexes"
        " WHERE schemaname = 'alice' ORDER BY 1",
    ) == [
        ("cities_pkey", "btree (cartodb_id)"),
        ("cities_the_geom_idx", "gist (the_geom)"),
        ("cities_the_geom_webmercator_idx", "gist (the_geom_webmercator)"),
    ]
    assert await applying.rows(
        "SELECT count(*), min(st_srid(the_geom)), min(st_srid(the_geom_webmercator))"
        " FROM alice.cities WHERE the_geom IS NOT NULL",
    ) == [(3, 4326, 3857)]


async def test_every_type_arrives_as_it_was(applying: Applying, make_layer: MakeLayer) -> None:
    moment = dt.datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=dt.UTC)
    row = (
        True,
        -(2**63),
        1e-320,
        Decimal("12345678901234567890.123456"),
        dt.date(1582, 10, 15),
        moment,
        dt.time(1, 2, 3, 4),
        "naïve \N{SNOWMAN}\n\t\\",
        '{"a": [1, null]}',
        b"\x00\xff",
    )
    types = {f"c{i}": type_ for i, type_ in enumerate(ColumnType)}
    await applying.create(make_layer(types, [row, (None,) * len(row)]))

    stored = await applying.rows(
        "SELECT c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 FROM alice.cities ORDER BY cartodb_id",
    )
    assert stored == [(*row[:8], {"a": [1, None]}, row[9]), (None,) * len(row)]


async def test_a_taken_name_gets_a_number(applying: Applying, make_layer: MakeLayer) -> None:
    await applying.execute("CREATE VIEW alice.cities AS SELECT 1 AS x")
    applied = await applying.create(make_layer(TYPES, CITIES))
    assert applied.table.name == "cities_1"


async def test_unchanged_rows_are_not_touched_at_all(
    applying: Applying, make_layer: MakeLayer
) -> None:
    before = await applying.create(make_layer(TYPES, CITIES, POINTS))
    kept = (
        "SELECT ctid::text, cartodb_id FROM alice.cities WHERE cartodb_id IN (1, 2, 4) ORDER BY 2"
    )
    untouched = await applying.rows(kept)

    # One of two equal rows goes, a third of another kind comes twice.
    after = await applying.refresh(
        make_layer(
            TYPES,
            [("Molde", 32_000), *[CITIES[i] for i in (3, 1, 0)], ("Molde", 32_000)],
            [(7.16, 62.74), None, POINTS[1], POINTS[0], (7.16, 62.74)],
        ),
        before,
    )

    assert after.rows == RowCounts(inserted=2, deleted=1, unchanged=3)
    assert await applying.rows(kept) == untouched
    assert await applying.rows("SELECT cartodb_id, name FROM alice.cities ORDER BY 1") == [
        (1, "Oslo"),
        (2, "Bergen"),
        (4, None),
        (5, "Molde"),
        (6, "Molde"),
    ]
    found = await applying.find(before)
    assert found is not None
    assert found.row_count == 5


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param((None,), ("",), id="NULL and the empty text differ"),
        pytest.param(("a,b",), ("a\\,b",), id="separators inside a value"),
        pytest.param(('"',), ('""',), id="quotes inside a value"),
    ],
)
async def test_rows_that_look_alike_are_told_apart(
    applying: Applying,
    make_layer: MakeLayer,
    old: tuple[str | None],
    new: tuple[str | None],
) -> None:
    types = {"a": ColumnType.TEXT}
    before = await applying.create(make_layer(types, [old]))
    after = await applying.refresh(make_layer(types, [new]), before)
    assert after.rows == RowCounts(updated=1)
    assert await applying.rows("SELECT a FROM alice.cities") == [new]


async def test_negative_zero_and_nan_are_values_of_their_own(
    applying: Applying, make_layer: MakeLayer
) -> None:
    types = {"a": ColumnType.DOUBLE}
    before = await applying.create(make_layer(types, [(0.0,), (float("nan"),)]))
    after = await applying.refresh(make_layer(types, [(-0.0,), (float("nan"),)]), before)
    assert after.rows == RowCounts(updated=1, unchanged=1)
    assert await applying.rows("SELECT a::text FROM alice.cities ORDER BY 1") == [
        ("-0",),
        ("NaN",),
    ]


async def test_a_row_that_changed_keeps_its_id_by_its_key(
    applying: Applying, make_layer: MakeLayer
) -> None:
    before = await applying.create(make_layer(TYPES, CITIES, POINTS))
    await applying.execute(
        "CREATE TABLE alice.visits (city bigint REFERENCES alice.cities ON DELETE CASCADE)"
    )
    await applying.execute("INSERT INTO alice.visits SELECT cartodb_id FROM alice.cities")
    newer = [("Voss", 6_000), ("Oslo", 709_000), *CITIES[1:3]]
    after = await applying.refresh(
        make_layer(TYPES, newer, [(6.42, 60.63), (10.7, 59.9), *POINTS[1:3]]),
        before,
        key=("name",),
    )
    assert after.rows == RowCounts(inserted=1, updated=1, deleted=1, unchanged=2)
    assert await applying.rows("SELECT cartodb_id, name, size FROM alice.cities ORDER BY 1") == [
        (1, "Oslo", 709_000),
        (2, "Bergen", 280_000),
        (3, "Bergen", 280_000),
        (5, "Voss", 6_000),
    ]
    assert await applying.rows(
        "SELECT st_astext(the_geom) FROM alice.cities WHERE name = 'Oslo'"
    ) == [("POINT(10.7 59.9)",)]
    moved = "SELECT st_astext(the_geom) FROM alice.cities WHERE cartodb_id = 1"
    assert await applying.rows(moved) == [("POINT(10.7 59.9)",)]
    assert await applying.rows("SELECT city FROM alice.visits ORDER BY 1") == [(1,), (2,), (3,)]


@pytest.mark.parametrize(
    ("key", "updated"),
    [
        pytest.param(("name", "size"), 0, id="no row has both values again"),
        pytest.param(("size",), 1, id="one value is unique, the other is not"),
        pytest.param(("nothing",), 4, id="a column that is not there: by position"),
        pytest.param((), 4, id="no key at all: by position"),
    ],
)
async def test_a_key_pairs_only_what_it_tells_apart(
    applying: Applying,
    make_layer: MakeLayer,
    key: tuple[str, ...],
    updated: int,
) -> None:
    before = await applying.create(make_layer(TYPES, [("a", 1), ("b", 2), ("c", 2), ("d", None)]))
    newer = [("A", 1), ("B", 2), ("C", 2), ("D", None)]
    after = await applying.refresh(make_layer(TYPES, newer), before, key=key)
    assert after.rows == RowCounts(inserted=4 - updated, updated=updated, deleted=4 - updated)
    assert await applying.rows("SELECT name, size FROM alice.cities ORDER BY 1") == newer


async def test_a_number_with_more_zeros_is_the_same_number(
    applying: Applying, make_layer: MakeLayer
) -> None:
    types = {"a": ColumnType.NUMERIC}
    before = await applying.create(make_layer(types, [(Decimal("1.5"),)]))
    await applying.execute("UPDATE alice.cities SET a = 1.50000000")
    after = await applying.refresh(make_layer(types, [(Decimal("1.5"),)]), before)
    assert after.rows == RowCounts(updated=1)  # it is written as the file has it again


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


@pytest.mark.parametrize("way", [Way.DELTA, Way.REWRITE])
async def test_rows_that_come_back_and_new_ones_do_not_get_the_same_ids(
    applying: Applying,
    make_layer: MakeLayer,
    monkeypatch: pytest.MonkeyPatch,
    way: Way,
) -> None:
    if way is Way.REWRITE:
        prefer_rewrite(monkeypatch)
    before = await applying.create(make_layer(TYPES, CITIES[:1]))
    before = await applying.refresh(make_layer(TYPES, CITIES), before)
    await applying.execute("DELETE FROM alice.cities")
    await applying.execute("ALTER TABLE alice.cities ALTER cartodb_id RESTART")

    after = await applying.refresh(make_layer(TYPES, [*CITIES, ("Voss", 1)]), before)

    assert after.way is way
    assert await applying.rows("SELECT cartodb_id, name FROM alice.cities ORDER BY 1") == [
        (number, city[0]) for number, city in enumerate([*CITIES, ("Voss", 1)], 1)
    ]


@pytest.mark.parametrize("edit", ["DROP size", "RENAME size TO mine"])
async def test_a_column_that_somebody_dropped_comes_back_with_its_values(
    applying: Applying, make_layer: MakeLayer, edit: str
) -> None:
    layer = make_layer(TYPES, CITIES)
    before = await applying.create(layer)
    await applying.execute(f"ALTER TABLE alice.cities {edit}")
    await applying.refresh(layer, before)
    assert await applying.rows("SELECT name, size FROM alice.cities ORDER BY cartodb_id") == CITIES


async def test_a_vanished_column_stays_and_becomes_null_and_an_added_one_comes(
    applying: Applying, make_layer: MakeLayer
) -> None:
    before = await applying.create(make_layer(TYPES, CITIES, POINTS))
    newer = {"name": ColumnType.TEXT, "mayor": ColumnType.TEXT}
    after = await applying.refresh(make_layer(newer, [("Oslo", "Anne")]), before)

    assert [column.name for column in after.columns] == ["name", "mayor", "size"]
    assert after.schema_changes == ('column "mayor" (text) was added',)
    assert await applying.rows("SELECT name, size, mayor FROM alice.cities") == [
        ("Oslo", None, "Anne")
    ]


async def test_a_column_that_somebody_adds_during_the_run_is_theirs(
    applying: Applying, make_layer: MakeLayer
) -> None:
    """The names that are taken were read before the file was."""
    before = await applying.create(make_layer(TYPES, CITIES))
    await applying.execute("ALTER TABLE alice.cities ADD COLUMN mayor text DEFAULT 'mine'")
    newer = make_layer({**TYPES, "mayor": ColumnType.TEXT}, [("Oslo", 1, "Anne")])
    with pytest.raises(LockedTableError, match='added a column "mayor"'):
        await applying.refresh(newer, before)
    assert await applying.rows("SELECT DISTINCT mayor FROM alice.cities") == [("mine",)]


async def test_detected_keys_are_weighed_although_a_type_changed(
    applying: Applying, make_layer: MakeLayer
) -> None:
    types = {"name": ColumnType.TEXT, "code": ColumnType.BIGINT, "size": ColumnType.BIGINT}
    before = await applying.create(make_layer(types, [("a", 1, 5), ("b", 2, 6), ("c", 3, 7)]))
    wider = {**types, "size": ColumnType.TEXT}
    rows = [("a", 1, "five"), ("b", 2, "six"), ("d", 3, "7")]
    after = await applying.refresh(make_layer(wider, rows), before)
    assert after.pairing == Pairing(by=PairedBy.DETECTED_KEY, columns=("name",))
    assert after.rows == RowCounts(inserted=1, updated=2, deleted=1)


async def test_a_wider_type_is_taken_over_by_rows_that_stay(
    applying: Applying, make_layer: MakeLayer
) -> None:
    before = await applying.create(make_layer(TYPES, [("a", 1), ("b", 2)]))
    wider = {"name": ColumnType.TEXT, "size": ColumnType.TEXT}
    after = await applying.refresh(make_layer(wider, [("a", "1"), ("b", "x")]), before)
    assert after.rows == RowCounts(updated=1, unchanged=1)
    assert after.way is Way.REWRITE
    assert await applying.rows("SELECT name, size FROM alice.cities ORDER BY 1") == [
        ("a", "1"),
        ("b", "x"),
    ]


async def test_a_view_in_the_way_of_a_type_is_named_and_the_table_stays(
    applying: Applying, make_layer: MakeLayer
) -> None:
    before = await applying.create(make_layer(TYPES, [("a", 1)]))
    await applying.execute("CREATE VIEW alice.sizes AS SELECT size FROM alice.cities")
    wider = {"name": ColumnType.TEXT, "size": ColumnType.TEXT}
    with pytest.raises(CannotChangeTableError, match="sizes"):
        await applying.refresh(make_layer(wider, [("a", "x")]), before)
    assert await applying.rows("SELECT size FROM alice.sizes") == [(1,)]


async def test_a_type_that_a_user_changed_is_changed_back(
    applying: Applying, make_layer: MakeLayer
) -> None:
    before = await applying.create(make_layer(TYPES, CITIES))
    await applying.execute("ALTER TABLE alice.cities ALTER size TYPE bytea USING NULL")
    await applying.refresh(make_layer(TYPES, CITIES[:2]), before)
    assert await applying.rows("SELECT cartodb_id, name, size FROM alice.cities ORDER BY 1") == [
        (1, *CITIES[0]),
        (2, *CITIES[1]),
    ]


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


async def test_a_file_that_is_not_what_it_says_is_refused(
    applying: Applying, make_layer: MakeLayer
) -> None:
    layer = make_layer(TYPES, CITIES)
    lying = replace(layer, columns=layer.columns[:1])
    with pytest.raises(LoadError):
        await applying.create(lying)


async def test_rows_too_wide_for_a_page_have_the_code_of_too_many_columns(
    applying: Applying, make_layer: MakeLayer
) -> None:
    types = {f"c{number}": ColumnType.BIGINT for number in range(1_597)}
    empty = await applying.create(make_layer(types, [(None,) * 1_597]))
    assert empty.rows.total == 1
    with pytest.raises(TooManyColumnsError, match="row is too big"):
        await applying.create(make_layer(types, [tuple(range(1_597))]))


async def test_an_empty_layer_gives_an_empty_table(
    applying: Applying, make_layer: MakeLayer
) -> None:
    applied = await applying.create(make_layer(TYPES, []))
    assert applied.rows == RowCounts()
    await applying.execute("INSERT INTO alice.cities (name) VALUES ('first')")
    assert await applying.rows("SELECT cartodb_id FROM alice.cities") == [(1,)]


async def test_columns_that_change_under_a_lock_wait_and_then_say_so(
    applying: Applying, make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synctables.importer.apply.columns.LOCK_ATTEMPTS", 2)
    before = await applying.create(make_layer(TYPES, CITIES))
    async with applying.pool.connection() as reader:
        await reader.execute("SELECT * FROM alice.cities")
        wider = {**TYPES, "mayor": ColumnType.TEXT}
        with pytest.raises(LockedTableError):
            await applying.refresh(make_layer(wider, []), before)


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
