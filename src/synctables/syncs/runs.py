"""Carrying out one run: from its row to its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID, uuid4

import aiohttp
import structlog
from psycopg_pool import AsyncConnectionPool

from synctables.accounts.model import Account
from synctables.accounts.service import get_account
from synctables.datasources.addresses import find_datasource
from synctables.datasources.base import (
    Datasource,
    Fetched,
    NotModified,
    OnBytes,
    SourceVersion,
)
from synctables.datasources.drives.access import DriveAccess
from synctables.datasources.source import Source
from synctables.errors import (
    ConfigurationError,
    DatasourceConfigurationError,
    FencedError,
    NotInPlanError,
    RunError,
    StuckRunError,
    SyncsNotInPlanError,
    UnknownError,
)
from synctables.importer.apply import coded_database_errors, coded_table_errors
from synctables.importer.apply.hand_edits import is_edited
from synctables.importer.fetch import fetch, receive_upload
from synctables.importer.pipeline import Fetch, Order, Parts, run_pipeline
from synctables.importer.workspace import create_workspace, remove_workspace
from synctables.settings import Settings
from synctables.syncs import logs, repository
from synctables.syncs.file_sizes import largest_file, within_storage
from synctables.syncs.model import Run, Sync
from synctables.syncs.orders import make_order
from synctables.syncs.outcomes import failure, record_outcome
from synctables.syncs.quotas import check_sync_tables
from synctables.syncs.recorder import RunRecorder
from synctables.syncs.repository import Connection
from synctables.syncs.run_story import RunStory
from synctables.syncs.service import SyncLimits
from synctables.syncs.uploads import load_upload

MOST_ATTEMPTS = 5
"""Of one run, each ended by the death of its worker; then the run fails instead."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """What all runs of a worker share."""

    settings: Settings
    parts: Parts
    http: aiohttp.ClientSession
    check_http: aiohttp.ClientSession
    """A client of their own, so that no check waits for a connection that a download holds."""
    check_slots: asyncio.Semaphore
    """As many checks are under way at once as that client has connections."""
    drives: DriveAccess
    workspaces: Path

    @property
    def pool(self) -> AsyncConnectionPool[Connection]:
        return self.parts.pool

    def limited(self, max_file_bytes: int, *, unpacked_bytes: int | None = None) -> Workshop:
        """The same for a run whose file may be no larger than this, and unpacked than that."""
        limits = replace(self.parts.limits, max_bytes=unpacked_bytes or max_file_bytes)
        return replace(
            self,
            settings=self.settings.model_copy(update={"max_file_bytes": max_file_bytes}),
            drives=self.drives.limited(max_file_bytes),
            parts=replace(self.parts, limits=limits),
        )

    def open_source(
        self, source: Source, *, account_id: UUID, http: aiohttp.ClientSession | None = None
    ) -> tuple[Datasource, str]:
        """The datasource that reads this source, and what it calls the item.

        Raises `DatasourceConfigurationError` where the operator has not set the service up.
        """
        if source.service_name is None:
            datasource = find_datasource(
                source.item, session=http or self.http, settings=self.settings
            )
            return datasource, source.item
        try:
            datasource = self.drives.datasource(source.service_name, account_id=account_id)
        except ConfigurationError as error:
            raise DatasourceConfigurationError(str(error)) from error
        return datasource, source.item


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A run that this worker owns as long as its token stands in the fence."""

    run: Run
    token: UUID
    account: Account
    sync: Sync | None


async def carry_out(run_id: UUID, workshop: Workshop) -> UUID | None:
    """Carry the run out and record how it ended. A run that has ended is left alone.

    Returns whose run it was. Raises only what makes the job itself fail: a lost database, or being
    called off.
    """
    async with workshop.pool.connection() as connection:
        begun = await begin(connection, run_id)
    if begun is None:
        return None
    story = RunStory(begun.run)
    with structlog.contextvars.bound_contextvars(**_names(begun)):
        try:
            await _recorded(begun, workshop, story)
        finally:
            story.tell()
    return begun.account.id


def _names(begun: Begun) -> dict[str, object]:
    """What every line about a run is told apart by; the stage follows the run."""
    run = begun.run
    return {
        "run_id": str(run.id),
        "sync_id": str(run.sync_id) if run.sync_id else None,
        "account": begun.account.name,
        "stage": None,
    }


async def _recorded(begun: Begun, workshop: Workshop, story: RunStory) -> None:
    """An attempt that is recorded however it ends, unless it is called off or fenced."""
    try:
        with coded_database_errors():
            await _attempt(begun, workshop, story)
    except asyncio.CancelledError:
        story.left("handed_back")
        await _hand_back(begun, workshop)
        raise
    except FencedError as error:
        story.left("fenced")
        log.warning("run_fenced", reason=str(error))
    except RunError as error:
        await _record_failure(begun, error, workshop, story)
    except Exception as error:  # recorded, as every end of a run is
        log.exception("run_failed_unforeseen")
        await _record_failure(begun, UnknownError(type(error).__name__), workshop, story)


