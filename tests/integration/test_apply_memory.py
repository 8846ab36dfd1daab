"""What a refresh remembers of a table, when it does not trust that, and what it then writes."""

from __future__ import annotations

import pytest

from synctables.db.pool import create_pool
from synctables.importer.apply.model import PairedBy, Pairing, Way
from synctables.importer.apply.signatures import ENTRY, SIGNATURE
from synctables.importer.model import ColumnType, RowCounts
from tests.support.applying import Applying
from tests.support.layers import MakeLayer

TYPES = {"code": ColumnType.BIGINT, "size": ColumnType.DOUBLE}
ROW_COUNT = 3_000
BASE = f"SELECT coalesce(sum(length(content)), 0)::int / {SIGNATURE.itemsize} FROM signature_chunks"
JOURNAL = f"SELECT coalesce(sum(length(content)), 0)::int / {ENTRY.itemsize} FROM signature_journal"


def _rows(changed: int) -> list[tuple[int, float]]:
    return [(code, code + 0.5 * (code < changed)) for code in range(ROW_COUNT)]


async def test_few_changes_go_to_the_journal_and_many_into_a_new_base(
    applying: Applying, make_layer: MakeLayer
) -> None:
    before = await applying.create(make_layer(TYPES, _rows(0)))
    assert await applying.rows(f"{BASE} UNION ALL {JOURNAL}") == [(ROW_COUNT,), (0,)]

    for changed, journal in ((400, 400), (900, 900), (0, 0), (1, 1)):
        after = await applying.refresh(make_layer(TYPES, _rows(changed)), before)
        assert after.rows.unchanged == ROW_COUNT - after.rows.updated
        assert await applying.rows(f"{BASE} UNION ALL {JOURNAL}") == [(ROW_COUNT,), (journal,)]

    again = await applying.refresh(make_layer(TYPES, _rows(1)), before)
    assert again.rows == RowCounts(unchanged=ROW_COUNT)


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("VACUUM FULL alice.cities", id="its rows were written anew"),
        pytest.param(
            "UPDATE synctables.table_states SET signature_tag = 'another'", id="hashes were others"
        ),
        pytest.param("DELETE FROM synctables.table_states", id="nothing is remembered"),
    ],
)
async def test_what_cannot_be_trusted_is_compared_in_full(
    applying: Applying, make_layer: MakeLayer, statement: str
) -> None:
    before = await applying.create(make_layer(TYPES, _rows(0)[:5]))
    await applying.execute("UPDATE alice.cities SET size = 7 WHERE code = 3")
    async with applying.pool.connection() as connection:
        await connection.set_autocommit(True)
        await connection.execute(statement.encode())
        await connection.set_autocommit(False)
    kept = "SELECT ctid::text, cartodb_id FROM alice.cities WHERE code NOT IN (0, 3) ORDER BY 2"
    untouched = await applying.rows(kept)

    after = await applying.refresh(make_layer(TYPES, _rows(1)[:5]), before)

    assert after.hand_edit_count is None
    assert after.rows == RowCounts(updated=2, unchanged=3)
    assert await applying.rows(kept) == untouched
    assert await applying.rows("SELECT code, size, cartodb_id FROM alice.cities ORDER BY 1") == [
        (code, size, code + 1) for code, size in _rows(1)[:5]
    ]
    trusted = await applying.refresh(make_layer(TYPES, _rows(1)[:5]), before)
    assert trusted.hand_edit_count == 0


async def test_numbers_that_differ_in_their_last_bit_differ_in_any_database(
    applying: Applying, make_layer: MakeLayer, database_url: str
) -> None:
    await applying.execute(
        "DO $$ BEGIN EXECUTE format("
        "'ALTER DATABASE %I SET extra_float_digits = 0', current_database()); END $$"
    )
    async with create_pool(database_url, application_name="tests") as pool:
        there = Applying(pool=pool, account=applying.account, scratch=applying.scratch)
        before = await there.create(make_layer(TYPES, [(1, 0.3), (2, 1.0)]))
        await there.execute("DELETE FROM synctables.table_states")
        after = await there.refresh(make_layer(TYPES, [(1, 0.1 + 0.2), (2, 1.0)]), before)

        assert after.rows == RowCounts(updated=1, unchanged=1)
        assert await there.rows("SELECT size FROM alice.cities WHERE code = 1") == [(0.1 + 0.2,)]


async def test_an_update_sets_only_the_columns_that_changed(
    applying: Applying, make_layer: MakeLayer
) -> None:
    points = [(1, 1), (2, 2), (3, 3)]
    before = await applying.create(make_layer(TYPES, _rows(0)[:3], points))
    await applying.execute(
        "CREATE TABLE alice.noted (what text)",
        "CREATE FUNCTION alice.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        " $$ BEGIN INSERT INTO alice.noted VALUES (TG_ARGV[0]); RETURN NULL; END $$",
        *(
            f"CREATE TRIGGER {column} AFTER UPDATE OF {column} ON alice.cities"
            f" FOR EACH ROW EXECUTE FUNCTION alice.note('{column}')"
            for column in ("code", "size", "the_geom", "the_geom_webmercator")
        ),
    )

    after = await applying.refresh(
        make_layer(TYPES, _rows(1)[:3], [(1, 1), (2, 2), (3, 4)]), before
    )

    assert (after.way, after.rows) == (Way.DELTA, RowCounts(updated=2, unchanged=1))
    assert await applying.rows("SELECT what FROM alice.noted ORDER BY 1") == [
        ("size",),
        ("the_geom",),
        ("the_geom_webmercator",),
    ]


async def test_sessions_see_what_was_committed_meanwhile_in_any_database(
    applying: Applying, database_url: str
) -> None:
    await applying.execute(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation ="
        " serializable', current_database()); END $$"
    )
    async with create_pool(database_url, application_name="tests") as pool:
        there = Applying(pool=pool, account=applying.account, scratch=applying.scratch)
        assert await there.rows("SHOW transaction_isolation") == [("read committed",)]


async def test_a_declared_key_is_not_taken_for_a_detected_one_once_it_is_declared_no_more(
    applying: Applying, make_layer: MakeLayer
) -> None:
    types = {"code": ColumnType.BIGINT, "name": ColumnType.TEXT, "x": ColumnType.DOUBLE}
    types["y"] = ColumnType.DOUBLE
    before = await applying.create(make_layer(types, [(1, "a", 1.0, 1.0), (2, "b", 2.0, 2.0)]))
    by_name = await applying.refresh(
        make_layer(types, [(1, "a", 1.5, 1.0), (2, "b", 2.0, 2.0)]), before, key=["name"]
    )
    assert by_name.pairing == Pairing(by=PairedBy.DECLARED_KEY, columns=("name",))

    # Paired by name, more cells would change than by code.
    by_code = await applying.refresh(
        make_layer(types, [(1, "b", 1.5, 1.0), (2, "a", 2.0, 2.0)]), before
    )
    assert by_code.pairing == Pairing(by=PairedBy.DETECTED_KEY, columns=("code",))


async def test_a_column_of_ours_that_somebody_dropped_gets_its_values_back(
    applying: Applying, make_layer: MakeLayer
) -> None:
    before = await applying.create(make_layer(TYPES, _rows(0)[:5]))
    content = await applying.content()
    await applying.execute("ALTER TABLE alice.cities DROP size")

    after = await applying.refresh(make_layer(TYPES, _rows(0)[:5]), before)

    assert after.rows == RowCounts(updated=5)
    assert await applying.content() == content
