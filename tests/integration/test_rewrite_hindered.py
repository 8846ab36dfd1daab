"""What cannot be carried hinders a rewrite: it is named, the table stays, and nothing is left."""

from __future__ import annotations

from typing import Any

import pytest

from synctables.importer.apply.hindered import HinderedError
from synctables.importer.apply.rewrite import hindrances
from synctables.importer.model import ColumnType
from tests.support.rewriting import CITIES, TYPES, Rewriting

BY_ANOTHER_ROLE = (
    "CREATE ROLE bob",
    "GRANT USAGE, CREATE ON SCHEMA alice TO bob",
    "GRANT ALL ON alice.cities TO bob WITH GRANT OPTION",
    "CREATE ROLE carol",
)

# What the owner did, what another role did, what an administrator did; and the words to be found.
HINDERED: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "a materialised view": (
        ("CREATE MATERIALIZED VIEW alice.kept AS SELECT name FROM alice.cities",),
        (),
        "Materialized view alice.kept depends on the table.",
    ),
    "a function over the row type": (
        ("CREATE FUNCTION alice.f(alice.cities) RETURNS int LANGUAGE sql AS 'SELECT 1'",),
        (),
        "Function alice.f(alice.cities) depends on the table.",
    ),
    "a function with a body that was parsed": (
        (
            "CREATE FUNCTION alice.g() RETURNS bigint LANGUAGE sql"
            " BEGIN ATOMIC SELECT count(*) FROM alice.cities; END",
        ),
        (),
        "Function alice.g() depends on the table.",
    ),
    "a column of the row type": (
        ("CREATE TABLE alice.kept (city alice.cities)",),
        (),
        "Table alice.kept depends on the table.",
    ),
    "a child by inheritance": (
        ("CREATE TABLE alice.towns () INHERITS (alice.cities)",),
        (),
        "Table alice.towns depends on the table.",
    ),
    "a parent by inheritance": (
        ("CREATE TABLE alice.places ()", "ALTER TABLE alice.cities INHERIT alice.places"),
        (),
        "Table alice.cities is an heir of another table.",
    ),
    "a default of another table that counts with the sequence": (
        ("CREATE TABLE alice.towns (id bigint DEFAULT nextval('alice.cities_cartodb_id_seq'))",),
        (),
        "Default value for column id of table alice.towns depends on the table.",
    ),
    "a rule of another table": (
        (
            "CREATE TABLE alice.towns (name text)",
            "CREATE RULE also AS ON INSERT TO alice.towns DO ALSO DELETE FROM alice.cities",
        ),
        (),
        "Table alice.towns depends on the table.",
    ),
    "a policy of another table": (
        (
            "CREATE TABLE alice.towns (name text)",
            "CREATE POLICY seen ON alice.towns USING (name IN (SELECT name FROM alice.cities))",
        ),
        (),
        "Policy seen on table alice.towns depends on the table.",
    ),
    "a foreign key from a partitioned table": (
        (
            "CREATE TABLE alice.people (city bigint REFERENCES alice.cities)"
            " PARTITION BY RANGE (city)",
        ),
        (),
        "Foreign key people_city_fkey of alice.people is partitioned",
    ),
    "a check that may not hold for every row": (
        ("ALTER TABLE alice.cities ADD CONSTRAINT big CHECK (size > 1) NOT VALID",),
        (),
        "Constraint big on table alice.cities is not validated",
    ),
    "a view of another role": (
        BY_ANOTHER_ROLE,
        ("CREATE VIEW alice.theirs AS SELECT name FROM alice.cities",),
        "View alice.theirs is owned by bob",
    ),
    "a foreign key of another role": (
        BY_ANOTHER_ROLE,
        ("CREATE TABLE alice.people (city bigint REFERENCES alice.cities)",),
        "Foreign key people_city_fkey of alice.people is on a table that another role owns.",
    ),
    "rights that another role granted": (
        BY_ANOTHER_ROLE,
        ("GRANT SELECT (name) ON alice.cities TO carol",),
        "Rights on column alice.cities.name were granted by role bob",
    ),
    "an index that was not finished": (
        (),
        (
            "UPDATE pg_index SET indisvalid = false"
            " WHERE indexrelid = 'alice.cities_the_geom_idx'::regclass",
        ),
        "Index alice.cities_the_geom_idx is being built or was not finished.",
    ),
    "an extension that has taken the table in": (
        (),
        ("ALTER EXTENSION postgis ADD TABLE alice.cities",),
        "Table alice.cities belongs to extension postgis.",
    ),
    "another owner": (
        (),
        (
            "ALTER TABLE alice.cities OWNER TO postgres",
            "GRANT SELECT ON alice.cities TO synctables",
        ),
        "Table alice.cities is owned by postgres.",
    ),
    "checks of a foreign key that are switched off": (
        ("CREATE TABLE alice.people (city bigint REFERENCES alice.cities)",),
        ("ALTER TABLE alice.people DISABLE TRIGGER ALL",),
        "Foreign key people_city_fkey of alice.people is partitioned, or not in force",
    ),
}


