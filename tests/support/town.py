"""A table that others hang on, and its refresh: one row grows, one goes, one comes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from synctables.importer.apply import Applied
from synctables.importer.apply.model import Way
from tests.support.applying import Applying
from tests.support.forcing import prefer_rewrite
from tests.support.layers import MakeLayer
from tests.support.rewriting import CITIES, POINTS, TYPES

NEW_CITIES = [("Oslo", 717_710, "a"), ("Bergen", 280_000, "b"), ("Tromsø", 77_000, "e"),
              (None, 1, "d")]  # fmt: skip
"""Oslo (1) grew, Bodø (3) went, Tromsø came in between; the rows 2 and 4 stay."""


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
