"""The clock strikes: due syncs are claimed, and each goes to a check or to a run.

A claim takes turns: of many that are due, every account's and every host's oldest come first. What
it takes, it hands on at once, so a long queue is the queue's; there it is fair by the priority of
a batch (the further back in its account's line, the lower) and by its lane, one at a time each.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from procrastinate import App
from psycopg.rows import DictRow

from synctables.datasources.lanes import lane_of
from synctables.jobs import defer_check
from synctables.syncs import repository
from synctables.syncs.repository import Connection, read_source
from synctables.syncs.turns import start_runs

BATCH = 200
"""Checks of one job at most."""
FEWEST_IN_A_LANE = 20
"""Hosts with fewer due syncs share a batch: a job for each would cost more than the checks."""
LOWEST_PRIORITY = -20

# A version that was stored says what the table holds; without one only its content tells. A table
# that is gone has to be told by a run, and so has a plan that has no sync tables any more (both
# found row by row: a join would be hashed anew for each). The host is only to take turns by:
# `lane_of` knows it better. One statement claims: a row that another clock is claiming is left to
# it.
_CLAIM = r"""
WITH due AS MATERIALIZED (
    SELECT id, account_id, run_at, greatest(run_at, put_off_until) AS claimable_at,
           coalesce(service_name, substring(url FROM '://(?:[^/?#]*@)?([^/?#]*)')) AS host
    FROM syncs
    WHERE state IN ('success', 'failure')
      AND greatest(run_at, put_off_until) <= now()
      AND run_at + make_interval(secs => spread_seconds) <= now()
    ORDER BY greatest(run_at, put_off_until)
    LIMIT 2 * %(limit)s),
by_host AS (
    SELECT *, row_number() OVER (PARTITION BY account_id, host ORDER BY claimable_at) AS turn
    FROM due),
by_account AS (
    SELECT *, row_number() OVER (PARTITION BY account_id ORDER BY turn, claimable_at) AS own_turn
    FROM by_host),
taking_turns AS (
    SELECT id FROM by_account
    ORDER BY greatest(own_turn, row_number() OVER (PARTITION BY host ORDER BY own_turn)),
             claimable_at
    LIMIT %(limit)s)
UPDATE syncs SET
    state = 'queued', put_off_until = NULL,
    claim_id = CASE WHEN NOT reads_anew
        AND coalesce(etag, last_modified, revision) IS NOT NULL
        AND (SELECT (SELECT true FROM pg_class WHERE pg_class.oid = tables.relation_oid)
             FROM tables WHERE tables.id = syncs.table_id)
        AND (from_external_source OR (
             SELECT plans.sync_tables FROM accounts JOIN plans ON plans.name = accounts.plan
             WHERE accounts.id = syncs.account_id))
        THEN %(claim_id)s::uuid END
WHERE id IN (
    SELECT id FROM syncs
    WHERE id IN (SELECT id FROM taking_turns) AND state IN ('success', 'failure')
    FOR UPDATE SKIP LOCKED)
RETURNING id, account_id, run_at, url, service_name, service_item_id, claim_id
"""

_INSERT_CHECK = """
INSERT INTO checks (id, claim_id, sync_ids) VALUES (%(id)s, %(claim_id)s, %(sync_ids)s)
"""

_COUNT_WAITING = """
SELECT account_id, count(*) AS count FROM syncs
WHERE state IN ('created', 'queued', 'syncing') AND claim_id <> %(claim_id)s
GROUP BY account_id
"""

# A server clock that was put back leaves every slot in the future, further than any rule can: a
# slot after a success is an interval away at most, a new try after a failure also a day.
_STRIKE = """
INSERT INTO clock AS before (struck_at) VALUES (now())
ON CONFLICT (is_only_row) DO UPDATE SET struck_at = now()
RETURNING (SELECT now() < struck_at - interval '1 minute' FROM clock) AS was_put_back
"""
_BRING_BACK = """
UPDATE syncs SET run_at = least(run_at, now()), put_off_until = NULL
WHERE state IN ('success', 'failure')
  AND (put_off_until > now() + interval '1 day'
    OR run_at > now() + make_interval(
        secs => greatest(interval_seconds, CASE state WHEN 'failure' THEN 86400 END)))
