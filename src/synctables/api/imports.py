"""``/api/v1/imports``: one-time imports of a URL or an uploaded file, and how every run goes."""

from fastapi import APIRouter, Request

from synctables.api.calls import CurrentCall, open_call
from synctables.api.descriptions import IMPORT_PROBLEMS, parameters_of
from synctables.api.parameters import ImportParameters, parse, parse_id
from synctables.api.schemas import CreatedImport, Import, ImportList
from synctables.api.sources import find_source
from synctables.api.uploads import receive
from synctables.datasources.source import Source
from synctables.syncs import service
from synctables.syncs.quotas import check_privacy

router = APIRouter(prefix="/api/v1/imports", tags=["imports"], responses=IMPORT_PROBLEMS)


@router.post("", openapi_extra=parameters_of(ImportParameters, takes_file=True))
async def create_import(request: Request) -> CreatedImport:
    """Import a file once: from a ``url``, from a service (``service_name`` and
    ``service_item_id``), or uploaded (multipart ``file``, or any body with its ``filename`` in the
    query). Of a source and an upload the source counts.
    """
    async with receive(request) as received, open_call(request, received.parameters) as call:
        parameters = parse(ImportParameters, received.parameters)
        parameters.check()
        check_privacy(call.account.plan, parameters.privacy)
        is_upload = received.content is not None and not parameters.names_source
        run_id = await service.create_import(
            call.connection,
            call.services.jobs_app,
            account=call.account,
            source=Source() if is_upload else await find_source(call, parameters),
            file_name=received.file_name if is_upload else None,
            options=parameters.to_options(),
            content=received.content if is_upload else None,
            limits=call.limits,
        )
    return CreatedImport(item_queue_id=run_id)


@router.get("")
async def list_imports(call: CurrentCall) -> ImportList:
    """Imports of the last 24 hours that have not ended, newest first."""
    ids = await service.list_pending_imports(call.connection, account_id=call.account.id)
    return ImportList(imports=ids)


@router.get("/{item_queue_id}", response_model_exclude_unset=True)
async def show_import(item_queue_id: str, call: CurrentCall) -> Import:
    """One import, or one run of a sync table: its state, its tables, its error."""
    run_id = parse_id(item_queue_id, what="import")
    return Import.of(
        await service.find_run(call.connection, account_id=call.account.id, run_id=run_id)
    )
