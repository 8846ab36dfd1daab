"""Plans: what an account may do, and how much. Nothing here commits."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from psycopg import AsyncConnection, errors
from psycopg.rows import DictRow

from synctables.errors import InvalidRequestError, UnknownItemError

DEFAULT_PLAN = "default"
LARGEST_COUNT = 2**31 - 1
LARGEST_BYTES = 2**63 - 1

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,38}[a-z0-9])?", re.ASCII)

Connection = AsyncConnection[DictRow]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What accounts of this plan may do. None in a limit: the plan sets none.

    Of its interval and file size and those of the server's settings the tighter one counts.
    """

    name: str = DEFAULT_PLAN
    sync_tables: bool = True
    private_tables: bool = True
    max_syncs: int | None = None
    minimum_interval_seconds: int | None = None
    max_concurrent_runs: int | None = None
    """Runs of syncs; what is beyond it waits. None: as many as the settings say."""
    max_concurrent_imports: int | None = 3
    """Plain imports; what is beyond it is refused."""
    max_file_bytes: int | None = None
    """Of one file, fetched or unpacked."""
    max_rows: int | None = None
    """Of one table."""
    max_tables: int | None = None
    max_storage_bytes: int | None = None
    """Of all tables with their indexes."""


LIMITS = tuple(field.name for field in fields(Plan) if field.name != "name")

_INSERT = f"""
INSERT INTO plans (name, {", ".join(LIMITS)})
VALUES (%(name)s, {", ".join(f"%({limit})s" for limit in LIMITS)})
"""  # noqa: S608
_UPDATE = f"""
UPDATE plans SET {", ".join(f"{limit} = %({limit})s" for limit in LIMITS)} WHERE name = %(name)s
"""  # noqa: S608
_LIST = """
SELECT to_jsonb(plans) AS plan, count(accounts.id) AS account_count
FROM plans LEFT JOIN accounts ON accounts.plan = plans.name
GROUP BY plans.name ORDER BY plans.name
"""
_FIND = "SELECT to_jsonb(plans) AS plan FROM plans WHERE name = %(name)s FOR UPDATE"
_DELETE = "DELETE FROM plans WHERE name = %(name)s"
_SET_PLAN = "UPDATE accounts SET plan = %(plan)s WHERE name = %(account)s"


async def create_plan(connection: Connection, plan: Plan) -> Plan:
    """Raises `InvalidRequestError` for a name that is wrong or taken, or a limit that is none."""
    if not _NAME.fullmatch(plan.name):
        raise InvalidRequestError(
            f"{plan.name[:80]!r} cannot be a plan's name: use 1 to 40 lower-case letters, digits, "
            "hyphens and underscores."
        )
    _check(plan)
    try:
        async with connection.transaction():
            await connection.execute(_INSERT, asdict(plan))
    except errors.UniqueViolation as error:
        raise InvalidRequestError(f"There is a plan {plan.name!r} already.") from error
    return plan


async def list_plans(connection: Connection) -> list[tuple[Plan, int]]:
    """All plans, by name, with the number of accounts that have each."""
    cursor = await connection.execute(_LIST)
    return [(read_plan(row["plan"]), row["account_count"]) for row in await cursor.fetchall()]


async def find_plan(connection: Connection, *, name: str) -> Plan:
    """Raises `UnknownItemError`."""
    row = await (await connection.execute(_FIND, {"name": name})).fetchone()
    if row is None:
        raise UnknownItemError(f"There is no plan {name!r}. See `synctables plan list`.")
    return read_plan(row["plan"])


async def change_plan(connection: Connection, *, name: str, changes: dict[str, Any]) -> Plan:
    """Set these limits; others stay. They hold for what begins from now on.

    Raises `UnknownItemError`, `InvalidRequestError`.
    """
    plan = replace(await find_plan(connection, name=name), **changes)
    _check(plan)
    await connection.execute(_UPDATE, asdict(plan))
    return plan


async def remove_plan(connection: Connection, *, name: str) -> None:
    """Raises `UnknownItemError`, and `InvalidRequestError` while accounts have the plan."""
    await find_plan(connection, name=name)
    if name == DEFAULT_PLAN:
        raise InvalidRequestError("The plan 'default' is that of new accounts. It stays.")
    try:
        async with connection.transaction():
            await connection.execute(_DELETE, {"name": name})
    except errors.ForeignKeyViolation as error:
        raise InvalidRequestError(
            f"Accounts have the plan {name!r}. Give them another: "
            "`synctables account set-plan NAME PLAN`."
        ) from error


async def set_plan(connection: Connection, *, account: str, plan: str) -> None:
    """Give the account the plan. Raises `UnknownItemError` for either."""
    await find_plan(connection, name=plan)
    cursor = await connection.execute(_SET_PLAN, {"account": account, "plan": plan})
    if cursor.rowcount == 0:
        raise UnknownItemError(f"There is no account named {account!r}.")


def read_plan(values: dict[str, Any]) -> Plan:
    """A plan from its row; columns of later versions are left out."""
    return Plan(**{field.name: values[field.name] for field in fields(Plan)})


def _check(plan: Plan) -> None:
    """The limits that the table takes, said before it refuses them."""
    for name in LIMITS:
        value = getattr(plan, name)
        if isinstance(value, bool) or value is None:
            continue
        least = 0 if name in ("max_syncs", "max_tables", "max_storage_bytes") else 1
        largest = LARGEST_BYTES if name.endswith(("_bytes", "_rows")) else LARGEST_COUNT
        if not least <= value <= largest:
            raise InvalidRequestError(f"Invalid {name}: it must be from {least} to {largest:,}.")
