"""Parameters of the calls: names, types, defaults, and the tolerance for how clients spell them.

The models describe the parameters in the OpenAPI document as well. Forms and queries carry only
text, so every type is also taken as text; null and empty text mean "not given".
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from synctables.datasources.source import PUBLIC_URL, Source
from synctables.errors import InvalidRequestError, UnknownItemError
from synctables.importer.model import ColumnType
from synctables.syncs.model import Accept, OnEmpty, SchemaPolicy, SyncOptions
from synctables.syncs.service import SyncChanges

DEFAULT_INTERVAL_SECONDS = 3600
_LONGEST_ITEM_ID = 8_000

_WHOLE_NUMBER = re.compile(r"[+-]?\d{1,18}(?:\.0*)?", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)

_COLUMN_TYPE_SYNONYMS = {
    "binary": ColumnType.BYTEA,
    "bool": ColumnType.BOOLEAN,
    "datetime": ColumnType.TIMESTAMPTZ,
    "decimal": ColumnType.NUMERIC,
    "double": ColumnType.DOUBLE,
    "float": ColumnType.DOUBLE,
    "float8": ColumnType.DOUBLE,
    "int": ColumnType.BIGINT,
    "int8": ColumnType.BIGINT,
    "integer": ColumnType.BIGINT,
    "json": ColumnType.JSONB,
    "number": ColumnType.NUMERIC,
    "string": ColumnType.TEXT,
    "time": ColumnType.TIME,
    "timestamp": ColumnType.TIMESTAMPTZ,
    "timestamptz": ColumnType.TIMESTAMPTZ,
    "varchar": ColumnType.TEXT,
}


def _read_flag(value: Any) -> Any:
    if isinstance(value, str):
        value = {"true": True, "false": False}.get(value.strip().lower(), value)
    if not isinstance(value, bool):
        raise ValueError("it must be true or false")  # noqa: TRY004  # pydantic wants ValueError
    return value


def _read_interval(value: Any) -> int:
    """Seconds. What is no whole number counts as 0, which is below any minimum (reference 1.5)."""
    match value:
        case bool():
            return 0
        case int():
            return value
        case float():
            return int(value) if value.is_integer() else 0
        case str() if _WHOLE_NUMBER.fullmatch(value.strip()):
            return int(value.strip().partition(".")[0])
    return 0


def _read_texts(value: Any) -> Any:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list):
        raise ValueError("it must be a list of texts")  # noqa: TRY004
    return value


def _read_column_types(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, dict):
        raise ValueError("it must be an object of column names and types")  # noqa: TRY004
    return {name: _read_column_type(type_) for name, type_ in value.items()}


def _read_column_type(value: Any) -> ColumnType:
    name = value.strip().lower() if isinstance(value, str) else ""
    if name in _COLUMN_TYPE_SYNONYMS:
        return _COLUMN_TYPE_SYNONYMS[name]
    try:
        return ColumnType(name)
    except ValueError as error:
        known = ", ".join(type_.value for type_ in ColumnType)
        raise ValueError(f"{str(value)[:80]!r} is no type; known are {known}") from error


def _read_share(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("it must be a number from 0 to 1")  # noqa: TRY004
    return value


def _read_wait(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("it must be a number of seconds")  # noqa: TRY004
    return value


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


Flag = Annotated[bool, BeforeValidator(_read_flag)]
Text = Annotated[str, Field(strict=True, max_length=8_000)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_read_texts)]


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    empty_is_given: ClassVar[frozenset[str]] = frozenset()
    """Parameters where null and empty text are a wrong value, not an absent one."""


class OptionParameters(_Parameters):
    """What can be set on a sync and on an import. Unknown keys are ignored."""

    type_guessing: Flag | None = Field(
        None, description="false: columns of text files and spreadsheets are text. Default true."
    )
    quoted_fields_guessing: Flag | None = Field(
        None, description="false: a CSV column with quoted values is text. Default true."
    )
    content_guessing: Flag | None = Field(
        None, description="Stored; geocoding of countries is not applied yet. Default false."
    )
    layer: Text | None = Field(
        None, description="Follow this layer of the file; by default the first that holds rows."
    )
    key_columns: Texts | None = Field(
        None, description="Columns that identify a row. As text: names between commas."
    )
    column_types: Annotated[dict[Text, ColumnType], BeforeValidator(_read_column_types)] | None = (
        Field(None, description="Pinned types, by column name: PostgreSQL's names of the types.")
    )
    schema_policy: Annotated[SchemaPolicy, BeforeValidator(_lower)] | None = Field(
        None, description="When the file's columns change: follow (evolve) or refuse (freeze)."
    )
    max_row_loss: Annotated[float, BeforeValidator(_read_share), Field(ge=0, le=1)] | None = Field(
        None, description="Refuse a version that lacks more than this share of rows. Default 0.9."
    )
    on_empty: Annotated[OnEmpty, BeforeValidator(_lower)] | None = Field(
        None, description="When the file has no rows any more. Default refuse."
    )

    def given(self) -> dict[str, Any]:
        """Options that were given, by their names in `SyncOptions` and `SyncChanges`."""
        names = OptionParameters.model_fields
        return {name: value for name in names if (value := getattr(self, name)) is not None}


class ChangeParameters(OptionParameters):
    """Parameters of ``PUT /synchronizations/:id``. Read-only keys are ignored."""

    interval: Annotated[int, BeforeValidator(_read_interval)] | None = Field(
        None, description="Seconds between synchronizations; at least 900 unless configured."
    )

    def to_changes(self) -> SyncChanges:
        return SyncChanges(interval_seconds=self.interval, **self.given())


class SourceParameters(OptionParameters):
    url: Text | None = Field(None, description="Public http or https address of the file.")
    table_name: Text | None = Field(None, description="Name for the table, if it is free.")
    service_name: Any = Field(
        None, description="gdrive, dropbox or box: a file of that service; else null or absent."
    )
    service_item_id: Any = Field(
        None, description="Id, path or shared link of the service's file, as list_files gives it."
    )
    connector: Any = Field(None, description="Not supported yet.")
    remote_visualization_id: Any = Field(None, description="Not supported yet.")
    create_vis: Any = Field(None, description="Accepted; maps are not made yet.")

    @property
    def names_source(self) -> bool:
        """Whether a source is named at all; else a file may come along."""
        return bool(self.url) or self._names_item

    def require_source(self) -> Source:
        """The source; an item of a service counts before an address.

        Raises `InvalidRequestError` for sources of later versions, or for none. Whether there is
        such a service is not looked at.
        """
        self._refuse_unsupported()
        item_id = self._item_id()
        if self._names_item:
            if item_id is None:
                raise InvalidRequestError(
                    "The parameter service_item_id is missing: the file's id, path or shared link."
                )
            return Source(service_name=self.service_name, service_item_id=item_id)
        url = (self.url or item_id or "").strip()
        if not url:
            raise InvalidRequestError("The parameter url is missing: the address of the file.")
        return Source(url=url)

    @property
    def _names_item(self) -> bool:
        return self.service_name not in (None, "", PUBLIC_URL)

    def _item_id(self) -> str | None:
        if not isinstance(self.service_item_id, str | None):
            raise InvalidRequestError("service_item_id field should be empty or a string")
        if self.service_item_id and len(self.service_item_id) > _LONGEST_ITEM_ID:
            raise InvalidRequestError(
                f"Invalid service_item_id: it has more than {_LONGEST_ITEM_ID} characters"
            )
        return (self.service_item_id or "").strip() or None

    def _refuse_unsupported(self) -> None:
        if not isinstance(self.service_name, str | None):
            raise InvalidRequestError("Invalid service_name: it must be a text")
        for name in ("connector", "remote_visualization_id"):
            if getattr(self, name) not in (None, ""):
                raise _unsupported(f"The parameter {name} is")


class CreateParameters(SourceParameters):
    """Parameters of ``POST /synchronizations``."""

    empty_is_given = frozenset({"interval"})

    interval: Annotated[int | None, BeforeValidator(_read_interval)] = Field(
        None,
        description="Seconds between synchronizations; at least 900 unless configured. "
        "Default 3600.",
    )

    def to_options(self, *, minimum_interval_seconds: int) -> SyncOptions:
        default = max(DEFAULT_INTERVAL_SECONDS, minimum_interval_seconds)
        interval = default if self.interval is None else self.interval
        return SyncOptions(
            interval_seconds=interval, table_name=self.table_name or None, **self.given()
        )


class ImportParameters(SourceParameters):
    """Parameters of ``POST /imports``: of a URL, or beside an uploaded file."""

    privacy: Text | None = Field(
        None, description="private, public or link. Tables are private until maps come."
    )
    collision_strategy: Annotated[Literal["skip", "overwrite"], BeforeValidator(_lower)] | None = (
        Field(None, description="Taken for compatibility: a name that is taken gets a number.")
    )
    sql: Any = Field(None, description="Not supported yet.")
    table_copy: Any = Field(None, description="Not supported yet.")

    def check(self) -> None:
        """Raise `InvalidRequestError` for values that the documented API refuses."""
        self._refuse_unsupported()
        for name in ("sql", "table_copy"):
            if getattr(self, name) not in (None, ""):
                raise _unsupported(f"An import by {name} is")
        self._item_id()
        if self.privacy is not None and self.privacy.lower() not in ("private", "public", "link"):
            raise InvalidRequestError(
                f"Unknown value '{self.privacy[:80]}' for 'privacy'. "
                "Allowed values are: private, public and link"
            )

    def to_options(self) -> SyncOptions:
        return SyncOptions(
            interval_seconds=DEFAULT_INTERVAL_SECONDS,
            table_name=self.table_name or None,
            **self.given(),
        )


class ForceParameters(_Parameters):
    """Parameters of ``PUT /synchronizations/:id/sync_now``."""

    accept: Annotated[tuple[Accept, ...], BeforeValidator(_read_texts)] = Field(
        (), description="Refusals that this one run overrides. As text: words between commas."
    )


class _WaitParameters(_Parameters):
    accept: Annotated[tuple[Accept, ...], BeforeValidator(_read_texts)] = Field(
        (), description="Refusals to leave out. As text: words between commas."
    )
    wait: Annotated[float, BeforeValidator(_read_wait), Field(ge=0)] | None = Field(
        None, description="Seconds to wait for the result; 55 unless configured, and at most."
    )


class PreviewParameters(OptionParameters, _WaitParameters):
    """Parameters of ``POST /synchronizations/:id/preview``."""

    def changed(self, options: SyncOptions) -> SyncOptions:
        """The sync's options, with those that were given in their place."""
        return replace(options, **self.given())


