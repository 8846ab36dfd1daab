"""``/api/v1/users/me``: who calls, what the plan allows, and how much of it is used."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from synctables.api.calls import CurrentCall
from synctables.api.descriptions import PROBLEMS
from synctables.api.schemas import Time
from synctables.syncs.quotas import read_usage

router = APIRouter(prefix="/api/v1/users", tags=["users"], responses=PROBLEMS)


class UserLimits(BaseModel):
    """What the plan and the server allow; null: as much as there is."""

    sync_tables: bool
    private_tables: bool
    syncs: int | None = Field(description="sync tables")
    interval: int = Field(description="shortest interval of a sync, in seconds")
    runs: int = Field(description="runs of syncs at once; further ones wait")
    imports: int | None = Field(description="plain imports at once; further ones are refused")
    file_bytes: int = Field(description="of one file, fetched or unpacked")
    rows: int | None = Field(description="of one table")
    tables: int | None
    storage_bytes: int | None = Field(description="of all tables with their indexes")
    calls_per_minute: int | None = Field(description="calls of this API, at each of its processes")


class UserUsage(BaseModel):
    """How much there is of what is limited."""

    syncs: int
    runs: int = Field(description="runs of syncs in the queue or at work")
    waiting_runs: int = Field(description="runs of syncs that wait for one of these to end")
    imports: int
    tables: int
    storage_bytes: int = Field(description="as of each table's last run that changed it")


class User(BaseModel):
    id: UUID
    username: str
    created_at: Time
    plan: str
    limits: UserLimits
    usage: UserUsage


@router.get("/me")
async def show_user(call: CurrentCall) -> User:
    """The account that calls: its plan, its limits, and what it uses of them."""
    account = call.account
    usage = await read_usage(call.connection, account.id)
    return User(
        id=account.id,
        username=account.name,
        created_at=account.created_at,
        plan=account.plan.name,
        limits=UserLimits(**_limits(call)),
        usage=UserUsage.model_validate(usage, from_attributes=True),
    )


def _limits(call: CurrentCall) -> dict[str, Any]:
    plan, limits = call.account.plan, call.limits
    return {
        "sync_tables": plan.sync_tables,
        "private_tables": plan.private_tables,
        "syncs": plan.max_syncs,
        "interval": limits.minimum_interval_seconds,
        "runs": limits.runs_at_once,
        "imports": plan.max_concurrent_imports,
        "file_bytes": limits.max_file_bytes,
        "rows": plan.max_rows,
        "tables": plan.max_tables,
        "storage_bytes": plan.max_storage_bytes,
        "calls_per_minute": call.services.settings.api_calls_per_minute,
    }
