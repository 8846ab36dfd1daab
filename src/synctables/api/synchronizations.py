"""``/api/v1/synchronizations``: the sync tables of an account."""

from fastapi import APIRouter, Response

from synctables.api.calls import CurrentCall
from synctables.api.descriptions import PROBLEMS, parameters_of
from synctables.api.jsonp import JsonpRoute
from synctables.api.own_syncs import find_own_sync, own_sync_id
from synctables.api.parameters import (
    ChangeParameters,
    CreateParameters,
    ForceParameters,
    parse,
)
from synctables.api.schemas import (
    CreatedSynchronization,
    ForcedSync,
    Synchronization,
    SynchronizationList,
    SyncStateAnswer,
)
from synctables.api.sources import find_source
from synctables.syncs import service

router = APIRouter(
    prefix="/api/v1/synchronizations",
    tags=["synchronizations"],
    route_class=JsonpRoute,
    responses=PROBLEMS,
)


@router.get("")
async def list_synchronizations(call: CurrentCall) -> SynchronizationList:
    """All sync tables of the account, oldest first."""
    syncs = await service.list_syncs(call.connection, account_id=call.account.id)
    return SynchronizationList(
        synchronizations=[Synchronization.of(sync) for sync in syncs], total_entries=len(syncs)
    )


@router.post("", openapi_extra=parameters_of(CreateParameters))
async def create_synchronization(call: CurrentCall) -> CreatedSynchronization:
    """Make a table of the file at ``url``, or of an item of a service, and keep it fresh."""
    parameters = parse(CreateParameters, call.parameters)
    source = await find_source(call, parameters)
    limits = call.limits
    sync, run_id = await service.create_sync(
        call.connection,
        call.services.jobs_app,
        account=call.account,
        source=source,
        options=parameters.to_options(minimum_interval_seconds=limits.minimum_interval_seconds),
        limits=limits,
    )
    return CreatedSynchronization.of_new(sync, run_id=run_id)


@router.get("/{import_id}")
async def show_synchronization(import_id: str, call: CurrentCall) -> Synchronization:
    """One sync table."""
    return Synchronization.of(await find_own_sync(call, import_id))


@router.put("/{import_id}", openapi_extra=parameters_of(ChangeParameters))
async def change_synchronization(import_id: str, call: CurrentCall) -> Synchronization:
    """Change interval and options. Read-only and unknown keys, null and no body are ignored."""
    sync = await service.update_sync(
        call.connection,
        account_id=call.account.id,
        sync_id=await own_sync_id(call, import_id),
        changes=parse(ChangeParameters, call.parameters).to_changes(),
        limits=call.limits,
    )
    return Synchronization.of(sync)


@router.delete("/{import_id}", status_code=204)
async def delete_synchronization(import_id: str, call: CurrentCall) -> Response:
    """Stop syncing. The table stays, as a standard table."""
    sync_id = await own_sync_id(call, import_id)
    await service.delete_sync(call.connection, account_id=call.account.id, sync_id=sync_id)
    return Response(status_code=204)


@router.get("/{import_id}/sync_now")
async def show_state(import_id: str, call: CurrentCall) -> SyncStateAnswer:
    """Whether the sync table is syncing."""
    return SyncStateAnswer(state=(await find_own_sync(call, import_id)).state)


@router.put(
    "/{import_id}/sync_now",
    openapi_extra=parameters_of(ForceParameters),
    response_model_exclude_unset=True,
)
async def force_synchronization(import_id: str, call: CurrentCall) -> ForcedSync:
    """Queue a run now. Refused within 900 seconds after the last attempt."""
    sync_id = await own_sync_id(call, import_id)
    forced = await service.force_sync(
        call.connection,
        call.services.jobs_app,
        account_id=call.account.id,
        sync_id=sync_id,
        accept=parse(ForceParameters, call.parameters).accept,
        limits=call.limits,
    )
    return ForcedSync.of(forced, sync_id=sync_id)
