"""After any refresh the table equals the file, and whatever is not changed is not touched.

One database serves all examples; each makes a table and drops it. `tests/support/equality.py` says
whether table and file are equal, without anything of what is tested here.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation

from synctables.accounts.service import create_account
from synctables.catalog.tables import Table
from synctables.db.pool import create_pool
from synctables.importer.apply import Applied
from synctables.importer.apply.model import Way
from synctables.importer.model import TypedLayer
from synctables.localpg import LocalCluster
from tests.conftest import clone_database
from tests.support.applying import Applying, Pool
from tests.support.equality import Stored, assert_remembered, read_file, read_stored
from tests.support.forcing import prefer_rewrite
from tests.support.versions import (
    ALTERATIONS,
    ROW_EDITS,
    UPKEEP,
    Version,
    next_versions,
    versions,
)

FULL = 1_000
EXAMPLES = FULL if settings().max_examples >= FULL else 25
"""An example is a table with up to three refreshes."""

EDITS = {**ROW_EDITS, **UPKEEP, **ALTERATIONS}


class Forced(StrEnum):
    """The way that a refresh is made to take."""

    SIGNATURES = "signatures"
    FULL_COMPARE = "full compare"
    REWRITE = "rewrite"


@dataclass(frozen=True)
class Step:
    """What people do, each with or without the triggers, and the version that comes then."""

    edits: tuple[tuple[str, bool], ...]
    version: Version
    way: Forced
    key: tuple[str, ...]


@dataclass(frozen=True)
class Story:
    first: Version
    steps: tuple[Step, ...]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    first = version = draw(versions())
    steps = []
    for _ in range(draw(st.integers(1, 3))):
        edit = st.tuples(st.sampled_from(sorted(EDITS)), st.booleans())
        edits = draw(st.lists(edit, max_size=3)) if draw(st.booleans()) else []
        version = draw(next_versions(version, may_change_columns=True))
        keys = st.lists(st.sampled_from("abc"), max_size=2, unique=True)
        steps.append(Step(tuple(edits), version, draw(st.sampled_from(Forced)), tuple(draw(keys))))
    return Story(first, tuple(steps))


@dataclass
class Ground:
    """The database of all examples, and a loop to use it from."""

    runner: asyncio.Runner
    applying: Applying
    owner: AsyncConnection
    without_triggers: AsyncConnection
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def folder(self) -> Path:
        return self.applying.scratch

    async def edit(self, table: Table, columns: list[str], name: str, *, triggers: bool) -> None:
        statement = EDITS[name]
        if "{c}" in statement and not columns:
            return
        user = self.owner if triggers else self.without_triggers
        text = statement.format(
            t=f"alice.{table.name}",
            name=await self._key_name(table),
            c=columns[0] if columns else "",
            n=next(self.numbers),
        )
        # Who chose ids by hand may find the sequence's next ones taken: then his own statement
        # fails, and changes nothing.
        with suppress(UniqueViolation):
            await user.execute(text.encode())

    async def _key_name(self, table: Table) -> str:
        """The primary key's name less its ending; it outlives a renaming of the table."""
        cursor = await self.owner.execute(
            "SELECT conname FROM pg_constraint WHERE contype = 'p' AND conrelid = %s",
            [table.relation_oid],
        )
        row = await cursor.fetchone()
        assert row is not None
        return str(row[0]).removesuffix("_pkey")

    async def names_of(self, table: Table) -> set[str]:
        cursor = await self.owner.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s AND NOT attisdropped",
            [table.relation_oid],
        )
        return {row[0] for row in await cursor.fetchall()}

    async def table(self, applied: Applied) -> Table:
        found = await self.applying.find(applied)
        assert found is not None
        return found

    async def stored(self, applied: Applied, layer: TypedLayer) -> list[Stored]:
        async with self.applying.pool.connection() as connection:
            return await read_stored(connection, await self.table(applied), layer.columns)

    async def check(self, applied: Applied, layer: TypedLayer) -> None:
        """The table equals the file, and so does what is remembered of it."""
        table = await self.table(applied)
        async with self.applying.pool.connection() as connection:
            stored = await read_stored(connection, table, layer.columns)
            file = await read_file(connection, layer)
            assert Counter(row.content for row in stored) == Counter(file)
            assert len({row.id for row in stored}) == len(stored)
            await assert_remembered(connection, table, layer, stored, file)
            assert applied.rows.total == table.row_count == len(file)
            vanished = {c.name for c in applied.columns} - {c.name for c in layer.columns}
            for name in vanished:
                assert not await self.applying.rows(
                    f'SELECT FROM alice.{table.name} WHERE "{name}" IS NOT NULL'
                )

    async def drop(self, applied: Applied) -> None:
        table = await self.table(applied)
        await self.applying.execute(f"DROP TABLE alice.{table.name}", "DELETE FROM tables")


