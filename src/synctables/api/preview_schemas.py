"""What a preview answers."""

from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, Field

from synctables.api.schemas import ErrorText, Time
from synctables.errors import describe_code
from synctables.importer.apply.model import PairedBy, Way
from synctables.importer.model import ColumnType, Stage
from synctables.syncs.previews import Preview, PreviewState


class PreviewColumn(BaseModel):
    name: str
    field: str = Field(description="its name in the file")
    type: ColumnType
    reason: str = Field(description="why it has this type")


class PreviewDecision(BaseModel):
    subject: str = Field(description="delimiter, encoding, layer, geometry, …")
    choice: str
    reason: str


class MisfitCell(BaseModel):
    row: int = Field(description="in the file, from 1")
    text: str


class PreviewMisfit(BaseModel):
    column: str
    count: int = Field(description="cells that do not fit and would be NULL")
    reason: str
    examples: list[MisfitCell]


class Refusal(BaseModel):
    """Why a run would not apply this version."""

    code: int
    title: str
    text: str
    hint: str
    accept: str | None = Field(description="the word that lets it pass once; null: none does")


class PreviewRowCounts(BaseModel):
    inserted: int
    updated: int
    deleted: int
    unchanged: int


class FileRow(BaseModel):
    row: int = Field(description="in the file, from 1")
    values: dict[str, Any] = Field(
        description="by column, `the_geom` as GeoJSON; what is long is cut and ends with …"
    )


class TableRow(BaseModel):
    id: int = Field(description="its cartodb_id")
    values: dict[str, Any]


class OldAndNew(BaseModel):
    old: Any
    new: Any


class ChangedRow(BaseModel):
    id: int = Field(description="its cartodb_id, which it keeps")
    changes: dict[str, OldAndNew] = Field(description="by column, those that change only")


class PreviewExamples(BaseModel):
    """Up to three rows of each kind."""

    inserted: list[FileRow] = []
    updated: list[ChangedRow] = []
    deleted: list[TableRow] = []
    unchanged: list[FileRow] = []


class PairedRows(BaseModel):
    by: PairedBy
    columns: list[str]


class PreviewResult(BaseModel):
    """What a run would find and do. Where the file is refused unread, what follows is empty."""

    is_modified: bool | None = Field(
        description="false: the content is what the table was made of, and a run would end there; "
        "null: there is no table yet"
    )
    file_name: str
    bytes: int
    seconds: float
    stage_seconds: dict[Stage, float]
    etag: str | None
    last_modified: str | None
    content_sha256: str | None
    table_name: str | None = Field(description="of a new table: if the name is free")
    refusals: list[Refusal] = Field(description="all that would be refused; empty: it would pass")
    layer: str | None = None
    row_count: int | None = Field(None, description="rows of the file")
    geometry_types: list[str] = []
    columns: list[PreviewColumn] = []
    decisions: list[PreviewDecision] = []
    misfits: list[PreviewMisfit] = []
    way: Way | None = Field(
        None, description="how it would be applied; null: it cannot be, or is refused unread"
    )
    rows: PreviewRowCounts | None = None
    schema_changes: list[str] = []
    hand_edits: int | None = Field(
        None, description="rows that others edited and a run would heal; null: not told apart"
    )
    paired_by: PairedRows | None = Field(
        None, description="what rows that change are known again by; null: none is"
    )
    first_rows: list[FileRow] = []
    examples: PreviewExamples = PreviewExamples()


class PreviewAnswer(BaseModel):
    """A preview: pending, running, complete with its result, or failed with an error."""

    id: UUID
    synchronization_id: UUID | None
    state: PreviewState
    stage: Stage | None = Field(description="of a preview that is running")
    created_at: Time
    finished_at: Time | None
    error_code: int | None = Field(description="why the source cannot be previewed")
    error_text: ErrorText | None
    http_status: int | None = Field(description="what the source's server answered")
    result: PreviewResult | None

    @classmethod
    def of(cls, preview: Preview) -> Self:
        return cls(
            id=preview.id,
            synchronization_id=preview.sync_id,
            state=preview.state,
            stage=preview.stage,
            created_at=preview.created_at,
            finished_at=preview.finished_at,
            error_code=preview.error_code,
            error_text=_error_text(preview),
            http_status=preview.http_status,
            result=None if preview.result is None else PreviewResult.model_validate(preview.result),
        )


def _error_text(preview: Preview) -> ErrorText | None:
    if preview.state is not PreviewState.FAILURE:
        return None
    error = describe_code(preview.error_code)
    this_case = (preview.error_message or error.hint).removeprefix(f"{error.title}. ")
    return ErrorText(title=error.title, what_about=this_case, source=error.blame)
