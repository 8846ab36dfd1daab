"""How many runs an account has at once: those above wait without a job until one of theirs ends.

A run of a sync is stored waiting; its job is made when it is its account's turn. So the queue holds
no more than a few jobs of each account, and in it nobody waits behind thousands of somebody else's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID, uuid4

from procrastinate import App

from synctables.jobs import defer_run
from synctables.syncs import repository
from synctables.syncs.model import Accept, Sync
from synctables.syncs.repository import Connection

# In one order for everybody, so that two who give turns in several accounts never wait for each
# other. Foreign keys take a weaker lock, which this one does not hold up.
_LOCK_ACCOUNTS = """
SELECT id FROM accounts WHERE id = ANY(%(account_ids)s::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""

# What somebody asked for comes before what was only due. Plain imports never wait, nor count; their
# log is their own. The first run of a sync that was removed meanwhile still takes its place.
_GIVE_TURNS = """
UPDATE runs SET waits = false
FROM (
    SELECT accounts.id, coalesce(plans.max_concurrent_runs, %(at_once)s) AS at_once
    FROM accounts JOIN plans ON plans.name = accounts.plan
    WHERE accounts.id = ANY(%(account_ids)s::uuid[])
) AS account
CROSS JOIN LATERAL (
    SELECT waiting.id FROM runs AS waiting
    WHERE waiting.account_id = account.id AND waiting.finished_at IS NULL AND waiting.waits
    ORDER BY waiting.is_forced DESC, waiting.created_at
    LIMIT greatest(0, account.at_once - (
        SELECT count(*) FROM runs AS busy
        WHERE busy.account_id = account.id AND busy.finished_at IS NULL AND NOT busy.waits
          AND busy.log_id <> busy.id))
) AS next
WHERE runs.id = next.id
RETURNING runs.id, runs.sync_id
"""

_WHO_WAITS = """
SELECT DISTINCT account_id FROM runs WHERE finished_at IS NULL AND waits
"""


async def start_runs(
    connection: Connection,
    jobs_app: App,
    syncs: Sequence[Sync],
    *,
    at_once: int,
    accept: tuple[Accept, ...] = (),
    is_forced: bool = False,
) -> list[UUID]:
    """Store a run of each sync, in this order, and the jobs of those whose turn it is."""
    run_ids = [uuid4() for _ in syncs]
    for run_id, sync in zip(run_ids, syncs, strict=True):
        await repository.insert_run(
            connection,
            run_id=run_id,
            account_id=sync.account_id,
            sync_id=sync.id,
            log_id=sync.log_id,
            source=sync.source,
            file_name=None,
            options=sync.options,
            accept=accept,
            is_forced=is_forced,
            waits=True,
        )
    await give_turns(connection, jobs_app, {sync.account_id for sync in syncs}, at_once=at_once)
    return run_ids


async def give_turns(
    connection: Connection, jobs_app: App, account_ids: Collection[UUID], *, at_once: int
) -> int:
    """Make the jobs of runs that may begin now. Returns how many. Locks the accounts' rows.

    ``at_once``: of an account whose plan does not say otherwise.
    """
    asked = {"account_ids": sorted(account_ids), "at_once": at_once}
    await connection.execute(_LOCK_ACCOUNTS, asked)
    rows = await (await connection.execute(_GIVE_TURNS, asked)).fetchall()
    for row in rows:
        await defer_run(jobs_app, connection, run_id=row["id"], sync_id=row["sync_id"])
    return len(rows)


async def give_forgotten_turns(connection: Connection, jobs_app: App, *, at_once: int) -> int:
    """The same for every account with runs that wait: whoever should have done it may have died."""
    rows = await (await connection.execute(_WHO_WAITS)).fetchall()
    account_ids = [row["account_id"] for row in rows]
    return await give_turns(connection, jobs_app, account_ids, at_once=at_once)
