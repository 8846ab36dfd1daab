"""What the service says of its syncs, and what the tables really hold, read with SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

Connection = psycopg.Connection[dict[str, Any]]

_STATUSES = """
SELECT s.id::text, s.state, s.error_code, s.error_message, s.ran_at, s.run_at,
       s.log_id::text, t.schema_name, t.name AS table_name, t.row_count,
       done.count AS applied_count, last.report
FROM synctables.syncs AS s
LEFT JOIN synctables.tables AS t ON t.id = s.table_id
CROSS JOIN LATERAL (
    SELECT count(*) FROM synctables.runs AS r WHERE r.sync_id = s.id AND r.outcome = 'success'
) AS done
LEFT JOIN LATERAL (
    SELECT r.report FROM synctables.runs AS r
    WHERE r.sync_id = s.id AND r.outcome = 'success'
    ORDER BY r.finished_at DESC LIMIT 1
) AS last ON true
"""

_LOG = """
SELECT coalesce(stage, '-') AS stage, message FROM synctables.log_entries
WHERE log_id = %s ORDER BY id
"""

_CONTENTS = """
SELECT count(*) AS row_count, count(the_geom) AS geometry_count,
       coalesce(sum(edition::text::bigint), 0)::bigint AS edition_sum
FROM {table}
"""


@dataclass(frozen=True, kw_only=True)
class Status:
    """One sync: how it stands, and what its last applied run did."""

    id: str
    state: str
    error_code: int | None
    error_message: str | None
    ran_at: datetime
    run_at: datetime
    log_id: str
    schema_name: str | None
    table_name: str | None
    row_count: int | None
    applied_count: int
    report: Mapping[str, Any] | None = field(repr=False)

    @property
    def has_ended(self) -> bool:
        """No run is waiting or under way."""
        return self.state in ("success", "failure")

    @property
    def refreshed_count(self) -> int:
        """How often a new version was applied, the first import not counted."""
        return max(0, self.applied_count - 1)

    def rows_of_last_run(self, what: str) -> int:
        """Rows ``inserted``, ``updated`` or ``deleted`` by the last run that changed the table."""
        rows = (self.report or {}).get("rows", {})
        return int(rows.get(what, 0))


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Enough of a table's contents to tell one edition of the file from another."""

    row_count: int
    geometry_count: int
    edition_sum: int


def connect(database_url: str) -> Connection:
    """A connection of the database's owner; each statement its own transaction."""
    return psycopg.connect(database_url, autocommit=True, row_factory=dict_row)


def read_statuses(connection: Connection) -> dict[str, Status]:
    """All syncs by id."""
    rows = connection.execute(_STATUSES).fetchall()
    return {row["id"]: Status(**row) for row in rows}


def read_contents(connection: Connection, *, schema_name: str, table_name: str) -> Contents:
    """What the table holds right now."""
    table = sql.Identifier(schema_name, table_name)
    row = connection.execute(sql.SQL(_CONTENTS).format(table=table)).fetchone()
    assert row is not None  # noqa: S101  # an aggregate always gives one row
    return Contents(**row)


def read_log(connection: Connection, *, log_id: str) -> list[str]:
    """The log of a sync, a line each."""
    rows = connection.execute(_LOG, (log_id,)).fetchall()
    return [f"{row['stage']}: {row['message']}" for row in rows]
