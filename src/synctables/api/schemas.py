"""What the API answers: the documented keys, in one place."""

from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Annotated, Any, Self
from urllib.parse import unquote, urlsplit
from uuid import UUID

from pydantic import BaseModel, Field, PlainSerializer, WithJsonSchema

from synctables.datasources.source import Source
from synctables.errors import describe_code
from synctables.importer.model import MAX_TABLES_PER_IMPORT, ColumnType
from synctables.syncs.model import (
    LogEntry,
    OnEmpty,
    Run,
    RunState,
    SchemaPolicy,
    Sync,
    SyncOptions,
    SyncState,
)
from synctables.syncs.service import Forced

_NOT_MODIFIED = 304


def format_time(value: datetime) -> str:
    """ISO-8601 with ``+00:00`` and whole seconds, as documented."""
    return value.astimezone(UTC).isoformat(timespec="seconds")


Time = Annotated[
    datetime,
    PlainSerializer(format_time, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class Problem(BaseModel):
    """Every error of the API but those of imports."""

    errors: str


class ImportProblemText(BaseModel):
    imports: str


class ImportProblem(BaseModel):
    """Every error of the imports API."""

    errors: ImportProblemText


class Synchronization(BaseModel):
    """A sync: the documented keys, then ours."""

    id: UUID
    name: str | None = Field(description="name of the table; null until it exists")
    interval: int = Field(description="seconds between synchronizations")
    url: str | None = Field(description="address of the file; of an item its page, or null")
    state: SyncState
    created_at: Time
    updated_at: Time = Field(description="when the table's contents last changed")
    run_at: Time = Field(description="when the next run is due")
    retried_times: int = Field(description="consecutive failed runs since the last success")
    log_id: UUID
    error_code: int | None
    error_message: str | None
    ran_at: Time = Field(description="end of the last run that ended with table equal to source")
    modified_at: Time | None
    etag: str | None
    checksum: str = Field(description="the etag, else the content's hash; empty at creation")
    user_id: UUID
    service_name: str | None
    service_item_id: str | None
    type_guessing: bool
    quoted_fields_guessing: bool
    content_guessing: bool
    visualization_id: UUID | None
    from_external_source: bool
    attempted_at: Time | None = Field(description="end of the last attempt, failures included")
    layer: str | None
    key_columns: tuple[str, ...]
    column_types: dict[str, ColumnType]
    schema_policy: SchemaPolicy
    max_row_loss: float
    on_empty: OnEmpty
    source_modified_at: Time | None = Field(description="Last-Modified of the version in the table")

    @classmethod
    def of(cls, sync: Sync, **differences: Any) -> Self:
        """The sync as the API shows it; ``differences`` are what one answer shows otherwise."""
        options = sync.options
        values: dict[str, Any] = {
            **{key: getattr(sync, key) for key in cls.model_fields if key in _SYNC_KEYS},
            **{key: getattr(options, key) for key in cls.model_fields if key in _OPTION_KEYS},
            "interval": options.interval_seconds,
            "user_id": sync.account_id,
            "etag": _unquoted(sync.version.etag),
            "checksum": _unquoted(sync.version.checksum),
            "source_modified_at": sync.version.modified_at,
        }
        return cls(**{**values, **differences})


_OPTION_KEYS = frozenset(SyncOptions.__dataclass_fields__)
_SYNC_KEYS = frozenset(Sync.__dataclass_fields__)


class DataImport(BaseModel):
    endpoint: str
    item_queue_id: UUID = Field(description="id of the first run, for GET /api/v1/imports/:id")


class CreatedSynchronization(Synchronization):
    """A sync in the moment of its creation."""

    data_import: DataImport

    @classmethod
    def of_new(cls, sync: Sync, *, run_id: UUID) -> Self:
        return cls.of(
            sync,
            data_import=DataImport(endpoint="/api/v1/imports", item_queue_id=run_id),
            state=SyncState.CREATED,
            name=None,
            service_item_id=sync.source.service_item_id,
            checksum="",
        )


class SynchronizationList(BaseModel):
    synchronizations: list[Synchronization]
    total_entries: int


class SyncStateAnswer(BaseModel):
    state: SyncState


class ForcedSync(BaseModel):
    """Whether a run was queued; where not, why, and when to ask again."""

    enqueued: bool
    synchronization_id: UUID
    reason: str | None = None
    retry_after_seconds: int | None = None

    @classmethod
    def of(cls, forced: Forced, *, sync_id: UUID) -> Self:
        if forced.enqueued:
            return cls(enqueued=True, synchronization_id=sync_id)
        return cls(
            enqueued=False,
            synchronization_id=sync_id,
            reason=forced.reason,
            retry_after_seconds=forced.retry_after_seconds,
        )


class CreatedImport(BaseModel):
    item_queue_id: UUID
    success: bool = True


class ImportList(BaseModel):
    """Imports of the last 24 hours that have not ended, newest first."""

    imports: list[UUID]
    success: bool = True


class ErrorText(BaseModel):
    title: str
    what_about: str
    source: str = Field(description="user, service or external: who can mend it")

    @classmethod
    def of(cls, run: Run) -> Self | None:
        """Title, this case with what to do, and whose fault; None unless the run failed."""
        if run.state is not RunState.FAILURE:
            return None
        error = describe_code(run.error_code)
        this_case = (run.error_message or error.hint).removeprefix(f"{error.title}. ")
        return cls(title=error.title, what_about=this_case, source=error.blame)


class ImportWarnings(BaseModel):
    rejected_layers: tuple[str, ...]
    max_tables_per_import: int

    @classmethod
    def of(cls, run: Run) -> Self | None:
        if not run.left_out_layers:
            return None
        return cls(rejected_layers=run.left_out_layers, max_tables_per_import=MAX_TABLES_PER_IMPORT)


class Import(BaseModel):
    """One run. ``success`` and what follows it come only where they apply."""

    id: UUID
    user_id: UUID
    table_id: UUID | None
    data_type: str = Field(description="url, datasource or file")
    table_name: str | None
    state: RunState
    error_code: int | None
    queue_id: UUID
    tables_created_count: int | None
    synchronization_id: UUID | None
    type_guessing: bool
    quoted_fields_guessing: bool
    content_guessing: bool
    create_visualization: bool
    visualization_id: UUID | None
    user_defined_limits: str
    get_error_text: ErrorText | None
    display_name: str
    original_url: str | None
    warnings: ImportWarnings | None
    is_raster: bool
    success: bool = Field(default=False, description="only in a final state")
    any_table_raster: bool = Field(default=False, description="only when complete")
    derived_visualization_id: UUID | None = Field(None, description="only when complete")
    http_response_code: int = Field(0, description="the source's status, if it was no success")
    http_response_code_message: str = Field("", description="what that status means")
    report: dict[str, Any] = Field(
        default={},
        description="only when complete: bytes, rows, seconds of each stage, layers with columns "
        "and reasons, schema changes, and of each table the way that was taken, edits by hand that "
        "were found and healed, and what changed rows were paired by; empty: not modified",
    )

    @classmethod
    def of(cls, run: Run) -> Self:
        """The run as the API shows it; keys that do not apply stay unset."""
        names = run.table_names
        is_complete = run.state is RunState.COMPLETE
        return cls(
            id=run.id,
            user_id=run.account_id,
            table_id=run.table_id,
            data_type=_data_type(run.source),
            table_name=names[0] if names else None,
            state=run.state,
            error_code=run.error_code,
            queue_id=run.id,
            tables_created_count=len(names) if is_complete else None,
            synchronization_id=run.sync_id,
            type_guessing=run.options.type_guessing,
            quoted_fields_guessing=run.options.quoted_fields_guessing,
            content_guessing=run.options.content_guessing,
            create_visualization=False,
            visualization_id=None,
            user_defined_limits='{"twitter_credits_limit":0}',
            get_error_text=ErrorText.of(run),
            display_name=display_name(run),
            original_url=run.source.url,
            warnings=ImportWarnings.of(run),
            is_raster=False,
            **_outcome_keys(run),
        )


def _data_type(source: Source) -> str:
    if source.is_item:
        return "datasource"
    return "file" if source.is_upload else "url"


def _outcome_keys(run: Run) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    if run.state in (RunState.COMPLETE, RunState.FAILURE):
        keys["success"] = run.state is RunState.COMPLETE
    if run.state is RunState.COMPLETE:
        keys |= {"any_table_raster": False, "derived_visualization_id": None}
        keys["report"] = run.report
    status = run.http_status
    if status is not None and not 200 <= status < 300 and status != _NOT_MODIFIED:
        keys["http_response_code"] = status
        keys["http_response_code_message"] = status_meaning(status)
    return keys


def display_name(run: Run) -> str:
    """The file's name; for a URL the last part of its path; else the id."""
    address = run.source.service_item_id or run.source.url or ""
    path = run.file_name or urlsplit(address).path
    return PurePosixPath(unquote(path)).name or str(run.id)


_STATUS_MEANINGS = {
    300: "The server offers several files at this address: choose one.",
    301: "The file moved to another address.",
    302: "The file moved to another address for now.",
    303: "The file stands at another address.",
    307: "The file moved to another address for now.",
    400: "The server says that the address is wrong.",
    401: "The server asks for a login.",
    402: "The server asks for a payment.",
    403: "The server refuses to give the file.",
    404: "The server has no file at this address.",
    405: "The server does not let this address be read.",
    407: "A proxy before the server asks for a login.",
    408: "The server closed the connection because it took too long.",
    410: "The file was removed for good.",
    413: "The server says that the request is too large.",
    417: "The server cannot give the file in the way that was asked for.",
    429: "The server was asked too often.",
    500: "The server failed.",
    503: "The server is overloaded or under maintenance.",
    504: "A gateway before the server waited too long.",
    511: "The network asks for a login.",
}
_CLASS_MEANINGS = {
    1: "The server did not finish its answer.",
    3: "The file moved to another address.",
    4: "The server refuses the request.",
    5: "The server failed.",
}


def status_meaning(status: int) -> str:
    """What an HTTP status of the source means for the user."""
    return _STATUS_MEANINGS.get(status) or _CLASS_MEANINGS.get(
        status // 100, "The server's answer is not valid HTTP."
    )


class LogLine(BaseModel):
    at: Time
    level: str
    stage: str | None
    run_id: UUID | None
    message: str

    @classmethod
    def of(cls, entry: LogEntry) -> Self:
        return cls(
            at=entry.at,
            level=entry.level,
            stage=entry.stage,
            run_id=entry.run_id,
            message=entry.message,
        )


class Log(BaseModel):
    """The traces that a ``log_id`` stands for, oldest first."""

    id: UUID
    entries: list[LogLine]
    progress: dict[str, Any] | None = Field(description="of the run under way; null when none is")


class QueueHealth(BaseModel):
    todo: int
    doing: int
    failed: int
    stalled: int = Field(description="being done by a worker that gives no sign of life")
    waiting: int = Field(description="runs above what their account may have at once")


class Orphans(BaseModel):
    """What nobody is at work on any more. It is seen to within seconds; what stays is a fault."""

    syncs: int = Field(description="in a state that something should end, and nothing will")
    tables: int = Field(description="half made")


class Health(BaseModel):
    """Whether the service can do its work. All but ``status`` is null without the database."""

    status: str = Field(description="ok, degraded (no worker alive) or unavailable (no database)")
    database: str = Field(description="ok or unavailable")
    queue: QueueHealth | None
    workers: int | None = Field(description="workers whose heartbeat is fresh")
    oldest_heartbeat_seconds: float | None
    oldest_due_seconds: float | None = Field(
        description="how long the sync that is longest overdue has been so; null: none is"
    )
    orphans: Orphans | None


def _unquoted(etag: str | None) -> str | None:
    """An entity tag as the documented API shows it; within one, RFC 9110 allows no quote."""
    return etag.replace('"', "") if etag else etag
