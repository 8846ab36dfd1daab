"""``/api/v1/logs/:log_id``, and the same below a synchronization: what its runs did."""

from uuid import UUID

from fastapi import APIRouter

from synctables.api.calls import Call, CurrentCall
from synctables.api.descriptions import PROBLEMS
from synctables.api.own_syncs import find_own_sync
from synctables.api.parameters import parse_id
from synctables.api.schemas import Log, LogLine
from synctables.syncs import service

router = APIRouter(prefix="/api/v1", tags=["logs"], responses=PROBLEMS)


@router.get("/synchronizations/{import_id}/log")
async def show_log_of_synchronization(import_id: str, call: CurrentCall) -> Log:
    """The log of a sync table: what its runs did, and how far the present one is."""
    sync = await find_own_sync(call, import_id)
    return await _read_log(call, sync.log_id)


@router.get("/logs/{log_id}")
async def show_log(log_id: str, call: CurrentCall) -> Log:
    """A log by its ``log_id``. The log of a plain import has the import's id."""
    return await _read_log(call, parse_id(log_id, what="log"))


async def _read_log(call: Call, log_id: UUID) -> Log:
    entries = await service.list_log(call.connection, account_id=call.account.id, log_id=log_id)
    run = await service.latest_run(call.connection, log_id=log_id)
    is_under_way = run is not None and run.finished_at is None
    return Log(
        id=log_id,
        entries=[LogLine.of(entry) for entry in entries],
        progress=run.progress if run is not None and is_under_way else None,
    )
