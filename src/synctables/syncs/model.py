"""A sync, a run, and the words for their states."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from synctables.datasources.base import SourceVersion
from synctables.datasources.source import Source
from synctables.importer.model import Column, ColumnType


class SyncState(StrEnum):
    """The five documented states of a sync."""

    CREATED = "created"
    QUEUED = "queued"
    SYNCING = "syncing"
    SUCCESS = "success"
    FAILURE = "failure"


class RunState(StrEnum):
    """States of a run, by the words of the imports API."""

    PENDING = "pending"
    UPLOADING = "uploading"
    UNPACKING = "unpacking"
    IMPORTING = "importing"
    COMPLETE = "complete"
    FAILURE = "failure"


class SchemaPolicy(StrEnum):
    """What to do when the columns of the source change."""

    EVOLVE = "evolve"
    FREEZE = "freeze"


class OnEmpty(StrEnum):
    """What to do when the source has no rows any more."""

    REFUSE = "refuse"
    ACCEPT = "accept"


class Accept(StrEnum):
    """A refusal that one forced run overrides."""

    ROW_LOSS = "row_loss"
    EMPTY = "empty"
    SCHEMA = "schema"
    HTML = "html"


DEFAULT_MAX_ROW_LOSS = 0.9


@dataclass(frozen=True, kw_only=True)
class SyncOptions:
    """What a user may set on a sync, at creation and later."""

    interval_seconds: int
    table_name: str | None = None
    type_guessing: bool = True
    quoted_fields_guessing: bool = True
    content_guessing: bool = False
    layer: str | None = None
    key_columns: tuple[str, ...] = ()
    column_types: dict[str, ColumnType] = field(default_factory=dict)
    schema_policy: SchemaPolicy = SchemaPolicy.EVOLVE
    max_row_loss: float = DEFAULT_MAX_ROW_LOSS
    on_empty: OnEmpty = OnEmpty.REFUSE

    def reads_like(self, other: SyncOptions) -> bool:
        """Whether both make the same table of the same file."""
        return all(getattr(self, name) == getattr(other, name) for name in _READ_OPTIONS)


_READ_OPTIONS = ("type_guessing", "quoted_fields_guessing", "layer", "column_types")


@dataclass(frozen=True, kw_only=True)
class Sync:
    """The standing instruction: this source, this table, this interval."""

    id: UUID
    account_id: UUID
    table_id: UUID | None
    name: str | None
    url: str | None
    """None: an item whose page for people is not known (yet)."""
    service_name: str | None
    service_item_id: str | None
    """The address itself where there is no service."""
    options: SyncOptions
    state: SyncState
    created_at: datetime
    updated_at: datetime
    run_at: datetime
    ran_at: datetime
    attempted_at: datetime | None
    modified_at: datetime | None
    retried_times: int
    log_id: UUID
    error_code: int | None
    error_message: str | None
    version: SourceVersion
    claim_id: UUID | None
    """The claim whose check it waits for: it is queued, but no run of it is."""
    reads_anew: bool
    """Other options of reading were set since: the same version makes another table now."""
    followed_layer: str | None
    """The layer that the table holds; preferred where ``options.layer`` names none."""
    contract: tuple[Column, ...]
    visualization_id: UUID | None
    from_external_source: bool

    @property
    def source(self) -> Source:
        item_id = self.service_item_id if self.service_name else None
        return Source(url=self.url, service_name=self.service_name, service_item_id=item_id)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One attempt at a sync, or one plain import: where it stands and how it ended."""

    id: UUID
    account_id: UUID
    sync_id: UUID | None
    log_id: UUID
    state: RunState
    source: Source
    """An uploaded file is kept in ``upload_chunks`` until the run ends."""
    file_name: str | None
    options: SyncOptions
    accept: tuple[Accept, ...]
    is_forced: bool
    """Somebody asked for it; it was not due."""
    attempt_count: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error_code: int | None
    error_message: str | None
    http_status: int | None
    table_id: UUID | None
    table_names: tuple[str, ...]
    left_out_layers: tuple[str, ...]
    report: dict[str, object]
    progress: dict[str, object]


@dataclass(frozen=True, kw_only=True)
class LogEntry:
    at: datetime
    run_id: UUID | None
    level: str
    stage: str | None
    message: str
