"""Columns that come, go, or change their type, by the file's will or a user's."""

from __future__ import annotations

import pytest

from synctables.errors import CannotChangeTableError, LockedTableError, TooManyColumnsError
from synctables.importer.apply.model import PairedBy, Pairing, Way
from synctables.importer.model import ColumnType, RowCounts
from tests.support.applying import CITIES, POINTS, TYPES, Applying
from tests.support.layers import MakeLayer


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


async def test_rows_too_wide_for_a_page_have_the_code_of_too_many_columns(
    applying: Applying, make_layer: MakeLayer
) -> None:
    types = {f"c{number}": ColumnType.BIGINT for number in range(1_597)}
    empty = await applying.create(make_layer(types, [(None,) * 1_597]))
    assert empty.rows.total == 1
    with pytest.raises(TooManyColumnsError, match="row is too big"):
        await applying.create(make_layer(types, [tuple(range(1_597))]))


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
