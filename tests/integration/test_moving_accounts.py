"""An account that moves to another server, by the very lines of the page that describes it."""

from __future__ import annotations

import os
import re
import subprocess
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from synctables.localpg import LocalCluster
from synctables.localpg.binaries import find_binaries
from synctables.settings import Settings
from synctables.syncs.model import SyncState
from tests.conftest import clone_database
from tests.support.file_server import FileServer
from tests.support.workers import Desk, open_desk, running_worker

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "scale.md"
OLD = b"name,size\nOslo,1\nBergen,2\n"
NEW = b"name,size\nOslo,1\nBergen,3\nVoss,4\n"
CONTENT = "SELECT cartodb_id, name, size FROM alice.a ORDER BY 1"


def blocks() -> list[str]:
    found = re.findall(r"^ *```sh\n(.*?)^ *```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for block in found]


def run(block: str, *, folder: Path, **addresses: str) -> str:
    programs = find_binaries().bin_dir
    environment = os.environ | {
        "NAME": "alice", "PATH": f"{programs}:{os.environ['PATH']}", "PSQLRC": os.devnull,
    } | addresses  # fmt: skip
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        env=environment, cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_an_account_moves_and_its_syncs_go_on_where_they_were(
    desk: Desk,
    file_server: FileServer,
    settings: Settings,
    cluster: LocalCluster,
    database_url: str,
    short_dir: Path,
    tmp_path: Path,
) -> None:
    put_off, count_open, copy, go_on = blocks()
    async with running_worker(settings, database_url, short_dir):
        before, _ = await desk.add(file_server.put("/a.csv", OLD, etag='"1"'))
    log = await desk.log(before.log_id)
    with clone_database(cluster) as new_url:
        # The role of the account's readers is the cluster's, so here it is there already.
        admin = cluster.superuser_url()
        addresses = {
            "OLD": database_url, "NEW": new_url, "OLD_ADMIN": admin, "NEW_ADMIN": admin
        }  # fmt: skip
        for block in (put_off, copy, go_on):
            if block is copy:
                assert run(count_open, folder=tmp_path, **addresses) == "0\n"
                (paused,) = await desk.rows("SELECT put_off_until, state FROM syncs")
                assert paused[1] == "success"
                assert timedelta(hours=22) < paused[0] - datetime.now(UTC) < timedelta(days=1)
            run(block, folder=tmp_path, **addresses)
        async with open_desk(new_url, settings, account=desk.account) as moved:
            assert await moved.sync(before.id) == before
            assert await moved.log(before.log_id) == log
            file_server.put("/a.csv", NEW, etag='"2"')
            async with running_worker(settings, new_url, short_dir):
                after, run_of_it = await moved.force(before.id)
            assert (after.state, run_of_it.error_code) == (SyncState.SUCCESS, None)
            assert await moved.rows(CONTENT) == [(1, "Oslo", 1), (2, "Bergen", 3), (3, "Voss", 4)]
    with psycopg.connect(database_url) as connection:
        left = connection.execute(
            "SELECT (SELECT count(*) FROM synctables.syncs), to_regnamespace('alice')"
        ).fetchone()
    assert left == (0, None)
