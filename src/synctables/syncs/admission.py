"""Places: how many runs of syncs an account may have at work at once.

A run is stored without a job. It gets its job when it is admitted to one of its account's places,
so a run that waits takes no place of a worker's, and no account can fill the queue. A run keeps
its place until it ends, whatever becomes of its worker. Whoever stores runs admits afterwards, in
the same transaction; so does whoever has ended one, in a transaction after the one that ended it.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from procrastinate import App

from synctables.jobs import defer_run
from synctables.syncs.repository import Connection

# Two at once must not both see the last place free. All lock in one order, and in no mode that a
# foreign key's check waits for.
_LOCK = """
SELECT FROM accounts WHERE id = ANY (%(accounts)s) ORDER BY id FOR NO KEY UPDATE
"""

# A statement of its own: it must see what others did until the lock was to be had. Plain imports
# are limited where they are asked for.
_ADMIT = """
UPDATE runs SET is_admitted = true
FROM (
    SELECT waiting.id FROM accounts
    JOIN plans ON plans.name = accounts.plan
    CROSS JOIN LATERAL (
        SELECT count(*) AS count FROM runs
        WHERE account_id = accounts.id AND finished_at IS NULL AND is_admitted
          AND sync_id IS NOT NULL
    ) AS admitted
    CROSS JOIN LATERAL (
        SELECT id FROM runs
        WHERE account_id = accounts.id AND finished_at IS NULL AND NOT is_admitted
        ORDER BY created_at, id
        LIMIT greatest(plans.max_concurrent_runs - admitted.count, 0)
    ) AS waiting
    WHERE accounts.id = ANY (%(accounts)s)
) AS next
WHERE runs.id = next.id
RETURNING runs.id, runs.sync_id
"""

_WITH_WAITING_RUNS = """
SELECT DISTINCT account_id FROM runs WHERE finished_at IS NULL AND NOT is_admitted
"""


async def admit(connection: Connection, jobs_app: App, account_ids: Collection[UUID]) -> int:
    """Give the oldest waiting runs of these accounts the places that are free, and their jobs.

    Returns how many. The accounts' rows are locked until the transaction ends: lock nothing that
    somebody may hold who waits for them, such as a sync, after this call.
    """
    accounts = {"accounts": sorted(set(account_ids))}
    await connection.execute(_LOCK, accounts)
    admitted = await (await connection.execute(_ADMIT, accounts)).fetchall()
    for run in admitted:
        await defer_run(jobs_app, connection, run_id=run["id"], sync_id=run["sync_id"])
    return len(admitted)


async def admit_after(connection: Connection, jobs_app: App, run_id: UUID) -> int:
    """Hand on the place of a run that has ended. Returns how many were admitted."""
    cursor = await connection.execute("SELECT account_id FROM runs WHERE id = %s", [run_id])
    row = await cursor.fetchone()
    return await admit(connection, jobs_app, [row["account_id"]]) if row else 0


async def admit_waiting(connection: Connection, jobs_app: App) -> int:
    """Admit whatever still waits beside a free place: its worker died, or a plan was changed."""
    cursor = await connection.execute(_WITH_WAITING_RUNS)
    accounts = [row["account_id"] for row in await cursor.fetchall()]
    return await admit(connection, jobs_app, accounts) if accounts else 0