"""


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """How many syncs one strike of the clock took."""

    checks: int
    runs: int

    @property
    def count(self) -> int:
        return self.checks + self.runs


@dataclass(frozen=True, kw_only=True)
class Due:
    """A sync that is to be checked: where it asks, and its place in its account's line."""

    id: UUID
    lane: str
    rank: int


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Syncs that one job checks; ``lane`` None: of several hosts."""

    lane: str | None
    due: Sequence[Due]

    @property
    def priority(self) -> int:
        return max(-(min(one.rank for one in self.due) // BATCH), LOWEST_PRIORITY)


async def queue_due_syncs(
    connection: Connection, jobs_app: App, *, limit: int, runs_at_once: int
) -> Claimed:
    """Claim syncs that are due; queue checks of those whose version is known, runs of the others.

    What time it is, the database says: the clocks of workers differ.
    """
    await _strike(connection)
    claim_id = uuid4()
    cursor = await connection.execute(_CLAIM, {"limit": limit, "claim_id": claim_id})
    rows = sorted(await cursor.fetchall(), key=lambda row: row["run_at"])
    checkable = [row for row in rows if row["claim_id"] is not None]
    if checkable:
        await _queue_checks(connection, jobs_app, checkable, claim_id=claim_id)
    others = [row["id"] for row in rows if row["claim_id"] is None]
    if others:
        syncs = await repository.get_syncs(connection, others)
        await start_runs(connection, jobs_app, syncs, at_once=runs_at_once)
    return Claimed(checks=len(checkable), runs=len(others))


def make_batches(due: Iterable[Due]) -> list[Batch]:
    """Batches by lane, each in the order of its syncs' ranks; the small lanes' together."""
    lanes: dict[str | None, list[Due]] = defaultdict(list)
    for one in due:
        lanes[one.lane].append(one)
    mixed = [one for lane in lanes.values() if len(lane) < FEWEST_IN_A_LANE for one in lane]
    large = {name: lane for name, lane in lanes.items() if len(lane) >= FEWEST_IN_A_LANE}
    return [
        Batch(lane=name, due=ordered[start : start + BATCH])
        for name, lane in {**large, None: mixed}.items()
        for ordered in [sorted(lane, key=lambda one: one.rank)]
        for start in range(0, len(ordered), BATCH)
    ]


async def _strike(connection: Connection) -> None:
    row = await (await connection.execute(_STRIKE)).fetchone()
    if row is not None and row["was_put_back"]:
        await connection.execute(_BRING_BACK)


async def _queue_checks(
    connection: Connection, jobs_app: App, rows: Sequence[DictRow], *, claim_id: UUID
) -> None:
    cursor = await connection.execute(_COUNT_WAITING, {"claim_id": claim_id})
    waiting = {row["account_id"]: row["count"] for row in await cursor.fetchall()}
    for batch in make_batches(_rank(rows, waiting)):
        check_id = uuid4()
        await connection.execute(
            _INSERT_CHECK,
            {"id": check_id, "claim_id": claim_id, "sync_ids": [one.id for one in batch.due]},
        )
        await defer_check(
            jobs_app, connection, check_id=check_id, lane=batch.lane, priority=batch.priority
        )


def _rank(rows: Iterable[DictRow], waiting: Mapping[UUID, int]) -> Iterator[Due]:
    """Each sync's place in its account's line, behind those that wait already."""
    lengths = Counter(waiting)
    for row in rows:
        account_id = row["account_id"]
        lane = lane_of(read_source(row), account_id=account_id)
        yield Due(id=row["id"], lane=lane, rank=lengths[account_id])
        lengths[account_id] += 1
