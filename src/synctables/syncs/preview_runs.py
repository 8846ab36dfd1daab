"""Carrying out one preview: from its row to what it found."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import structlog
from psycopg_pool import AsyncConnectionPool

from synctables.accounts.plans import Plan
from synctables.accounts.service import get_account
from synctables.datasources.base import Fetched, NotModified, OnBytes
from synctables.errors import RunError, StuckRunError, UnknownError
from synctables.importer.apply import coded_database_errors
from synctables.importer.fetch import fetch
from synctables.importer.model import Stage
from synctables.importer.pipeline import Fetch, Order
from synctables.importer.preview import run_preview
from synctables.syncs import repository
from synctables.syncs.model import Sync
from synctables.syncs.orders import make_order
from synctables.syncs.preview_report import describe_preview
from synctables.syncs.previews import (
    KEPT,
    Preview,
    begin_preview,
    complete_preview,
    fail_preview,
    forget_old_previews,
    tell_stage,
)
from synctables.syncs.repository import Connection
from synctables.syncs.runs import MOST_ATTEMPTS, Workshop, open_workspace
from synctables.syncs.service import SyncLimits

log = structlog.get_logger(__name__)


class PreviewRecorder:
    """The `StageRecorder` of a preview: the stage is told, figures are not."""

    def __init__(self, pool: AsyncConnectionPool[Connection], preview_id: UUID) -> None:
        self._pool = pool
        self._preview_id = preview_id

    async def stage(self, stage: Stage) -> None:
        log.info("preview_stage_began", stage=stage.value)
        async with self._pool.connection() as connection:
            await tell_stage(connection, self._preview_id, stage)

    def progress(self, figures: Mapping[str, object]) -> None:
        """Nobody follows a preview so closely."""


async def carry_out_preview(preview_id: UUID, workshop: Workshop) -> None:
    """Find out what was asked, and keep it or why not. A preview that has ended is left alone."""
    async with workshop.pool.connection() as connection:
        preview = await begin_preview(connection, preview_id)
    if preview is None:
        return
    with structlog.contextvars.bound_contextvars(
        preview_id=str(preview_id), sync_id=str(preview.sync_id)
    ):
        try:
            with coded_database_errors():
                await _attempt(preview, workshop)
        except RunError as error:
            await _fail(preview, error, workshop)
        except Exception as error:  # recorded, as every end of a preview is
            log.exception("preview_failed_unforeseen")
            await _fail(preview, UnknownError(type(error).__name__), workshop)


async def forget_previews(connection: Connection) -> None:
    """Keep previews for a day."""
    await forget_old_previews(connection, before=datetime.now(UTC) - KEPT)


async def _attempt(preview: Preview, workshop: Workshop) -> None:
    if preview.attempt_count > MOST_ATTEMPTS:
        raise StuckRunError(f"The worker ended {MOST_ATTEMPTS} times during this preview.")
    order, sync, plan = await _order(preview, workshop)
    workshop = workshop.limited(SyncLimits.of(workshop.settings, plan).max_file_bytes)
    async with open_workspace(workshop.workspaces) as workspace:
        found = await run_preview(
            order,
            _fetch_of(preview, workshop),
            known=sync.version if sync and order.live else None,
            workspace=workspace,
            parts=workshop.parts,
            recorder=PreviewRecorder(workshop.pool, preview.id),
        )
    async with workshop.pool.connection() as connection:
        await complete_preview(
            connection,
            preview.id,
            describe_preview(found),
            http_status=found.fetched.http_status,
        )


async def _order(preview: Preview, workshop: Workshop) -> tuple[Order, Sync | None, Plan]:
    async with workshop.pool.connection() as connection:
        account = await get_account(connection, account_id=preview.account_id)
        sync = None
        if preview.sync_id is not None:
            sync = await repository.get_sync(connection, preview.sync_id)
        order = await make_order(
            connection,
            account=account,
            sync=sync,
            options=preview.options,
            accept=preview.accept,
            every_layer=False,
        )
    return order, sync, account.plan


def _fetch_of(preview: Preview, workshop: Workshop) -> Fetch:
    """The fetch stage, under the same guard and caps as a run's; the file comes in any case."""

    async def from_source(into: Path, on_bytes: OnBytes) -> Fetched | NotModified:
        datasource, item = workshop.open_source(preview.source, account_id=preview.account_id)
        return await fetch(datasource, item, known=None, into=into, on_bytes=on_bytes)

    return from_source


async def _fail(preview: Preview, error: RunError, workshop: Workshop) -> None:
    log.warning("preview_failed", code=error.code, error=str(error))
    async with workshop.pool.connection() as connection:
        await fail_preview(connection, preview.id, error)