@pytest.fixture(scope="module")
def ground(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with clone_database(cluster) as url, asyncio.Runner() as runner:
        name = url.partition("?")[0].rpartition("/")[2]
        owner = runner.run(AsyncConnection.connect(url, autocommit=True))
        above = runner.run(
            AsyncConnection.connect(cluster.superuser_url(database=name), autocommit=True)
        )
        runner.run(_run(above, "SET session_replication_role = replica"))
        pool = create_pool(url, application_name="tests")
        runner.run(pool.open())
        applying = runner.run(_prepare(pool, tmp_path_factory.mktemp("versions")))
        yield Ground(runner, applying, owner, above)
        for opened in (owner, above, pool):
            runner.run(opened.close())


async def _run(connection: AsyncConnection, statement: str) -> None:
    await connection.execute(statement.encode())


async def _prepare(pool: Pool, folder: Path) -> Applying:
    async with pool.connection() as connection:
        account, _ = await create_account(connection, name="alice")
    return Applying(pool=pool, account=account, scratch=folder)


async def forget(ground: Ground, applied: Applied) -> None:
    """Let the next refresh find signatures that it cannot compare with."""
    await ground.applying.execute(
        f"UPDATE table_states SET signature_tag = 'other' WHERE table_id = '{applied.table.id}'"
    )


async def refreshed(
    ground: Ground, layer: TypedLayer, before: Applied, way: Forced, key: tuple[str, ...] = ()
) -> Applied:
    """The table refreshed by this way."""
    with pytest.MonkeyPatch.context() as patch:
        if way is Forced.FULL_COMPARE:
            await forget(ground, before)
        if way is Forced.REWRITE:
            prefer_rewrite(patch)
        applied = await ground.applying.refresh(layer, before, key=key)
    if way is Forced.REWRITE:
        assert applied.way is Way.REWRITE
    return applied


async def refreshed_by_signatures_alone(
    ground: Ground, layer: TypedLayer, before: Applied
) -> Applied:
    """The table refreshed where a full compare would be an error."""

    async def never(*_: object, **__: object) -> None:
        raise AssertionError("the kept signatures were not used")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("synctables.importer.apply.find.load_in_full", never)
        return await ground.applying.refresh(layer, before)


def assert_untouched(before: list[Stored], after: list[Stored], *, in_place: bool) -> None:
    """Of equal rows, as many are still what they were as both versions have."""
    places: list[dict[str, set[object]]] = [defaultdict(set), defaultdict(set)]
    for rows, found in zip((before, after), places, strict=True):
        for row in rows:
            found[row.content].add(
                (row.id, row.ctid if in_place else "", row.xmin if in_place else 0)
            )
    for content, old in places[0].items():
        new = places[1][content]
        assert len(old & new) == min(len(old), len(new))


async def play(ground: Ground, story: Story) -> None:
    version, layer = story.first, story.first.write(ground.folder)
    applied = await ground.applying.create(layer, f"t{next(ground.numbers)}")
    await ground.check(applied, layer)
    for step in story.steps:
        table = await ground.table(applied)
        for name, triggers in step.edits:
            ours = {column.name for column in applied.columns} & await ground.names_of(table)
            await ground.edit(table, sorted(ours), name, triggers=triggers)
            table = await ground.table(applied)
        is_only_upkeep = {name for name, _ in step.edits} <= UPKEEP.keys()
        layer = step.version.write(ground.folder)
        compares = is_only_upkeep and step.version.types == version.types
        before = await ground.stored(applied, layer) if compares else []
        applied = await refreshed(ground, layer, applied, step.way, step.key)
        await ground.check(applied, layer)
        if compares:
            after = await ground.stored(applied, layer)
            assert_untouched(before, after, in_place=applied.way is Way.DELTA)
        version = step.version
    await assert_settled(ground, applied, layer)
    await ground.drop(applied)


async def assert_settled(ground: Ground, applied: Applied, layer: TypedLayer) -> None:
    """The same version once more finds the state that the last refresh left, and writes nothing."""
    before = await ground.stored(applied, layer)
    again = await refreshed_by_signatures_alone(ground, layer, applied)
    assert again.way is Way.DELTA
    assert not again.rows.changed
    assert not again.schema_changes
    assert sorted(before, key=lambda row: row.id) == sorted(
        await ground.stored(again, layer), key=lambda row: row.id
    )


@settings(max_examples=EXAMPLES)
@given(story=stories())
def test_the_table_equals_the_file_whatever_happened(ground: Ground, story: Story) -> None:
    ground.runner.run(play(ground, story))


@settings(max_examples=EXAMPLES)
@given(data=st.data(), first=versions(), key=st.lists(st.sampled_from("abc"), max_size=1))
def test_all_ways_give_the_same_rows_the_same_ids(
    ground: Ground, data: st.DataObject, first: Version, key: list[str]
) -> None:
    second = data.draw(next_versions(first, may_change_columns=False))
    layers = [version.write(ground.folder) for version in (first, second)]

    async def contents(way: Forced) -> dict[int, str]:
        before = await ground.applying.create(layers[0], f"t{next(ground.numbers)}")
        applied = await refreshed(ground, layers[1], before, way, tuple(key))
        await ground.check(applied, layers[1])
        found = {row.id: row.content for row in await ground.stored(applied, layers[1])}
        await ground.drop(applied)
        return found

    by_signatures, in_full, rewritten = (ground.runner.run(contents(way)) for way in Forced)
    assert by_signatures == in_full == rewritten
