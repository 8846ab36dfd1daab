"""Whatever hangs off a table is found intact and working after a refresh, by delta or by rewrite.

Each case is what a user made. The refresh then drops a row, changes one and adds one. Where a
rewrite cannot carry something, a delta is taken and the log says why.
"""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from synctables.importer.apply.model import Way
from tests.support.carried import CARRIED
from tests.support.forcing import prefer_rewrite
from tests.support.rewriting import describe_database
from tests.support.town import Town

NOTE = (
    "CREATE TABLE alice.notes (id bigint GENERATED ALWAYS AS IDENTITY, what text)",
    "CREATE FUNCTION alice.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " INSERT INTO alice.notes (what) VALUES (tg_name || ' ' || tg_op); RETURN coalesce(new, old);"
    " END $$",
)


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
