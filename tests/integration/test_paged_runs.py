"""A sync of a paged source and of a translated address, from the address to the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synctables.syncs.model import SyncState
from tests.support.arcgis_server import ArcgisServer, trees
from tests.support.portal_server import PortalServer

if TYPE_CHECKING:
    from tests.support.workers import Desk


async def test_a_layer_becomes_a_table_that_follows_it(
    desk: Desk, worker: None, arcgis_server: ArcgisServer
) -> None:
    arcgis_server.layers[0] = trees(250)
    sync, run = await desk.add(arcgis_server.layer_url)
    assert (sync.state, sync.name, sync.url) == (
        SyncState.SUCCESS,
        "trees",
        arcgis_server.layer_url,
    ), run
    [row] = await desk.rows(
        "SELECT count(*), count(DISTINCT objectid), min(planted)::text, min(ST_Y(the_geom))"
        " FROM trees"
    )
    assert row == (250, 250, "1970-01-01 00:00:00+00", 50.5)

    arcgis_server.layers[0][7]["attributes"]["kind"] = "ash"
    _, run = await desk.force(sync.id)
    assert await desk.rows("SELECT count(*) FROM trees WHERE kind = 'ash'") == [(1,)]


async def test_a_sync_goes_on_showing_the_address_that_it_was_given(
    desk: Desk, worker: None, portal_server: PortalServer
) -> None:
    portal_server.resources = [{"format": "CSV", "url": "/files/parks.csv"}]
    url = portal_server.url("/dataset/parks")
    sync, run = await desk.add(url)
    assert (sync.state, sync.name, sync.url) == (SyncState.SUCCESS, "parks", url), run
    assert await desk.rows("SELECT name, trees FROM parks ORDER BY name") == [
        ("North", 3),
        ("South", 5),
    ]
