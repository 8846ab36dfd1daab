"""Syncs by the id in a path, as far as the account's plan lets it have any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synctables.api.parameters import parse_id
from synctables.syncs import service
from synctables.syncs.quotas import check_sync_tables

if TYPE_CHECKING:
    from uuid import UUID

    from synctables.api.calls import Call
    from synctables.syncs.model import Sync


async def own_sync_id(call: Call, import_id: str) -> UUID:
    """The id, once it is clear that the account may have the sync (reference 1.4).

    Raises `UnknownItemError` or `NotInPlanError`.
    """
    sync_id = parse_id(import_id, what="synchronization")
    if not call.account.plan.sync_tables:
        await find_own_sync(call, import_id)
    return sync_id


async def find_own_sync(call: Call, import_id: str) -> Sync:
    """The sync. Raises `UnknownItemError` or `NotInPlanError`."""
    sync_id = parse_id(import_id, what="synchronization")
    sync = await service.find_sync(call.connection, account_id=call.account.id, sync_id=sync_id)
    check_sync_tables(call.account, sync)
    return sync
