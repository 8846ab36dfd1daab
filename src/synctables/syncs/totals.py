"""What is counted for whoever watches the service: in the transaction that makes it true.

The sums live in the database, not in a process. So every API process can tell them, no restart
loses them, and records that are forgotten after a month do not count backwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

from synctables.syncs.repository import Connection

SHARDS = 16
"""Rows that one sum is spread over, so that runs which end together seldom wait for each other."""

# In one order for everybody, against deadlocks.
_ADD = """
INSERT INTO totals (name, label, shard, value)
SELECT name, label, %(shard)s, value
FROM unnest(%(names)s::text[], %(labels)s::text[], %(values)s::float8[]) AS new (name, label, value)
ORDER BY name, label
ON CONFLICT (name, label, shard) DO UPDATE SET value = totals.value + excluded.value
"""

_READ = "SELECT name, label, sum(value) AS value FROM totals GROUP BY name, label"


class Total(StrEnum):
    """What is counted, and by which label."""

    RUNS = "runs"
    """Ended, by outcome."""
    IMPORTS = "imports"
    """Plain imports that ended, by outcome."""
    ERRORS = "errors"
    """Runs and imports that failed, by code."""
    CHECKS = "checks"
    """Syncs that were asked whether their source changed, by what came of it."""
    ROWS = "rows"
    """By what was done to them: inserted, updated, deleted."""
    BYTES = "bytes"
    """Of files that were imported."""
    STAGE_SECONDS = "stage_seconds"
    """By stage."""
    STAGES = "stages"
    """How often a stage was gone through, by stage."""


async def add(
    connection: Connection, counted: Mapping[tuple[Total, str], float], *, by: UUID
) -> None:
    """Add what was counted, by total and label; ``by``: whatever counted it, to choose a shard.

    Its rows are locked until the transaction ends: add last, before the fence.
    """
    counted = {key: value for key, value in counted.items() if value}
    await connection.execute(
        _ADD,
        {
            "shard": by.int % SHARDS,
            "names": [name.value for name, _ in counted],
            "labels": [label for _, label in counted],
            "values": [float(value) for value in counted.values()],
        },
    )


async def read_totals(connection: Connection) -> dict[Total, dict[str, float]]:
    """Every total by its labels; those of other versions are left out."""
    totals: dict[Total, dict[str, float]] = {total: {} for total in Total}
    cursor = await connection.execute(_READ)
    for row in await cursor.fetchall():
        if row["name"] in totals:
            totals[Total(row["name"])][row["label"]] = row["value"]
    return totals
