"""The frozen values that one stage hands to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal


class Stage(StrEnum):
    """The seven stages, in their order."""

    FETCH = "fetch"
    UNPACK = "unpack"
    READ = "read"
    INFER = "infer"
    GATE = "gate"
    APPLY = "apply"
    PUBLISH = "publish"


class ColumnType(StrEnum):
    """A column's PostgreSQL type, by PostgreSQL's name."""

    BOOLEAN = "boolean"
    BIGINT = "bigint"
    DOUBLE = "double precision"
    NUMERIC = "numeric"
    DATE = "date"
    TIMESTAMPTZ = "timestamp with time zone"
    TIME = "time without time zone"
    TEXT = "text"
    JSONB = "jsonb"
    BYTEA = "bytea"


ID_COLUMN = "cartodb_id"
GEOMETRY_COLUMN = "the_geom"
WEBMERCATOR_COLUMN = "the_geom_webmercator"
SYSTEM_COLUMNS = (ID_COLUMN, GEOMETRY_COLUMN, WEBMERCATOR_COLUMN)
HASH_COLUMNS = ("#hash_low", "#hash_high")
"""Both halves of each row's hash in the typed file; no column of a table."""

MAX_TABLES_PER_IMPORT = 26
ASSUMED_CRS = "OGC:CRS84"
"""What GeoJSON means where it names no system (RFC 7946, section 4)."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table: its name there, the field it comes from, its type and why."""

    name: str
    field: str
    type: ColumnType
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What the user asked of unpack, read and infer."""

    type_guessing: bool = True
    quoted_fields_guessing: bool = True
    layer: str | None = None
    """Follow this layer only; None: the first that holds rows, or all with `every_layer`."""
    preferred_layer: str | None = None
    """Where no ``layer`` is asked for and this one is there, follow it."""
    every_layer: bool = False
    accept_html: bool = False
    """Read an HTML or XML page as text instead of refusing it."""
    column_types: dict[str, ColumnType] = field(default_factory=dict)
    """Pinned types, by column name."""
    contract: tuple[Column, ...] = ()
    """Columns of earlier versions: names and types to keep (sticky)."""
    taken_names: tuple[str, ...] = ()
    """Names that no new column gets: those of columns that users added to the table."""


@dataclass(frozen=True, kw_only=True)
class LiveColumns:
    """The columns of a table as a run finds them."""

    types: dict[str, str]
    """Of every column, as PostgreSQL prints it."""
    others: frozenset[str] = frozenset()
    """Columns that users added; no version of the file gave them to the table."""
    in_file: frozenset[str] | None = None
    """Columns that the last version of the file had; None: nobody remembers."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Caps that hold while unpacking and reading."""

    max_bytes: int
    max_members: int = 10_000
    max_expansion_ratio: int = 1_000
    max_layers: int = 50
    max_tables: int = MAX_TABLES_PER_IMPORT
    max_columns: int = 1_597


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What the account's plan leaves for one run; None: as much as there is."""

    max_rows: int | None = None
    """Of one table."""
    table_count: int | None = None
    """How many more tables."""
    storage_bytes: int | None = None
    """Of all tables that the run makes, or of the one that it refreshes."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One thing decided on the way (delimiter, encoding, layer, CRS, …), for the report."""

    subject: str
    choice: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """Cells that did not fit: how many, why, and up to three examples (row number, text)."""

    column: str
    count: int
    reason: str
    examples: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file in the workspace that may hold layers. ``name`` keeps its path in the archive."""

    name: str
    path: Path
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    members: tuple[Member, ...]
    decisions: tuple[Decision, ...] = ()


Format = Literal[
    "csv",
    "xlsx",
    "xls",
    "xlsb",
    "ods",
    "json",
    "parquet",
    "geojson",
    "geojsonseq",
    "topojson",
    "esrijson",
    "shapefile",
    "mapinfo",
    "gpkg",
    "filegdb",
    "flatgeobuf",
    "kml",
    "gpx",
    "gml",
    "osm",
]


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a layer, named as in the file (empty where it has no name there)."""

    name: str
    is_text_to_guess: bool = False
    """Its values are text whose type may be guessed (delimited text)."""
    is_quoted: bool = False
    """At least one of its values stands in quotes (delimited text)."""
    turns_to_text: bool = False
    """It begins with numbers, but some later value is none, as far as the reader could see.

    A hint that saves infer a pass over the rows; it decides nothing.
    """


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One table-shaped thing inside a member, found but not yet typed.

    Its rows come as a stream of Arrow batches with the columns ``f0``, ``f1``, … (one for each of
    ``fields``, in file order) and, where ``has_geometry``, a last column ``geometry`` of WKB in
    ``crs``. ``details`` holds what the reader of this format needs to open the layer again
    (dialect, sheet, …), as JSON values.
    """

    name: str
    member: Member
    format: Format
    fields: tuple[Field, ...]
    has_geometry: bool = False
    crs: str | None = None
    """Anything PROJ understands (``EPSG:25830``, WKT, PROJJSON); None: the file does not say."""
    details: dict[str, object] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()
    misfits: tuple[Misfit, ...] = ()
    table_name: str
    """What to name a table after: the file, or file and layer where it has several."""


@dataclass(frozen=True, kw_only=True)
class Layers:
    layers: tuple[Layer, ...]
    left_out: tuple[str, ...] = ()
    """Names of layers beyond the limit of tables of one import."""


@dataclass(frozen=True, kw_only=True)
class TypedLayer:
    """A layer re-written as one Arrow file (IPC) of final names and types.

    The file's columns are, in this order: ``the_geom`` and ``the_geom_webmercator`` (binary,
    little-endian EWKB with SRID 4326 and 3857, or NULL), then ``columns`` under their names:
    bool, int64, float64, decimal128 (numeric; or string), date32, timestamp[us, UTC], time64[us],
    string (text and jsonb), binary; the last two are `HASH_COLUMNS` (uint64, never NULL). Rows are
    in file order.
    """

    name: str
    path: Path
    columns: tuple[Column, ...]
    row_count: int
    signature_tag: str
    """Names how the rows were hashed; hashes of another tag are not to be compared with these."""
    geometry_types: tuple[str, ...] = ()
    misfits: tuple[Misfit, ...] = ()
    decisions: tuple[Decision, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Typed:
    layers: tuple[TypedLayer, ...]


@dataclass(frozen=True, kw_only=True)
class RowCounts:
    """What a refresh did to the rows of the table."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0

    @property
    def total(self) -> int:
        """Rows in the table afterwards."""
        return self.inserted + self.updated + self.unchanged

    @property
    def changed(self) -> bool:
        return bool(self.inserted or self.updated or self.deleted)
