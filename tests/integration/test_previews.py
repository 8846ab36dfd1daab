"""Previews over real HTTP, with a real worker: what they say, and that nothing comes of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.file_server import FileServer
from tests.support.previewing import Client

CSV = b"name,lat,lon,size\nOslo,59.91,10.75,700000\nBergen,60.39,5.32,280000\nMolde,62.74,7.16,\n"
CHANGED = (
    b"name,lat,lon,size\nOslo,59.91,10.75,709000\nBergen,60.39,5.32,280000\nVoss,60.63,6.42,6000\n"
    b"Hamar,60.79,11.07,32000\n"
)


async def test_an_address_is_previewed_before_there_is_a_table(
    client: Client, file_server: FileServer
) -> None:
    url = file_server.put("/cities.csv", CSV, etag='"v1"')
    result = await client.preview_address(url, interval=3600)

    assert (result["way"], result["table_name"]) == ("create", "cities")
    assert (result["is_modified"], result["bytes"], result["etag"]) == (None, len(CSV), '"v1"')
    assert result["rows"] == {"inserted": 3, "updated": 0, "deleted": 0, "unchanged": 0}
    assert [(c["name"], c["type"]) for c in result["columns"]] == [
        ("name", "text"),
        ("lat", "double precision"),
        ("lon", "double precision"),
        ("size", "bigint"),
    ]
    assert all(column["reason"] for column in result["columns"])
    assert result["first_rows"][0] == {
        "row": 1,
        "values": {
            "the_geom": {"type": "Point", "coordinates": [10.75, 59.91]},
            "name": "Oslo",
            "lat": 59.91,
            "lon": 10.75,
            "size": 700000,
        },
    }
    assert {"delimiter", "encoding"} <= {decision["subject"] for decision in result["decisions"]}
    assert result["refusals"] == []
    assert await client.desk.rows("SELECT count(*) FROM tables") == [(0,)]
    assert await client.desk.rows("SELECT count(*) FROM runs") == [(0,)]
    assert await client.desk.rows("SELECT count(*) FROM syncs") == [(0,)]
