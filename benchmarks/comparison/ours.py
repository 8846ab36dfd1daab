"""Synctables as its users have it: POST, PUT sync_now, and looking until the state says success."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from psycopg import sql

from comparison.bench import Bench
from comparison.contestants import Parts
from comparison.digests import check
from comparison.editions import Edition

INTERVAL_SECONDS = 30 * 24 * 3600
"""No run but those that are asked for."""

LOOK_SECONDS = 0.02
RUN_SECONDS = 3600.0

_SYNCS = "/api/v1/synchronizations"

_LAST_REPORT = """
    SELECT report FROM synctables.runs WHERE sync_id = %s AND finished_at IS NOT NULL
    ORDER BY finished_at DESC LIMIT 1"""

_FILE_NODE = "SELECT relfilenode::bigint FROM pg_class WHERE oid = %s::regclass"


class RunFailedError(Exception):
    """A run of ours ended otherwise than with success."""


class NotRewrittenError(Exception):
    """A refresh that was to show what a rewrite costs changed the table in place."""


class Ours:
    """One sync, followed through the API.

    While ``must_rewrite`` is set, `check` wants another file on disk under the table each time.
    """

    name = "Synctables"
    remark = ""
    is_slow = False

    def __init__(self, bench: Bench, *, label: str, options: Mapping[str, object] | None = None):
        self._bench = bench
        self._label = label
        self._options = dict(options or {})
        self._sync_id: str | None = None
        self._table_name: str | None = None
        self._checked_node: int | None = None
        self.must_rewrite = False

    @property
    def sync_id(self) -> str:
        assert self._sync_id is not None
        return self._sync_id

    @property
    def table(self) -> sql.Identifier:
        """The table by its present name, in the schema of the first account."""
        assert self._table_name is not None
        return sql.Identifier("main", self._table_name)

    def create(self, edition: Edition) -> Parts:
        body = {"url": self._publish(edition), "interval": INTERVAL_SECONDS, **self._options}
        self._sync_id = str(self._bench.service.call("POST", _SYNCS, body)["id"])
        self._table_name = str(self._await_end()["name"])
        return self._stage_seconds()

    def refresh(self, edition: Edition) -> Parts:
        self._publish(edition)
        answer = self._bench.service.call("PUT", f"{_SYNCS}/{self._sync_id}/sync_now", {})
        if not answer["enqueued"]:
            raise RunFailedError(f"sync_now was refused: {answer}")
        self._await_end()
        return self._stage_seconds()

    def check(self, edition: Edition) -> None:
        """Raises `NotRewrittenError` too."""
        node = self.file_node()
        if self.must_rewrite and node == self._checked_node:
            raise NotRewrittenError("apply changed the table in place")
        self._checked_node = node
        check(self._bench.owner, self.table, edition.digest)

    def drop(self) -> None:
        if self._sync_id is None:
            return
        self._bench.service.call("DELETE", f"{_SYNCS}/{self._sync_id}")
        self._bench.owner.execute(sql.SQL("DROP TABLE {}").format(self.table))
        self._sync_id = self._table_name = None

    def file_node(self) -> int:
        """Where the table's rows stand on disk: another one after a rewrite."""
        answer = self._bench.owner.execute(_FILE_NODE, [self.table.as_string()]).fetchone()
        assert answer is not None
        return int(answer[0])

    def _publish(self, edition: Edition) -> str:
        name = f"{self._label}.{edition.format}"
        return self._bench.server.publish(name, edition.path)

    def _await_end(self) -> dict[str, Any]:
        deadline = time.monotonic() + RUN_SECONDS
        while time.monotonic() < deadline:
            sync: dict[str, Any] = self._bench.service.call("GET", f"{_SYNCS}/{self._sync_id}")
            if sync["state"] == "success":
                return sync
            if sync["state"] == "failure":
                raise RunFailedError(f"{sync['error_code']}: {sync['error_message']}")
            self._bench.service.ensure_running()
            time.sleep(LOOK_SECONDS)
        raise RunFailedError(f"no end within {RUN_SECONDS:.0f} s")

    def _stage_seconds(self) -> Parts:
        row = self._bench.owner.execute(_LAST_REPORT, [self._sync_id]).fetchone()
        report: dict[str, Any] = row[0] if row else {}
        return {name: float(took) for name, took in report.get("stage_seconds", {}).items()}
