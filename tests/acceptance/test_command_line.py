"""The commands beside a running ``serve``, with a worker that does the work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.file_server import FileServer
    from tests.support.serve_process import ServeProcess

_CITIES = b"name,latitude,longitude\nJena,50.93,11.59\nWeimar,50.98,11.33\n"
_MORE = _CITIES + b"Gera,50.88,12.08\n"


def test_a_user_adds_refreshes_imports_and_removes(
    serve: Callable[..., ServeProcess],
    file_server: FileServer,
    database_url: str,
    tmp_path: Path,
) -> None:
    server = serve(ALLOWED_NETWORKS="127.0.0.0/8", SYNC_NOW_SECONDS="0")
    url = file_server.put("/cities.csv", _CITIES, etag='"v1"')

    added = server.command("add", url, "--interval", "1h", "--wait")
    assert added.returncode == 0, added.stderr
    assert added.stdout.startswith("cities equals its source; next look at ")
    assert added.stderr == ""

    file_server.put("/cities.csv", _MORE, etag='"v2"')
    refreshed = server.command("sync", "cities", "--wait")
    assert (refreshed.returncode, refreshed.stdout) == (0, "cities equals its source.\n")
    assert _count(database_url, "cities") == 3

    shown = json.loads(server.command("show", "cities", "--json").stdout)
    assert (shown["state"], shown["retried_times"]) == ("success", 0)

    assert server.command("remove", "cities").returncode == 0
    assert _count(database_url, "cities") == 3

    good, bad = tmp_path / "towns.csv", tmp_path / "page.html"
    good.write_bytes(_CITIES)
    imported = server.command("import", str(good), "--table", "places")
    assert (imported.returncode, imported.stdout) == (0, "Imported places.\n"), imported.stderr
    assert _count(database_url, "places") == 2

    bad.write_text("<!doctype html><html><body>Please log in</body></html>")
    refused = server.command("import", str(bad))
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: 2103 A web page instead of data. ")
    assert refused.stderr.count("\n") == 1


def _count(database_url: str, table: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute(f'SELECT count(*) FROM main."{table}"'.encode()).fetchone()
    assert row is not None
    count: int = row[0]
    return count
