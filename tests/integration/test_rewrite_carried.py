"""A rewrite carries what hangs on the table: pg_dump says the same before and after, word by word.

Each case is what a user did to the table; the rewrite then changes one row, drops one and adds one.
"""

from __future__ import annotations

import pytest

from tests.support.carried import CARRIED
from tests.support.rewriting import CITIES, Rewriting

NEW_CITIES = [("Oslo", 717_710, "a"), ("Bergen", 280_000, "b"), ("Tromsø", 77_000, "e")]
NEW_IDS = (1, 2, 7)


@pytest.mark.parametrize("statements", CARRIED.values(), ids=CARRIED)
async def test_a_rewrite_carries(cities: Rewriting, statements: tuple[str, ...]) -> None:
    await cities.run(*statements)
    before = await cities.describe()
    await cities.rewrite(NEW_CITIES, ids=NEW_IDS)

    assert await cities.describe() == before
    assert await cities.rows(
        "SELECT cartodb_id, name, size, code FROM alice.cities ORDER BY 1"
    ) == [(id_, *city) for id_, city in zip(NEW_IDS, NEW_CITIES, strict=True)]
    assert await cities.left_behind() == []


async def test_a_second_rewrite_carries_what_the_first_made(cities: Rewriting) -> None:
    for case in (
        "indexes, by name",
        "rights",
        "comments",
        "triggers and their states",
        "policies",
        "columns of users' own",
        "a foreign key from another table",
        "views and views of views",
    ):
        await cities.run(*CARRIED[case])
    before = await cities.describe()
    await cities.rewrite()
    await cities.rewrite(CITIES[:2], ids=(1, 2))

    assert await cities.describe() == before
