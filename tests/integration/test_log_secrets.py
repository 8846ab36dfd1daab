"""Secrets at every place of a run: none of them is logged, none stands in a record of what went on.

What must keep an address keeps it: the columns from which the next run reads it.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import psycopg.sql
import requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.file_server import FileServer
    from tests.support.serve_process import ServeProcess

SECRETS = ("s3cretUSER", "s3cretWORD", "s3cretKEY", "s3cretTOKEN", "s3cretFRAG", "s3cretBODY")
ADDRESS_COLUMNS = {"url", "service_item_id"}
RUN_KEYS = {"run_id", "sync_id", "stage"}


def with_secrets(url: str) -> str:
    query = "api_key=s3cretKEY&access_token=s3cretTOKEN&code=s3cretTOKEN"
    return url.replace("://", "://s3cretUSER:s3cretWORD@") + f"?{query}#s3cretFRAG"


def test_no_secret_is_logged_or_kept_and_every_line_of_a_run_says_whose_it_is(
    serve: Callable[..., ServeProcess], database_url: str, file_server: FileServer, tmp_path: Path
) -> None:
    server = serve(
        LOG_LEVEL="DEBUG", LOG_JSON="true", ALLOWED_NETWORKS="127.0.0.0/8", SYNC_NOW_SECONDS="0"
    )
    secret_body = b'{"error": "api_key=s3cretBODY", "password": "s3cretBODY"}'
    file_server.put("/ok.csv", b"id,name\n1,a\n")
    file_server.put("/broken.geojson", b'{"type": "FeatureCollection", "features": 3}')
    file_server.put("/forbidden.csv", secret_body, status=403)
    file_server.put("/busy.csv", secret_body, status=503, headers={"Retry-After": "9"})
    file_server.put("/page.csv", b"<html>" + secret_body, content_type="text/html")
    file_server.redirect("/moved.csv", to="/forbidden.csv?access_token=s3cretTOKEN")
    names = ("ok.csv", "broken.geojson", "forbidden.csv", "busy.csv", "page.csv", "moved.csv")
    urls = [with_secrets(file_server.url(f"/{name}")) for name in names]
    urls.append(with_secrets("http://no-such-host.invalid/a.csv"))
    urls.append(with_secrets("http://10.0.0.1/blocked.csv"))
    key = server.api_key

    def call(method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(
            method, f"{server.address}/api/v1/{path}", timeout=60,
            headers={"Authorization": f"Bearer {key}"}, **options,
        )  # fmt: skip

    ids = [call("POST", "synchronizations", json={"url": url}).json()["id"] for url in urls]
    call("GET", "imports/service/gdrive/validate_code/s3cretTOKEN")
    call("GET", "imports/service/gdrive/oauth_callback/?code=s3cretTOKEN&state=s3cretKEY")
    for sync_id in ids:
        wait_until_settled(call, sync_id)
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line[:1] == "{"]
    assert server.stop() == 0

    for secret in (*SECRETS, key):
        assert secret not in server.log.read_text(), secret
    ended = {line["sync_id"]: line for line in lines if line["event"] == "run_ended"}
    assert set(ended) == set(ids)
    assert [ended[sync_id]["outcome"] for sync_id in ids].count("success") == 1
    of_runs = [line for line in lines if line.get("run_id")]
    assert of_runs
    assert [line for line in of_runs if not line.keys() >= RUN_KEYS] == []
    assert {"stage_began", "run_ended"} <= {line["event"] for line in of_runs}

    kept = read_everything(database_url)
    assert "s3cret" in str(kept)  # addresses are kept, so this looks at the right place
    for (table, column), values in kept.items():
        if column not in ADDRESS_COLUMNS:
            assert not [v for v in values if "s3cret" in v or key in v], (table, column)


SETTLE_SECONDS = 90.0


def wait_until_settled(call: Callable[..., requests.Response], sync_id: str) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        state = call("GET", f"synchronizations/{sync_id}").json()["state"]
        if state in ("success", "failure"):
            return
    raise AssertionError("the sync did not settle")


def read_everything(database_url: str) -> dict[tuple[str, str], list[str]]:
    """Every value of every table, as text, those of the queue and of users included."""
    found = {}
    with psycopg.connect(database_url) as connection:
        columns = connection.execute(
            "SELECT table_schema, table_name, column_name FROM information_schema.columns"
            " JOIN information_schema.tables USING (table_schema, table_name)"
            " WHERE table_type = 'BASE TABLE'"
            " AND table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for schema, table, column in columns:
            rows = connection.execute(
                psycopg.sql.SQL("SELECT {}::text FROM {}").format(
                    psycopg.sql.Identifier(column), psycopg.sql.Identifier(schema, table)
                )
            ).fetchall()
            found[table, column] = [text for (text,) in rows if text is not None]
    return found
