"""The limits of plans, enforced in the transaction that would break them.

Whoever is about to add something locks the account first and counts then, so that two at once
cannot both take the last of what is left.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from synctables.accounts.model import Account
from synctables.accounts.plans import Plan
from synctables.errors import (
    InvalidRequestError,
    NotInPlanError,
    PlanLimitError,
    StorageQuotaError,
    TableQuotaError,
    TooManyImportsError,
)
from synctables.importer.apply.model import Applied, Way
from synctables.importer.model import Allowance
from synctables.syncs.model import Sync
from synctables.syncs.repository import Connection

# In no mode that foreign keys wait for: runs that go on are not disturbed.
_LOCK = "SELECT FROM accounts WHERE id = %s FOR NO KEY UPDATE"

_COUNT_SYNCS = "SELECT count(*) AS count FROM syncs WHERE account_id = %s"

# The first run of a sync that was removed is no plain import: it waited for its turn, or waits.
_COUNT_IMPORTS = """
SELECT count(*) AS count FROM runs
WHERE account_id = %s AND log_id = id AND finished_at IS NULL
  AND id IS DISTINCT FROM %s
"""

# Tables that somebody dropped leave their row behind, until a run finds that out.
_TABLES = """
SELECT count(*) AS count,
       coalesce(sum(coalesce(tables.size_bytes, pg_total_relation_size(class.oid))), 0)::bigint
           AS bytes
FROM tables JOIN pg_class AS class ON class.oid = tables.relation_oid
WHERE tables.account_id = %(account_id)s AND tables.id <> ALL (%(besides)s::uuid[])
"""

# Of the space that this run's own changes left dead, the next refresh makes use: it does not count.
_MEASURE = """
UPDATE tables SET size_bytes = pg_total_relation_size(relation_oid) * %(live_share)s
WHERE id = %(id)s
"""

_USAGE = """
SELECT (SELECT count(*) FROM syncs WHERE account_id = %(account_id)s) AS syncs,
       count(*) FILTER (WHERE log_id <> id AND NOT waits) AS runs,
       count(*) FILTER (WHERE waits) AS waiting_runs,
       count(*) FILTER (WHERE log_id = id) AS imports
FROM runs WHERE account_id = %(account_id)s AND finished_at IS NULL
"""

_NOTICEABLE_GROWTH = 1.1

_NO_PRIVATE_TABLES = (
    "Your account type ({plan}) does not allow to create private datasets. "
    "Ask the operator of this server for another plan."
)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What an account has of what its plan limits."""

    syncs: int
    runs: int
    """In the queue or at work."""
    waiting_runs: int
    imports: int
    tables: int
    storage_bytes: int


async def read_usage(connection: Connection, account_id: UUID) -> Usage:
    row = await (await connection.execute(_USAGE, {"account_id": account_id})).fetchone()
    tables, storage_bytes = await _count_tables(connection, account_id)
    return Usage(**(row or {}), tables=tables, storage_bytes=storage_bytes)


def check_sync_tables(account: Account, sync: Sync | None = None) -> None:
    """Raise `NotInPlanError` unless the account may have sync tables, or at least this one."""
    if account.plan.sync_tables or (sync is not None and sync.from_external_source):
        return
    raise NotInPlanError(f"Sync tables are not part of this account's plan ({account.plan.name}).")


def check_privacy(plan: Plan, privacy: str | None) -> None:
    """Raise `InvalidRequestError` where the plan has no private tables and one is asked for."""
    if privacy is not None and privacy.lower() == "private" and not plan.private_tables:
        raise InvalidRequestError(_NO_PRIVATE_TABLES.format(plan=plan.name))


async def check_sync_count(connection: Connection, account: Account) -> None:
    """Raise `PlanLimitError` where the account has as many syncs as it may."""
    limit = account.plan.max_syncs
    if limit is None:
        return
    await connection.execute(_LOCK, [account.id])
    if await _count(connection, _COUNT_SYNCS, account.id) >= limit:
        raise PlanLimitError(
            f"This account has as many sync tables as its plan ({account.plan.name}) allows: "
            f"{limit:,}."
        )