async def begin(connection: Connection, run_id: UUID) -> Begun | None:
    """Take the run over: from here on no other worker's attempt at it can commit."""
    if (found := await repository.get_run(connection, run_id)) is not None:
        await repository.hold_sync(connection, found)
    run = await repository.get_run(connection, run_id, for_update=True)
    if run is None or run.finished_at is not None:
        return None
    token = uuid4()
    await connection.execute(
        "INSERT INTO fences (run_id, token) VALUES (%s, %s)"
        " ON CONFLICT (run_id) DO UPDATE SET token = excluded.token",
        [run_id, token],
    )
    await connection.execute(
        "UPDATE runs SET attempt_count = attempt_count + 1,"
        " started_at = coalesce(started_at, now()) WHERE id = %s",
        [run_id],
    )
    sync = None
    if run.sync_id is not None:
        await repository.mark_syncing(connection, run.sync_id)
        sync = await repository.get_sync(connection, run.sync_id)
    account = await get_account(connection, account_id=run.account_id)
    return Begun(run=run, token=token, account=account, sync=sync)


async def _attempt(begun: Begun, workshop: Workshop, story: RunStory) -> None:
    if begun.run.attempt_count >= MOST_ATTEMPTS:
        raise StuckRunError(f"The worker ended {begun.run.attempt_count} times during this run.")
    if begun.sync is not None:
        _check_plan(begun.account, begun.sync)
    order = await _order(begun, workshop)
    max_bytes = SyncLimits.of(workshop.settings, begun.account.plan).max_file_bytes
    workshop = workshop.limited(largest_file(max_bytes, order.allowance), unpacked_bytes=max_bytes)
    fetch = _fetch_of(begun, order, workshop)
    recorder = RunRecorder(workshop.pool, begun.account, begun.run, begun.token, story=story)
    try:
        async with open_workspace(workshop.workspaces) as workspace:
            await run_pipeline(
                order,
                within_storage(fetch, max_bytes=max_bytes, allowance=order.allowance),
                workspace=workspace,
                parts=workshop.parts,
                recorder=recorder,
            )
    finally:
        await recorder.close()


def _check_plan(account: Account, sync: Sync) -> None:
    """A sync stays where its account's plan no longer has any; its runs fail."""
    try:
        check_sync_tables(account, sync)
    except NotInPlanError as error:
        raise SyncsNotInPlanError(str(error)) from error


async def _order(begun: Begun, workshop: Workshop) -> Order:
    run = begun.run
    async with workshop.pool.connection() as connection:
        await _log_beginning(connection, begun)
    async with workshop.pool.connection() as connection:
        return await make_order(
            connection,
            account=begun.account,
            sync=begun.sync,
            options=run.options,
            accept=run.accept,
            every_layer=run.sync_id is None,
        )


async def _log_beginning(connection: Connection, begun: Begun) -> None:
    run = begun.run
    lines = [f"Run {run.id} began, attempt {run.attempt_count + 1}."]
    if run.options.content_guessing:
        lines.append("content_guessing was asked for; this version does not apply it.")
    await logs.append_log(connection, run.log_id, *lines, run_id=run.id)


def _fetch_of(begun: Begun, order: Order, workshop: Workshop) -> Fetch:
    """The fetch stage of this run: from its source, or from what was uploaded."""
    run = begun.run

    async def from_source(into: Path, on_bytes: OnBytes) -> Fetched | NotModified:
        datasource, item = workshop.open_source(run.source, account_id=run.account_id)
        return await fetch(
            datasource,
            item,
            known=await _known_version(begun, order, workshop),
            into=into,
            on_bytes=on_bytes,
        )

    async def from_upload(into: Path, on_bytes: OnBytes) -> Fetched | NotModified:
        async with workshop.pool.connection() as connection:
            return await receive_upload(
                load_upload(connection, run.id),
                file_name=run.file_name or "file",
                content_type=None,
                into=into,
                max_bytes=workshop.settings.max_file_bytes,
                on_bytes=on_bytes,
            )

    return from_upload if run.source.is_upload else from_source


async def _known_version(begun: Begun, order: Order, workshop: Workshop) -> SourceVersion | None:
    """What the source may answer "not modified" to; None where it must be read in any case.

    A run that somebody asked for puts edits by hand right although the source did not change.
    """
    run, sync = begun.run, begun.sync
    if sync is None or order.live is None or sync.reads_anew or run.accept:
        return None
    if run.is_forced:
        async with (
            coded_table_errors(workshop.pool, order.live),
            workshop.pool.connection() as connection,
        ):
            if await is_edited(connection, order.live):
                line = "The table is not as the last run left it: the source is read in any case."
                await logs.append_log(connection, run.log_id, line, run_id=run.id)
                return None
    return sync.version


@asynccontextmanager
async def open_workspace(root: Path) -> AsyncIterator[Path]:
    """A workspace for as long as the block runs."""
    workspace = create_workspace(root)
    try:
        yield workspace
    finally:
        remove_workspace(workspace)


async def _hand_back(begun: Begun, workshop: Workshop) -> None:
    """A shutdown called the run off: it waits in the queue again, and that was no attempt."""
    log.info("run_handed_back")
    async with workshop.pool.connection() as connection:
        await repository.hand_back(connection, begun.run, token=begun.token)


async def _record_failure(
    begun: Begun, error: RunError, workshop: Workshop, story: RunStory
) -> None:
    outcome = failure(error, stage_seconds=story.stage_seconds())
    story.ended(outcome)
    try:
        async with workshop.pool.connection() as connection:
            await record_outcome(
                connection,
                begun.run.id,
                token=begun.token,
                outcome=outcome,
                now=await repository.read_clock(connection),
            )
    except FencedError as fenced:
        story.left("fenced")
        log.warning("run_fenced", reason=str(fenced))
