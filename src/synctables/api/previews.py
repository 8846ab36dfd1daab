"""Previews: what a run would do with a source, before it does; of a sync, or of an address."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from synctables.accounts.model import Account
from synctables.api.bodies import read_parameters
from synctables.api.calls import Call, CurrentCall, Services, open_call
from synctables.api.descriptions import PROBLEMS, parameters_of
from synctables.api.jsonp import JsonpRoute
from synctables.api.own_syncs import find_own_sync
from synctables.api.parameters import (
    PreviewAddressParameters,
    PreviewParameters,
    parse,
    parse_id,
)
from synctables.api.preview_schemas import PreviewAnswer
from synctables.api.sources import find_source
from synctables.syncs import previews
from synctables.syncs.previews import Preview

router = APIRouter(prefix="/api/v1", tags=["previews"], route_class=JsonpRoute, responses=PROBLEMS)

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 1.0
_ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {"model": PreviewAnswer, "description": "It is not ready yet: ask for its id."}
}


@router.post(
    "/synchronizations/{import_id}/preview",
    openapi_extra=parameters_of(PreviewParameters),
    responses=_ACCEPTED,
)
async def preview_synchronization(
    import_id: str, request: Request, response: Response
) -> PreviewAnswer:
    """What a run of the sync table would do now: nothing is changed, neither table nor sync.

    Options that are given hold for this preview only. Answers with the result, or after ``wait``
    seconds with 202 and an id for ``GET /api/v1/preview/:id``.
    """
    async with open_call(request, await read_parameters(request)) as call:
        parameters = parse(PreviewParameters, call.parameters)
        sync = await find_own_sync(call, import_id)
        preview = await previews.create_preview(
            call.connection,
            call.services.jobs_app,
            account_id=call.account.id,
            sync_id=sync.id,
            source=sync.source,
            options=parameters.changed(sync.options),
            accept=parameters.accept,
            places=call.limits.places,
        )
    return await _answer(call, preview, request, response, wait=parameters.wait)


@router.post("/preview", openapi_extra=parameters_of(PreviewAddressParameters), responses=_ACCEPTED)
async def preview_address(request: Request, response: Response) -> PreviewAnswer:
    """What a sync table of the file at ``url`` would be like, before it is created.

    Parameters and answers are those of a creation and of a preview of a sync table.
    """
    async with open_call(request, await read_parameters(request)) as call:
        parameters = parse(PreviewAddressParameters, call.parameters)
        preview = await previews.create_preview(
            call.connection,
            call.services.jobs_app,
            account_id=call.account.id,
            sync_id=None,
            source=await find_source(call, parameters),
            options=parameters.to_options(),
            accept=parameters.accept,
            places=call.limits.places,
        )
    return await _answer(call, preview, request, response, wait=parameters.wait)


@router.get("/preview/{preview_id}")
async def show_preview(preview_id: str, call: CurrentCall) -> PreviewAnswer:
    """One preview. Kept for a day."""
    found = parse_id(preview_id, what="preview")
    return PreviewAnswer.of(
        await previews.find_preview(call.connection, account_id=call.account.id, preview_id=found)
    )


async def _answer(
    call: Call, preview: Preview, request: Request, response: Response, *, wait: float | None
) -> PreviewAnswer:
    """The preview once it has ended, or as it is when the time to wait is over."""
    services, account = call.services, call.account
    most = services.settings.preview_wait_seconds
    deadline = time.monotonic() + (most if wait is None else min(wait, most))
    pause = _FIRST_PAUSE_SECONDS
    while preview.finished_at is None and (left := deadline - time.monotonic()) > 0:
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.3, _LONGEST_PAUSE_SECONDS)
        if await request.is_disconnected():
            break
        preview = await _look_again(services, account, preview.id)
    if preview.finished_at is None:
        response.status_code = 202
        response.headers["Location"] = f"/api/v1/preview/{preview.id}"
    return PreviewAnswer.of(preview)


async def _look_again(services: Services, account: Account, preview_id: UUID) -> Preview:
    """In a transaction of its own: while a client waits, it holds no connection."""
    async with services.transaction() as connection:
        return await previews.find_preview(connection, account_id=account.id, preview_id=preview_id)