class PreviewAddressParameters(SourceParameters, _WaitParameters):
    """Parameters of ``POST /preview``: those of a creation."""

    interval: Any = Field(None, description="Taken, so that the body of a creation can be sent.")

    def to_options(self) -> SyncOptions:
        return SyncOptions(
            interval_seconds=DEFAULT_INTERVAL_SECONDS,
            table_name=self.table_name or None,
            **self.given(),
        )


Model = TypeVar("Model", bound=_Parameters)


def parse(model: type[Model], parameters: Mapping[str, Any]) -> Model:
    """Parameters as a model; null and empty text count as absent. Raises `InvalidRequestError`."""
    given = {
        name: value
        for name, value in parameters.items()
        if value not in (None, "") or name in model.empty_is_given
    }
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "parameters"
        reason = first["msg"].removeprefix("Value error, ")
        raise InvalidRequestError(f"Invalid {name}: {reason}") from error


def parse_id(text: str, *, what: str) -> UUID:
    """An id from a path. Raises `UnknownItemError` for what cannot be one."""
    if not _UUID.fullmatch(text):
        raise UnknownItemError(f"There is no {what} with this id.")
    return UUID(text)


def _unsupported(subject: str) -> InvalidRequestError:
    return InvalidRequestError(f"{subject} not supported yet. Give the url of a file.")
