"""A database that was dumped and restored: its tables go on following their files."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from synctables.db.migrate import migrate
from synctables.db.pool import create_pool
from synctables.importer.model import ColumnType, RowCounts
from synctables.localpg import LocalCluster
from synctables.localpg.binaries import find_binaries
from tests.support.applying import Applying
from tests.support.layers import MakeLayer

TYPES = {"name": ColumnType.TEXT, "size": ColumnType.BIGINT}
CITIES = [("Oslo", 700_000), ("Bergen", 280_000), ("Bodø", 52_000)]


@pytest.fixture
def restored_url(cluster: LocalCluster, database_url: str) -> Iterator[str]:
    """An empty database for a dump of the test's own; dropped at the end."""
    name = "restored_from_" + name_in(database_url)
    with psycopg.connect(cluster.superuser_url(), autocommit=True) as superuser:
        superuser.execute(
            sql.SQL("CREATE DATABASE {} OWNER synctables").format(sql.Identifier(name))
        )
        yield database_url.replace(f"/{name_in(database_url)}?", f"/{name}?")
        superuser.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def name_in(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


def dump_and_restore(cluster: LocalCluster, database_url: str, restored_url: str) -> None:
    """As an administrator does it, with the real programs."""
    programs = find_binaries().bin_dir
    into = cluster.superuser_url(database=name_in(restored_url))
    dump = subprocess.run(
        [programs / "pg_dump", database_url], capture_output=True, check=True, timeout=60
    )
    subprocess.run(
        [programs / "psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", into],
        input=dump.stdout, stdout=subprocess.DEVNULL, check=True, timeout=60,
    )  # fmt: skip


async def test_restored_tables_are_found_again_by_their_names(
    applying: Applying,
    make_layer: MakeLayer,
    cluster: LocalCluster,
    database_url: str,
    restored_url: str,
) -> None:
    followed = await applying.create(make_layer(TYPES, CITIES))
    dropped = await applying.create(make_layer(TYPES, CITIES), "dropped")
    also = await applying.create(make_layer(TYPES, CITIES), "also")
    await applying.execute("DROP TABLE alice.dropped", "DROP TABLE alice.also")
    await applying.execute("UPDATE alice.cities SET size = 1 WHERE name = 'Bodø'")
    dump_and_restore(cluster, database_url, restored_url)

    migrate(restored_url)
    migrate(restored_url)

    async with create_pool(restored_url, application_name="tests") as pool:
        moved = Applying(pool=pool, account=applying.account, scratch=applying.scratch)
        assert await moved.find(dropped) is None
        assert await moved.find(also) is None
        newer = make_layer(TYPES, [*CITIES, ("Voss", 6_000)])
        after = await moved.refresh(newer, followed)
        assert after.rows == RowCounts(inserted=1, updated=1, unchanged=2)
        assert await moved.rows("SELECT cartodb_id, name, size FROM alice.cities ORDER BY 1") == [
            (number, *city) for number, city in enumerate([*CITIES, ("Voss", 6_000)], 1)
        ]
        assert not (await moved.refresh(newer, after)).rows.changed


async def test_a_table_that_was_renamed_is_followed_where_nothing_was_restored(
    applying: Applying, make_layer: MakeLayer, database_url: str
) -> None:
    before = await applying.create(make_layer(TYPES, CITIES))
    await applying.execute("ALTER TABLE alice.cities RENAME TO towns")
    await applying.execute("CREATE TABLE alice.cities (name text)")
    migrate(database_url)
    found = await applying.find(before)
    assert found is not None
    assert found.name == "towns"