async def check_import_count(
    connection: Connection, account: Account, *, besides: UUID | None = None
) -> None:
    """Raise `TooManyImportsError` where as many imports are under way as there may be.

    ``besides``: the import that this is about, stored already. The account is locked then;
    before, it is not, for a large upload would keep others waiting.
    """
    limit = account.plan.max_concurrent_imports
    if limit is None:
        return
    if besides is not None:
        await connection.execute(_LOCK, [account.id])
    if await _count(connection, _COUNT_IMPORTS, account.id, besides) >= limit:
        raise TooManyImportsError(
            f"We're sorry but you're already using your allowed {limit} import slots"
        )


async def find_allowance(
    connection: Connection, account: Account, *, table_id: UUID | None
) -> Allowance:
    """What a run may bring as it begins; ``table_id``: the table that it would refresh.

    A table may always take as much as it takes. Nothing is locked: whether it still is so is asked
    again by `check_tables`.
    """
    plan = account.plan
    if plan.max_tables is None and plan.max_storage_bytes is None:
        return Allowance(max_rows=plan.max_rows)
    count, used = await _count_tables(connection, account.id)
    own = 0
    if table_id is not None:
        used_by_others = (await _count_tables(connection, account.id, besides=[table_id]))[1]
        used, own = used_by_others, used - used_by_others
    return Allowance(
        max_rows=plan.max_rows,
        table_count=None if plan.max_tables is None else max(plan.max_tables - count, 0),
        storage_bytes=None
        if plan.max_storage_bytes is None
        else max(plan.max_storage_bytes - used, own),
    )


async def check_tables(
    connection: Connection, account: Account, applied: tuple[Applied, ...]
) -> None:
    """Measure the tables as they are now, before COMMIT, and judge all of the account's.

    A run that makes no table is not refused for their number, nor one that makes its table no
    larger for what all of them take. Raises `TableQuotaError` or `StorageQuotaError`; the caller's
    transaction must then be rolled back.
    """
    plan = account.plan
    if plan.max_tables is not None or plan.max_storage_bytes is not None:
        await connection.execute(_LOCK, [account.id])
    before = await _sizes(connection, applied)
    for one in applied:
        await _measure(connection, one)
    if plan.max_tables is None and plan.max_storage_bytes is None:
        return
    count, used = await _count_tables(connection, account.id)
    if plan.max_tables is not None and count > plan.max_tables and _makes_tables(applied):
        raise TableQuotaError(f"The plan ({plan.name}) allows {plan.max_tables:,} tables.")
    if plan.max_storage_bytes is None or used <= plan.max_storage_bytes:
        return
    after = await _sizes(connection, applied)
    if any(_has_grown(one, before[one.table.id], after[one.table.id]) for one in applied):
        raise StorageQuotaError(
            f"The account's tables would take {used:,} bytes; its plan ({plan.name}) allows "
            f"{plan.max_storage_bytes:,}."
        )


def _makes_tables(applied: tuple[Applied, ...]) -> bool:
    return any(one.way is Way.CREATE for one in applied)


def _has_grown(applied: Applied, before: int | None, after: int | None) -> bool:
    """Whether a table takes noticeably more than before; its indexes always grow a little."""
    if applied.way is Way.CREATE or applied.rows.inserted > applied.rows.deleted:
        return True
    return before is not None and (after or 0) > before * _NOTICEABLE_GROWTH


async def _sizes(connection: Connection, applied: tuple[Applied, ...]) -> dict[UUID, int | None]:
    """What is known of the tables' sizes; None: never measured, as a new table is."""
    cursor = await connection.execute(
        "SELECT id, size_bytes FROM tables WHERE id = ANY (%s)", [[o.table.id for o in applied]]
    )
    return {row["id"]: row["size_bytes"] for row in await cursor.fetchall()}


async def _measure(connection: Connection, applied: Applied) -> None:
    rows = applied.rows
    dead = rows.updated + rows.deleted if applied.way is Way.DELTA else 0
    share = rows.total / (rows.total + dead) if rows.total else 1.0
    await connection.execute(_MEASURE, {"id": applied.table.id, "live_share": share})


async def _count_tables(
    connection: Connection, account_id: UUID, *, besides: Collection[UUID] = ()
) -> tuple[int, int]:
    """How many tables there are, and what they take with their indexes."""
    cursor = await connection.execute(_TABLES, {"account_id": account_id, "besides": list(besides)})
    row = await cursor.fetchone() or {}
    return row["count"], row["bytes"]


async def _count(connection: Connection, statement: str, *values: object) -> int:
    row = await (await connection.execute(statement, values)).fetchone()
    return int(row["count"]) if row else 0
