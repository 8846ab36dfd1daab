"""What users do with syncs and imports. No function commits: a request is one transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Self
from uuid import UUID, uuid4

from procrastinate import App

from synctables.accounts.model import Account
from synctables.accounts.plans import Plan
from synctables.datasources.addresses import validate_address
from synctables.datasources.source import Source
from synctables.errors import InvalidRequestError, UnknownItemError
from synctables.importer.model import ColumnType
from synctables.jobs import defer_run
from synctables.object_address import Place
from synctables.settings import Settings
from synctables.syncs import logs, repository
from synctables.syncs.model import (
    Accept,
    LogEntry,
    OnEmpty,
    Run,
    SchemaPolicy,
    Sync,
    SyncOptions,
    SyncState,
)
from synctables.syncs.outcomes import abandon_runs
from synctables.syncs.quotas import check_import_count, check_sync_count, check_sync_tables
from synctables.syncs.repository import Connection
from synctables.syncs.schedule import force_refusal, spread_seconds
from synctables.syncs.turns import start_runs
from synctables.syncs.uploads import store_upload

LONGEST_INTERVAL_SECONDS = 2**31 - 1
PENDING_IMPORTS_SHOWN_FOR = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class SyncLimits:
    """What the operator allows: the tighter of what the settings say and the account's plan."""

    minimum_interval_seconds: int
    sync_now_seconds: int
    max_file_bytes: int
    places: tuple[Place, ...]
    runs_at_once: int
    """Of one account; others wait."""

    @classmethod
    def of(cls, settings: Settings, plan: Plan | None = None) -> Self:
        plan = plan or Plan()
        return cls(
            minimum_interval_seconds=max(
                settings.minimum_interval_seconds, plan.minimum_interval_seconds or 0
            ),
            sync_now_seconds=settings.sync_now_seconds,
            max_file_bytes=min(
                settings.max_file_bytes, plan.max_file_bytes or settings.max_file_bytes
            ),
            places=settings.object_store_places,
            runs_at_once=plan.max_concurrent_runs or settings.runs_per_account,
        )


@dataclass(frozen=True, kw_only=True)
class SyncChanges:
    """What a user changes on a sync; None leaves the option as it is."""

    interval_seconds: int | None = None
    type_guessing: bool | None = None
    quoted_fields_guessing: bool | None = None
    content_guessing: bool | None = None
    layer: str | None = None
    key_columns: tuple[str, ...] | None = None
    column_types: dict[str, ColumnType] | None = None
    schema_policy: SchemaPolicy | None = None
    max_row_loss: float | None = None
    on_empty: OnEmpty | None = None


@dataclass(frozen=True, kw_only=True)
class Forced:
    """The answer to a forced run."""

    enqueued: bool
    reason: str | None = None
    retry_after_seconds: int | None = None


async def create_sync(
    connection: Connection,
    jobs_app: App,
    *,
    account: Account,
    source: Source,
    options: SyncOptions,
    limits: SyncLimits,
) -> tuple[Sync, UUID]:
    """Store the sync, its first run and the run's job. Returns the sync and the run's id.

    Raises `InvalidRequestError`, `NotInPlanError` or `PlanLimitError` before anything is stored.
    """
    check_sync_tables(account)
    source = checked_source(source, places=limits.places)
    _check_interval(options.interval_seconds, limits)
    await check_sync_count(connection, account)
    now = await repository.read_clock(connection)
    sync_id = uuid4()
    interval = timedelta(seconds=options.interval_seconds)
    await repository.insert_sync(
        connection,
        sync_id=sync_id,
        account_id=account.id,
        source=source,
        options=options,
        log_id=uuid4(),
        now=now,
        run_at=now + interval,
        spread_seconds=spread_seconds(sync_id, interval),
    )
    sync = await find_sync(connection, account_id=account.id, sync_id=sync_id)
    [run_id] = await start_runs(connection, jobs_app, [sync], at_once=limits.runs_at_once)
    return sync, run_id


async def list_syncs(connection: Connection, *, account_id: UUID) -> list[Sync]:
    """The account's syncs, oldest first."""
    return await repository.list_syncs(connection, account_id)


async def find_sync(
    connection: Connection, *, account_id: UUID, sync_id: UUID, for_update: bool = False
) -> Sync:
    """The sync. Raises `UnknownItemError`, also when it is somebody else's."""
    sync = await repository.get_sync(connection, sync_id, for_update=for_update)
    if sync is None or sync.account_id != account_id:
        raise UnknownItemError(f"There is no synchronization {sync_id}.")
    return sync


async def update_sync(
    connection: Connection,
    *,
    account_id: UUID,
    sync_id: UUID,
    changes: SyncChanges,
    limits: SyncLimits,
) -> Sync:
    """Change options. A new interval counts from now; options hold from the next run on.

    Where another option of reading makes another table of the same file, the next run reads the
    source anew even if it has not changed.
    """
    sync = await find_sync(connection, account_id=account_id, sync_id=sync_id, for_update=True)
    given = {
        field.name: value
        for field in fields(changes)
        if (value := getattr(changes, field.name)) is not None
    }
    if not given:
        return sync
    options = replace(sync.options, **given)
    run_at = sync.run_at
    if options.interval_seconds != sync.options.interval_seconds:
        _check_interval(options.interval_seconds, limits)
        now = await repository.read_clock(connection)
        run_at = now + timedelta(seconds=options.interval_seconds)
    await repository.update_options(
        connection,
        sync_id,
        options,
        run_at=run_at,
        spread_seconds=spread_seconds(sync_id, timedelta(seconds=options.interval_seconds)),
    )
    if not options.reads_like(sync.options):
        await repository.read_anew(connection, sync_id)
    return await find_sync(connection, account_id=account_id, sync_id=sync_id)


