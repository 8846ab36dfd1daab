"""dlt from PyPI, in an environment of its own (`scripts/bootstrap bench`)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlencode

from psycopg import sql

from comparison.bench import PEERS_SCHEMA, Bench
from comparison.contestants import Parts
from comparison.digests import check
from comparison.editions import Edition
from comparison.rows import KEY

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".venv-bench/bin/python"
_SCRIPT = Path(__file__).with_name("dlthub_script.py")


class Dlthub:
    """One table, replaced or merged by its key; no geometry, no spatial index."""

    is_slow = True

    def __init__(
        self, bench: Bench, *, label: str, disposition: Literal["replace", "merge"]
    ) -> None:
        self._bench = bench
        self._label = label
        self._disposition = disposition
        self.table = sql.Identifier(PEERS_SCHEMA, label)

    @property
    def name(self) -> str:
        return f"dlt {self._disposition}"

    @property
    def remark(self) -> str:
        remark = "no geometry, no index; reads the file from disk"
        if self._disposition == "merge":
            remark += "; keeps rows that the file no longer has"
        return remark

    def create(self, edition: Edition) -> Parts:
        subprocess.run(
            [
                *(str(PYTHON), str(_SCRIPT), str(edition.path), self._label),
                *(self._disposition, KEY, str(self._bench.folder / "dlt")),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            env=os.environ | self._environment(),
        )
        return {}

    refresh = create

    def check(self, edition: Edition) -> None:
        is_merged = self._disposition == "merge"
        expected = edition.merged_attributes if is_merged else edition.attributes
        assert expected is not None
        check(self._bench.owner, self.table, expected)

    def drop(self) -> None:
        self._bench.owner.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(self.table))

    def _environment(self) -> dict[str, str]:
        """dlt wants a host where libpq is content with a socket; the query then wins over it."""
        libpq = self._bench.libpq_environment()
        user = f"{libpq['PGUSER']}:{quote(libpq['PGPASSWORD'], safe='')}"
        place = urlencode({"host": libpq["PGHOST"], "port": libpq["PGPORT"]})
        return {
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "RUNTIME__LOG_LEVEL": "ERROR",
            "DESTINATION__POSTGRES__CREDENTIALS": (
                f"postgresql://{user}@localhost/{libpq['PGDATABASE']}?{place}"
            ),
        }
