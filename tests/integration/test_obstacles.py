"""What PostgreSQL refuses without saying whose fault it is: the policy or publication is named."""

from __future__ import annotations

import re

import pytest

from synctables.errors import CannotChangeTableError
from synctables.importer.apply import Applied, coded_table_errors
from synctables.importer.apply.foresee import foresee
from synctables.importer.apply.model import Way
from tests.support.applying import Applying
from tests.support.file_server import FileServer
from tests.support.forcing import prefer_rewrite
from tests.support.layers import MakeLayer
from tests.support.rewriting import CITIES, POINTS, TYPES
from tests.support.workers import Desk

NEW_CITIES = [("Oslo", 717_710, "a"), ("Bergen", 280_000, "b"), ("Tromsø", 77_000, "e")]
ROWS = "SELECT name, size, code FROM alice.cities ORDER BY code"
FORCED = (
    "ALTER TABLE alice.cities ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE alice.cities FORCE ROW LEVEL SECURITY",
)
ENDED = "ALTER TABLE alice.cities NO FORCE ROW LEVEL SECURITY"
POLICIES = {
    "one for everybody": (("CREATE POLICY \"Large\" ON alice.cities USING (size > 9)",),
                          'policy "Large"'),
    "two, one of them for others": (
        (
            "CREATE ROLE eve",
            "CREATE POLICY a ON alice.cities USING (true)",
            "CREATE POLICY b ON alice.cities FOR DELETE TO eve USING (true)",
        ),
        "policy a, policy b",
    ),
    "none, which lets nobody in": ((), "there is no policy"),
}  # fmt: skip


@pytest.fixture(params=[Way.DELTA, Way.REWRITE])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Way:
    """The way that is taken where nothing hinders it."""
    if request.param is Way.REWRITE:
        prefer_rewrite(monkeypatch)
    return Way(request.param)


@pytest.fixture
async def before(applying: Applying, make_layer: MakeLayer) -> Applied:
    return await applying.create(make_layer(TYPES, CITIES, POINTS))


@pytest.mark.parametrize(("statements", "named"), POLICIES.values(), ids=POLICIES)
async def test_a_policy_that_holds_for_the_owner_too_is_named(
    applying: Applying,
    make_layer: MakeLayer,
    before: Applied,
    way: Way,
    statements: tuple[str, ...],
    named: str,
) -> None:
    await applying.execute(*statements, *FORCED)
    layer = make_layer(TYPES, NEW_CITIES, POINTS[:3])
    with pytest.raises(CannotChangeTableError, match=re.escape(f": {named}. Exempt")) as refused:
        await applying.refresh(layer, before)
    assert f"with {ENDED}." in str(refused.value)
    # Nothing was written, and what the message advises helps.
    await applying.execute(ENDED)
    assert await applying.rows(ROWS) == sorted(CITIES, key=lambda city: str(city[2]))
    assert (await applying.refresh(layer, before)).way is way
    assert await applying.rows(ROWS) == NEW_CITIES


async def test_a_preview_names_the_policy_too(
    applying: Applying, make_layer: MakeLayer, before: Applied
) -> None:
    await applying.execute("CREATE POLICY large ON alice.cities USING (size > 9)", *FORCED)
    live = await applying.find(before)
    assert live is not None
    with pytest.raises(CannotChangeTableError, match="policy large"):
        async with coded_table_errors(applying.pool, live):
            await foresee(
                applying.pool,
                make_layer(TYPES, NEW_CITIES, POINTS[:3]),
                applying.target_of(before, live),
                scratch=applying.scratch,
                on_rows=lambda _: None,
            )


@pytest.mark.usefixtures("worker")
async def test_a_forced_run_names_the_policy_although_the_source_is_unchanged(
    desk: Desk, file_server: FileServer
) -> None:
    sync, _ = await desk.add(file_server.put("/cities.csv", b"name\nOslo\n", etag='"v1"'))
    for statement in ("CREATE POLICY large ON alice.cities USING (true)", *FORCED):
        await desk.execute(statement)
    _, run = await desk.force(sync.id)
    assert run.error_code == 2013
    assert "policy large. Exempt" in await desk.log(sync.log_id)


PUBLISHED = {
    "columns without the key": (
        "CREATE PUBLICATION narrow FOR TABLE alice.cities (name, size)",),
    "not all columns, where all tell a row apart": (
        "CREATE PUBLICATION narrow FOR TABLE alice.cities (cartodb_id, name)",
        "ALTER TABLE alice.cities REPLICA IDENTITY FULL",
    ),
    "rows chosen by another column": (
        "CREATE PUBLICATION narrow FOR TABLE alice.cities WHERE (size > 9)",),
    "nothing tells rows apart": (
        "CREATE PUBLICATION narrow FOR TABLE alice.cities",
        "ALTER PUBLICATION plain DROP TABLE alice.cities",
        "ALTER TABLE alice.cities REPLICA IDENTITY NOTHING",
    ),
}  # fmt: skip


@pytest.mark.parametrize("statements", PUBLISHED.values(), ids=PUBLISHED)
async def test_a_publication_that_cannot_follow_changed_rows_is_named(
    applying: Applying, make_layer: MakeLayer, before: Applied, statements: tuple[str, ...]
) -> None:
    innocent = "CREATE PUBLICATION {} FOR TABLE alice.cities"
    await applying.execute(
        innocent.format("plain"),
        innocent.format("inserts") + " WITH (publish = insert)",
        *statements,
    )
    rows = await applying.rows("SELECT ctid, * FROM alice.cities")
    layer = make_layer(TYPES, NEW_CITIES, POINTS[:3])
    with pytest.raises(CannotChangeTableError, match=r"In the way: publication narrow\. Let"):
        await applying.refresh(layer, before)
    assert await applying.rows("SELECT ctid, * FROM alice.cities") == rows
    await applying.execute("DROP PUBLICATION narrow")
    assert (await applying.refresh(layer, before)).way is Way.DELTA


async def test_a_trigger_that_meets_a_publication_elsewhere_keeps_its_own_words(
    applying: Applying, make_layer: MakeLayer, before: Applied
) -> None:
    await applying.execute(
        "CREATE TABLE alice.counts (n int)",
        "INSERT INTO alice.counts VALUES (0)",
        "CREATE FUNCTION alice.tally() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN UPDATE alice.counts SET n = n + 1; RETURN NULL; END $$",
        "CREATE TRIGGER tally AFTER UPDATE ON alice.cities EXECUTE FUNCTION alice.tally()",
        "CREATE PUBLICATION narrow FOR TABLE alice.cities WHERE (cartodb_id > 9), alice.counts",
    )
    with pytest.raises(CannotChangeTableError, match='"counts"') as refused:
        await applying.refresh(make_layer(TYPES, NEW_CITIES, POINTS[:3]), before)
    assert "In the way" not in str(refused.value)