async def delete_sync(connection: Connection, *, account_id: UUID, sync_id: UUID) -> None:
    """Stop syncing; the table stays as a standard table.

    A refresh under way is called off. A first import under way goes on as a plain import.
    """
    sync = await find_sync(connection, account_id=account_id, sync_id=sync_id, for_update=True)
    if sync.table_id is not None:
        await abandon_runs(connection, sync, now=await repository.read_clock(connection))
    await repository.delete_sync(connection, sync_id)


async def force_sync(
    connection: Connection,
    jobs_app: App,
    *,
    account_id: UUID,
    sync_id: UUID,
    accept: tuple[Accept, ...],
    limits: SyncLimits,
) -> Forced:
    """Queue a run now, unless one is under way or the last attempt is too recent.

    A sync that waits to be checked is taken out of its batch.
    """
    sync = await find_sync(connection, account_id=account_id, sync_id=sync_id, for_update=True)
    refusal = force_refusal(
        state=sync.state if sync.claim_id is None else SyncState.SUCCESS,
        created_at=sync.created_at,
        attempted_at=sync.attempted_at,
        now=await repository.read_clock(connection),
        gap=timedelta(seconds=limits.sync_now_seconds),
    )
    if refusal is not None:
        reason, seconds = refusal
        return Forced(enqueued=False, reason=reason, retry_after_seconds=seconds)
    await repository.mark_queued(connection, sync_id)
    await start_runs(
        connection,
        jobs_app,
        [sync],
        at_once=limits.runs_at_once,
        accept=accept,
        is_forced=True,
    )
    return Forced(enqueued=True)


async def create_import(
    connection: Connection,
    jobs_app: App,
    *,
    account: Account,
    source: Source,
    file_name: str | None,
    options: SyncOptions,
    content: AsyncIterator[bytes] | None,
    limits: SyncLimits,
) -> UUID:
    """Store a plain import, of a source or of an uploaded file's ``content``, and its job.

    Raises `InvalidRequestError`, or `TooManyImportsError` where the account has as many under way
    as its plan allows.
    """
    if source.is_upload == (content is None):
        raise InvalidRequestError("Give either a url, an item of a service, or a file to import.")
    await check_import_count(connection, account)
    run_id = uuid4()
    await repository.insert_run(
        connection,
        run_id=run_id,
        account_id=account.id,
        sync_id=None,
        log_id=run_id,
        source=checked_source(source, places=limits.places),
        file_name=file_name,
        options=options,
    )
    if content is not None:
        await store_upload(connection, run_id, content, max_bytes=limits.max_file_bytes)
    await check_import_count(connection, account, besides=run_id)
    await defer_run(jobs_app, connection, run_id=run_id, sync_id=None)
    return run_id


async def list_pending_imports(connection: Connection, *, account_id: UUID) -> list[UUID]:
    """Ids of imports of the last 24 hours that have not ended, newest first."""
    since = await repository.read_clock(connection) - PENDING_IMPORTS_SHOWN_FOR
    return await repository.list_unfinished_runs(connection, account_id, since=since)


async def find_run(connection: Connection, *, account_id: UUID, run_id: UUID) -> Run:
    """The run. Raises `UnknownItemError`, also when it is somebody else's."""
    run = await repository.get_run(connection, run_id)
    if run is None or run.account_id != account_id:
        raise UnknownItemError(f"There is no import {run_id}.")
    return run


async def list_log(connection: Connection, *, account_id: UUID, log_id: UUID) -> list[LogEntry]:
    """The traces that a ``log_id`` stands for. Raises `UnknownItemError`."""
    if await logs.account_of_log(connection, log_id) != account_id:
        raise UnknownItemError(f"There is no log {log_id}.")
    return await logs.list_log(connection, log_id)


async def latest_run(connection: Connection, *, log_id: UUID) -> Run | None:
    """The newest run that writes to this log, for its progress."""
    return await repository.latest_run(connection, log_id)


def checked_source(source: Source, *, places: tuple[Place, ...]) -> Source:
    """The source as it is stored, its address validated. Raises `InvalidRequestError`."""
    if source.is_item or source.url is None:
        return source
    return replace(source, url=validate_address(source.url, places=places))


def _check_interval(seconds: int, limits: SyncLimits) -> None:
    minimum = limits.minimum_interval_seconds
    if seconds < minimum:
        words = f"{minimum // 60} minutes" if minimum % 60 == 0 else f"{minimum} seconds"
        raise InvalidRequestError(f"Invalid interval: Sync interval must be at least {words}")
    if seconds > LONGEST_INTERVAL_SECONDS:
        raise InvalidRequestError(
            f"Invalid interval: Sync interval must be at most {LONGEST_INTERVAL_SECONDS} seconds"
        )
