"""Keys, constraints and triggers on a refreshed table are in force, or named where they refuse."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from synctables.errors import CannotChangeTableError
from synctables.importer.apply.model import Way
from tests.support.rewriting import CITIES
from tests.support.town import Town

KINDS = ("NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT")
LEFT = {
    "CASCADE": [(1, 1), (4, 2)],
    "SET NULL": [(1, 1), (3, None), (4, 2)],
    "SET DEFAULT": [(1, 1), (3, 2), (4, 2)],
}
CHILDREN = "SELECT id, city FROM alice.people ORDER BY 1"


@pytest.mark.parametrize("late", ["", "DEFERRABLE INITIALLY DEFERRED"])
@pytest.mark.parametrize("kind", KINDS)
async def test_children_of_a_row_that_goes(town: Town, way: Way, kind: str, late: str) -> None:
    await town.run(
        "CREATE TABLE alice.people (id int PRIMARY KEY, city bigint DEFAULT 2"
        f" CONSTRAINT lives REFERENCES alice.cities ON DELETE {kind} ON UPDATE CASCADE {late})",
        "INSERT INTO alice.people VALUES (1, 1), (3, 3), (4, 2)",
    )
    before = await town.rows(CHILDREN), await town.rows("SELECT ctid, * FROM alice.cities")
    if kind in LEFT:
        applied = await town.refresh()
        assert applied.way is Way.DELTA
        assert await town.rows(CHILDREN) == LEFT[kind]
    else:
        with pytest.raises(CannotChangeTableError, match="lives"):
            await town.refresh()
        after = await town.rows(CHILDREN), await town.rows("SELECT ctid, * FROM alice.cities")
        assert after == before
    # Rows of which no child is left come and go as they like, and the key is in force.
    await town.run("DELETE FROM alice.people WHERE city = 3")
    assert (await town.refresh()).way is way
    assert await town.rows("SELECT convalidated, condeferred FROM pg_constraint"
                           " WHERE conname = 'lives'") == [(True, bool(late))]  # fmt: skip
    with pytest.raises(Exception, match="lives"):
        await town.run("INSERT INTO alice.people VALUES (9, 99)")


@pytest.mark.parametrize("kind", KINDS)
async def test_rows_that_point_at_rows_of_their_own_table(town: Town, way: Way, kind: str) -> None:
    await town.run(
        "ALTER TABLE alice.cities ADD capital bigint DEFAULT 2"
        f" CONSTRAINT rules REFERENCES alice.cities ON DELETE {kind}",
        "UPDATE alice.cities SET capital = CASE cartodb_id WHEN 4 THEN 3 ELSE 1 END",
    )
    before = await town.rows("SELECT ctid, * FROM alice.cities")
    if kind in ("SET NULL", "SET DEFAULT"):
        await town.refresh()
        left = None if kind == "SET NULL" else 2
        assert await town.rows("SELECT code, capital FROM alice.cities ORDER BY 1") == [
            ("a", 1), ("b", 1), ("d", left), ("e", 2),
        ]  # fmt: skip
    else:
        with pytest.raises(CannotChangeTableError, match="rules"):
            await town.refresh()
        assert await town.rows("SELECT ctid, * FROM alice.cities") == before
    # Rows at which none points come and go, and the key is in force.
    await town.run("UPDATE alice.cities SET capital = 1")
    applied = await town.refresh([*CITIES[:2], ("Vadsø", 5, "f")])
    assert applied.way is way
    assert await town.rows("SELECT code, capital FROM alice.cities ORDER BY 1") == [
        ("a", 1), ("b", 1), ("f", 2),
    ]  # fmt: skip
    with pytest.raises(Exception, match="rules"):
        await town.run("UPDATE alice.cities SET capital = 99")


@pytest.mark.parametrize("late", ["", "DEFERRABLE INITIALLY DEFERRED"])
@pytest.mark.parametrize("kind", KINDS)
async def test_rows_that_point_elsewhere(town: Town, way: Way, kind: str, late: str) -> None:
    await town.run(
        "CREATE TABLE alice.codes (code text PRIMARY KEY)",
        "INSERT INTO alice.codes VALUES ('a'), ('b'), ('c'), ('d')",
        "ALTER TABLE alice.cities ADD CONSTRAINT known FOREIGN KEY (code)"
        f" REFERENCES alice.codes ON DELETE {kind} {late}",
    )
    before = await town.rows("SELECT ctid, * FROM alice.cities")
    with pytest.raises(CannotChangeTableError, match="known"):
        await town.refresh()
    assert await town.rows("SELECT ctid, * FROM alice.cities") == before
    await town.run("INSERT INTO alice.codes VALUES ('e')")
    assert (await town.refresh()).way is way


ROTATED = [("Oslo", 280_000, "a"), ("Bergen", 52_000, "b"), ("Bodø", 700_000, "c"), (None, 1, "d")]


@pytest.mark.parametrize(
    ("constraint", "is_refused"),
    [
        pytest.param((), False, id="nothing in the way"),
        pytest.param(("CREATE TABLE alice.people (city bigint REFERENCES alice.cities)",), True,
                     id="a foreign key points here"),
        pytest.param(("ALTER TABLE alice.cities ADD note text",), True, id="own columns"),
    ],
)  # fmt: skip
async def test_unique_values_change_places(
    town: Town, way: Way, constraint: tuple[str, ...], *, is_refused: bool
) -> None:
    await town.run("ALTER TABLE alice.cities ADD CONSTRAINT one_size UNIQUE (size)", *constraint)
    before = await town.rows("SELECT ctid, * FROM alice.cities")
    if is_refused and way is Way.DELTA:
        with pytest.raises(CannotChangeTableError, match="one_size"):
            await town.refresh(ROTATED)
        assert await town.rows("SELECT ctid, * FROM alice.cities") == before
        return
    await town.refresh(ROTATED)
    assert await town.rows("SELECT cartodb_id, size FROM alice.cities ORDER BY 1") == [
        (number, city[1]) for number, city in enumerate(ROTATED, 1)
    ]


BREAKING = {
    "one_code": ("ALTER TABLE alice.cities ADD CONSTRAINT one_code UNIQUE (code)",),
    "one_code_late": ("ALTER TABLE alice.cities ADD CONSTRAINT one_code_late UNIQUE (code)"
                      " DEFERRABLE INITIALLY DEFERRED",),
    "by_code": ("CREATE UNIQUE INDEX by_code ON alice.cities (upper(code)) WHERE size > 2",),
    "apart": ("ALTER TABLE alice.cities ADD CONSTRAINT apart EXCLUDE USING btree (code WITH =)",),
    "small": ("ALTER TABLE alice.cities ADD CONSTRAINT small CHECK (size < 710000)",),
    "size": ("UPDATE alice.cities SET size = 0 WHERE size IS NULL",
             "ALTER TABLE alice.cities ALTER size SET NOT NULL"),
    "watch": (
        "CREATE FUNCTION alice.watch() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'watch says no'; END $$",
        "CREATE CONSTRAINT TRIGGER watch AFTER INSERT OR UPDATE ON alice.cities DEFERRABLE"
        " INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION alice.watch()",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "statements"), BREAKING.items(), ids=BREAKING)
async def test_a_constraint_that_the_file_breaks_is_named(
    town: Town, way: Way, name: str, statements: tuple[str, ...]
) -> None:
    await town.run(*statements)
    before = await town.rows("SELECT ctid, * FROM alice.cities")
    if name == "watch" and way is Way.REWRITE:
        pytest.skip("rows of a new table are copied before its triggers are made")
    broken = [("Oslo", 717_710, "a"), ("Bergen", None, "b"), ("Again", 717_711, "a")]
    with pytest.raises(CannotChangeTableError, match=name):
        await town.refresh(broken, key="name")
    assert await town.rows("SELECT ctid, * FROM alice.cities") == before


MEDDLING = {
    "before the row is written": (
        "BEGIN NEW.name := upper(NEW.name); RETURN NEW; END",
        "BEFORE INSERT OR UPDATE ON alice.cities FOR EACH ROW",
    ),
    "after the row was written": (
        "BEGIN UPDATE alice.cities SET name = upper(name) WHERE cartodb_id = NEW.cartodb_id"
        " AND name <> upper(name); RETURN NULL; END",
        "AFTER INSERT OR UPDATE ON alice.cities FOR EACH ROW",
    ),
    "at the end of the transaction": (
        "BEGIN UPDATE alice.cities SET name = upper(name) WHERE cartodb_id = NEW.cartodb_id"
        " AND name <> upper(name); RETURN NULL; END",
        None,
    ),
    "another row goes with it": (
        "BEGIN DELETE FROM alice.cities WHERE code = 'b'; RETURN NULL; END",
        "AFTER UPDATE ON alice.cities FOR EACH ROW",
    ),
    "rows come with it": (
        "BEGIN IF pg_trigger_depth() < 2 THEN INSERT INTO alice.cities (name) VALUES ('more');"
        " END IF; RETURN NULL; END",
        "AFTER INSERT ON alice.cities FOR EACH ROW",
    ),
}


@pytest.mark.parametrize(("body", "event"), MEDDLING.values(), ids=MEDDLING)
async def test_a_trigger_that_makes_other_rows_of_ours_is_named(
    town: Town, body: str, event: str | None
) -> None:
    kind = "TRIGGER" if event else "CONSTRAINT TRIGGER"
    event = event or (
        "AFTER INSERT OR UPDATE ON alice.cities DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
    )
    await town.run(
        f"CREATE FUNCTION alice.meddle() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$",
        f"CREATE {kind} meddler {event} EXECUTE FUNCTION alice.meddle()",
    )
    before = await town.rows("SELECT ctid, * FROM alice.cities")
    with pytest.raises(CannotChangeTableError, match="meddler"):
        await town.refresh()
    assert await town.rows("SELECT ctid, * FROM alice.cities") == before


async def test_a_trigger_may_write_what_is_the_users(town: Town, way: Way) -> None:
    await town.run(
        "ALTER TABLE alice.cities ADD seen text",
        "CREATE FUNCTION alice.stamp() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.seen := tg_op; RETURN NEW; END $$",
        "CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON alice.cities FOR EACH ROW"
        " EXECUTE FUNCTION alice.stamp()",
    )
    await town.refresh()
    if way is Way.DELTA:
        assert await town.rows("SELECT code, seen FROM alice.cities ORDER BY 1") == [
            ("a", "UPDATE"), ("b", None), ("d", None), ("e", "INSERT"),
        ]  # fmt: skip
    with capture_logs() as logs:
        assert not (await town.refresh()).rows.changed
    assert not [entry for entry in logs if entry["event"] == "table_edited_meanwhile"]
