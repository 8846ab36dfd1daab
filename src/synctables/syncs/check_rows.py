"""Batches of checks as rows: taking one over, what is in it, and giving it up."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid4

from psycopg.rows import DictRow

from synctables.datasources.base import SourceVersion
from synctables.datasources.lanes import lane_of
from synctables.datasources.source import Source
from synctables.syncs.repository import Connection, read_source

_BEGIN = """
UPDATE checks SET token = %(token)s, attempt_count = attempt_count + 1
WHERE id = %(id)s
RETURNING claim_id, sync_ids, attempt_count
"""

# Whoever was deleted, or taken out by somebody who forced a run, is no longer in the batch.
_TARGETS = """
SELECT id, account_id, url, service_name, service_item_id, etag, last_modified, revision,
       content_sha256, source_modified_at
FROM syncs
WHERE id = ANY(%(sync_ids)s) AND claim_id = %(claim_id)s AND state = 'queued'
"""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One sync to be asked about: where, and what its table holds."""

    sync_id: UUID
    account_id: UUID
    source: Source
    version: SourceVersion
    lane: str


@dataclass(frozen=True, kw_only=True)
class Check:
    """A batch that this worker owns as long as its token stands in the row."""

    id: UUID
    claim_id: UUID
    token: UUID
    attempt_count: int
    targets: tuple[Target, ...]


async def begin_check(connection: Connection, check_id: UUID) -> Check | None:
    """Take the batch over: from here on nobody else's attempt at it can record anything."""
    token = uuid4()
    cursor = await connection.execute(_BEGIN, {"id": check_id, "token": token})
    row = await cursor.fetchone()
    if row is None:
        return None
    cursor = await connection.execute(_TARGETS, row)
    return Check(
        id=check_id,
        claim_id=row["claim_id"],
        token=token,
        attempt_count=row["attempt_count"],
        targets=tuple(_target(one) for one in await cursor.fetchall()),
    )


async def end_check(connection: Connection, check: Check) -> None:
    """Nothing is left of the batch to be done."""
    await connection.execute(
        "DELETE FROM checks WHERE id = %s AND token = %s", [check.id, check.token]
    )


async def hand_back_check(connection: Connection, check: Check) -> None:
    """A shutdown called the batch off, and that was no attempt: what is left waits in the queue."""
    await connection.execute(
        "UPDATE checks SET attempt_count = attempt_count - 1 WHERE id = %s AND token = %s",
        [check.id, check.token],
    )


def _target(row: DictRow) -> Target:
    source = read_source(row)
    return Target(
        sync_id=row["id"],
        account_id=row["account_id"],
        source=source,
        version=SourceVersion(
            etag=row["etag"],
            last_modified=row["last_modified"],
            revision=row["revision"],
            content_sha256=row["content_sha256"],
            modified_at=row["source_modified_at"],
        ),
        lane=lane_of(source, account_id=row["account_id"]),
    )
