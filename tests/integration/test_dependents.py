"""Whatever hangs off a table is found intact and working after a refresh, by delta or by rewrite.

Each case is what a user made. The refresh then drops a row, changes one and adds one. Where a
rewrite cannot carry something, a delta is taken and the log says why.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from synctables.errors import CannotChangeTableError
from synctables.importer.apply import Applied
from synctables.importer.apply.model import Way
from tests.integration.test_rewrite_carried import CARRIED
from tests.support.applying import Applying
from tests.support.forcing import prefer_rewrite
from tests.support.layers import MakeLayer
from tests.support.rewriting import CITIES, POINTS, TYPES, describe_database

NEW_CITIES = [("Oslo", 717_710, "a"), ("Bergen", 280_000, "b"), ("Tromsø", 77_000, "e"),
              (None, 1, "d")]  # fmt: skip
"""Oslo (1) grew, Bodø (3) went, Tromsø came in between; the rows 2 and 4 stay."""
NOTE = (
    "CREATE TABLE alice.notes (id bigint GENERATED ALWAYS AS IDENTITY, what text)",
    "CREATE FUNCTION alice.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " INSERT INTO alice.notes (what) VALUES (tg_name || ' ' || tg_op); RETURN coalesce(new, old);"
    " END $$",
)


@pytest.fixture(params=[Way.DELTA, Way.REWRITE])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Way:
    """The way that is taken where nothing hinders it."""
    if request.param is Way.REWRITE:
        prefer_rewrite(monkeypatch)
    return Way(request.param)


class Town:
    """``alice.cities`` and its refresh."""

    def __init__(self, applying: Applying, make_layer: MakeLayer, before: Applied) -> None:
        self.applying, self.make_layer, self.applied = applying, make_layer, before

    async def refresh(
        self, cities: Sequence[tuple[object, ...]] = NEW_CITIES, *, key: str = "code"
    ) -> Applied:
        points = [POINTS[number % len(POINTS)] for number in range(len(cities))]
        layer = self.make_layer(TYPES, cities, points)
        self.applied = await self.applying.refresh(layer, self.applied, key=(key,))
        assert await self.rows("SELECT name, size, code FROM ONLY alice.cities ORDER BY code") == (
            sorted(cities, key=lambda city: str(city[2]))
        )
        return self.applied

    async def run(self, *statements: str) -> None:
        await self.applying.execute(*statements)

    async def rows(self, query: str) -> list[tuple[object, ...]]:
        return await self.applying.rows(query)


@pytest.fixture
async def town(applying: Applying, make_layer: MakeLayer) -> Town:
    before = await applying.create(make_layer(TYPES, CITIES, POINTS))
    return Town(applying, make_layer, before)


# What these users made changes the rows that are written, or lets nobody change one: such
# publications are named, test_obstacles.py.
LEFT_OUT = {
    "triggers and their states",
    "publications that cannot follow changed rows",
    "a publication without a replica identity",
}
assert CARRIED.keys() >= LEFT_OUT
HANGING = {name: made for name, made in CARRIED.items() if name not in LEFT_OUT}


@pytest.mark.parametrize("statements", HANGING.values(), ids=HANGING)
async def test_a_delta_changes_nothing_but_rows(
    town: Town, statements: tuple[str, ...], database_url: str
) -> None:
    await town.run(*statements)
    before = await describe_database(database_url)
    assert (await town.refresh()).way is Way.DELTA
    assert await describe_database(database_url) == before


WORKING = {
    "a view of a view": (
        (
            "CREATE VIEW alice.large AS SELECT * FROM alice.cities WHERE size > 60000",
            "CREATE VIEW alice.names AS SELECT name FROM alice.large",
        ),
        "SELECT name FROM alice.names ORDER BY 1",
        [("Bergen",), ("Oslo",), ("Tromsø",)],
    ),
    "a unique index on an expression, of some rows": (
        ("CREATE UNIQUE INDEX by_name ON alice.cities (lower(name)) WHERE size > 10",),
        "SELECT count(*) FROM pg_indexes WHERE indexname = 'by_name'",
        [(1,)],
    ),
    "a policy for everybody but its owner": (
        (
            "CREATE POLICY none ON alice.cities FOR SELECT USING (size > 300000)",
            "ALTER TABLE alice.cities ENABLE ROW LEVEL SECURITY",
        ),
        "SELECT count(*) FROM alice.cities",
        [(4,)],
    ),
    "own columns with a default and a computed value": (
        (
            "ALTER TABLE alice.cities ADD rank integer DEFAULT 7",
            "ALTER TABLE alice.cities ADD twice bigint GENERATED ALWAYS AS (size * 2) STORED",
            "UPDATE alice.cities SET rank = cartodb_id WHERE cartodb_id < 3",
        ),
        "SELECT code, rank, twice FROM alice.cities ORDER BY 1",
        [("a", 1, 1_435_420), ("b", 2, 560_000), ("d", 7, 2), ("e", 7, 154_000)],
    ),
    "a column that counts by itself": (
        ("ALTER TABLE alice.cities ADD number serial",),
        "SELECT code, number FROM alice.cities ORDER BY 1",
        [("a", 1), ("b", 2), ("d", 4), ("e", 5)],
    ),
    "a deferrable unique constraint": (
        ("ALTER TABLE alice.cities ADD UNIQUE (size) DEFERRABLE INITIALLY DEFERRED",),
        "SELECT condeferred FROM pg_constraint WHERE conname = 'cities_size_key'",
        [(True,)],
    ),
}


@pytest.mark.parametrize(("statements", "question", "answer"), WORKING.values(), ids=WORKING)
async def test_what_users_made_works_on(
    town: Town, way: Way, statements: tuple[str, ...], question: str, answer: object
) -> None:
    await town.run(*statements)
    applied = await town.refresh()
    assert applied.way is way
    assert await town.rows(question) == answer
    await town.run("INSERT INTO alice.cities (name, size, code) VALUES ('Bodø', 9, 'z')")
    # Ids go on where they were, for others too.
    ids = await town.rows("SELECT cartodb_id FROM alice.cities ORDER BY 1")
    assert len(ids) == len(set(ids)) == 5
    await town.refresh()


async def test_triggers_go_on_firing_for_users(town: Town, way: Way) -> None:
    await town.run(
        *NOTE,
        "CREATE TRIGGER after_rows AFTER INSERT ON alice.cities FOR EACH ROW"
        " EXECUTE FUNCTION alice.note()",
        "CREATE TRIGGER before_rows BEFORE INSERT ON alice.cities FOR EACH ROW"
        " EXECUTE FUNCTION alice.note()",
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON alice.cities DEFERRABLE INITIALLY"
        " DEFERRED FOR EACH ROW EXECUTE FUNCTION alice.note()",
        "CREATE TRIGGER statements AFTER INSERT OR TRUNCATE ON alice.cities"
        " EXECUTE FUNCTION alice.note()",
    )
    fired = [(f"{name} INSERT",) for name in ("after_rows", "before_rows", "late", "statements")]
    notes = "SELECT DISTINCT what FROM alice.notes ORDER BY 1"
    assert (await town.refresh()).way is way
    assert await town.rows(notes) == (fired if way is Way.DELTA else [])
    await town.run(
        "TRUNCATE alice.notes",
        "INSERT INTO alice.cities (name, size, code) VALUES ('Bodø', 9, 'z')",
    )
    assert await town.rows(notes) == fired
    await town.refresh()


HINDERING = {
    "a materialised view": (
        "CREATE MATERIALIZED VIEW alice.copy AS SELECT name FROM alice.cities",
    ),
    "a function over rows": (
        "CREATE FUNCTION alice.label(c alice.cities) RETURNS text LANGUAGE sql"
        " AS 'SELECT c.name || c.size'",
    ),
    "a function with a body that reads the table": (
        "CREATE FUNCTION alice.total() RETURNS numeric LANGUAGE sql"
        " BEGIN ATOMIC SELECT sum(size) FROM alice.cities; END",
    ),
    "a child by inheritance": (
        "CREATE TABLE alice.towns () INHERITS (alice.cities)",
        "INSERT INTO alice.towns (cartodb_id, name, code) VALUES (9, 'child', 'x')",
    ),
    "a parent by inheritance": ("CREATE TABLE alice.places ()",
                                "ALTER TABLE alice.cities INHERIT alice.places"),
    "a column of the row type elsewhere": (
        "CREATE TABLE alice.history (city alice.cities)",
        "INSERT INTO alice.history SELECT c FROM alice.cities c",
    ),
    "a sequence's default elsewhere": (
        "CREATE TABLE alice.more (id bigint DEFAULT nextval('alice.cities_cartodb_id_seq'))",),
    "a constraint that is not validated": (
        "ALTER TABLE alice.cities ADD CHECK (size > 1) NOT VALID",),
    "a rule of another table": (
        "CREATE TABLE alice.inbox (name text)",
        "CREATE RULE forward AS ON INSERT TO alice.inbox DO ALSO"
        " UPDATE alice.cities SET size = size WHERE name = NEW.name",
    ),
}  # fmt: skip


@pytest.mark.parametrize("statements", HINDERING.values(), ids=HINDERING)
async def test_what_cannot_be_carried_makes_it_a_delta(
    town: Town, statements: tuple[str, ...], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefer_rewrite(monkeypatch)
    await town.run(*statements)
    before = await describe_database(database_url)
    with capture_logs() as logs:
        assert (await town.refresh()).way is Way.DELTA
    (said,) = [entry for entry in logs if entry["event"] == "delta_instead_of_rewrite"]
    assert said["reasons"]
    assert await describe_database(database_url) == before


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
