"""apply on a real PostGIS: create a table, make its rows equal to a new version, touch no other."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest

from synctables.errors import LoadError
from synctables.importer.apply.model import Way
from synctables.importer.model import ColumnType, RowCounts
from tests.support.applying import CITIES, POINTS, TYPES, Applying
from tests.support.forcing import prefer_rewrite
from tests.support.layers import MakeLayer


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


async def test_a_file_that_is_not_what_it_says_is_refused(
    applying: Applying, make_layer: MakeLayer
) -> None:
    layer = make_layer(TYPES, CITIES)
    lying = replace(layer, columns=layer.columns[:1])
    with pytest.raises(LoadError):
        await applying.create(lying)


async def test_an_empty_layer_gives_an_empty_table(
    applying: Applying, make_layer: MakeLayer
) -> None:
    applied = await applying.create(make_layer(TYPES, []))
    assert applied.rows == RowCounts()
    await applying.execute("INSERT INTO alice.cities (name) VALUES ('first')")
    assert await applying.rows("SELECT cartodb_id FROM alice.cities") == [(1,)]