@pytest.mark.parametrize(("owners", "others", "words"), HINDERED.values(), ids=HINDERED)
async def test_a_hindrance_is_named(
    cities: Rewriting,
    superuser: Any,
    owners: tuple[str, ...],
    others: tuple[str, ...],
    words: str,
) -> None:
    await cities.run(*owners)
    is_by_another_role = owners == BY_ANOTHER_ROLE
    if is_by_another_role:
        superuser.execute("SET ROLE bob")
    for statement in others:
        superuser.execute(statement)
    before = await cities.rows("SELECT oid FROM pg_class WHERE relname = 'cities'")

    async with cities.pool.connection() as connection:
        reasons = await hindrances(connection, await cities.live(), {})
    assert words in " ".join(reasons)
    with pytest.raises(HinderedError) as hindered:
        await cities.rewrite()

    assert list(hindered.value.reasons) == reasons
    assert await cities.rows("SELECT oid FROM pg_class WHERE relname = 'cities'") == before
    assert await cities.left_behind() == []


RETYPED = {
    "a view that shows the column": (
        "CREATE VIEW alice.sizes AS SELECT name, size FROM alice.cities",
        'View alice.sizes would get another type in "size".',
    ),
    "a view that reckons with the column": (
        "CREATE VIEW alice.sizes AS SELECT name FROM alice.cities WHERE size + 1 > 5",
        "View alice.sizes does not accept the new types",
    ),
    "an index over an expression": (
        "CREATE INDEX by_size ON alice.cities ((size % 10))",
        "Index by_size does not accept the new types",
    ),
    "a check": (
        "ALTER TABLE alice.cities ADD CHECK (size > 0)",
        "A constraint does not accept the new types",
    ),
    "a generated column": (
        "ALTER TABLE alice.cities ADD half bigint GENERATED ALWAYS AS (size / 2) STORED",
        "The table does not accept the new types",
    ),
    "a policy": (
        "CREATE POLICY small ON alice.cities USING (size < 10)",
        "A trigger, rule or policy does not accept the new types",
    ),
}


@pytest.mark.parametrize(("statement", "words"), RETYPED.values(), ids=RETYPED)
async def test_what_does_not_accept_another_type_hinders(
    cities: Rewriting, statement: str, words: str
) -> None:
    await cities.run(statement)
    before = await cities.describe()

    async with cities.pool.connection() as connection:
        assert await hindrances(connection, await cities.live(), {}) == []
        reasons = await hindrances(connection, await cities.live(), {"size": "text"})
    assert [words in reason for reason in reasons] == [True]
    with pytest.raises(HinderedError):
        await cities.rewrite(
            [(name, str(size), code) for name, size, code in CITIES],
            types=TYPES | {"size": ColumnType.TEXT},
        )

    assert await cities.describe() == before
    assert await cities.left_behind() == []


async def test_what_accepts_another_type_does_not_hinder(cities: Rewriting) -> None:
    await cities.run(
        "CREATE VIEW alice.sizes AS SELECT name, size::text AS size FROM alice.cities",
        "CREATE INDEX by_size ON alice.cities (size)",
        "CREATE VIEW alice.all_sizes AS SELECT * FROM alice.sizes",
    )

    async with cities.pool.connection() as connection:
        assert await hindrances(connection, await cities.live(), {"size": "text"}) == []
    await cities.rewrite(
        [("Oslo", "many", "a"), *((name, str(size), code) for name, size, code in CITIES[1:])],
        types=TYPES | {"size": ColumnType.TEXT},
    )

    assert await cities.rows("SELECT name, size FROM alice.all_sizes WHERE name = 'Oslo'") == [
        ("Oslo", "many")
    ]
