"""Where a layer goes, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from synctables.catalog.tables import Table
from synctables.importer.model import Column, RowCounts

Connection = AsyncConnection[DictRow]


class Way(StrEnum):
    """The three ways to apply."""

    CREATE = "create"
    DELTA = "delta"
    REWRITE = "rewrite"


class PairedBy(StrEnum):
    """What a row that changed is known again by."""

    DECLARED_KEY = "declared_key"
    DETECTED_KEY = "detected_key"
    POSITION = "position"


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """How a refresh paired rows that changed: by which columns, or by their place in the file."""

    by: PairedBy
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Target:
    """The table to create (``live`` is None) or to refresh."""

    account_id: UUID
    schema_name: str
    table_name: str
    """The name to give it; the next free one is taken where something has it."""
    live: Table | None
    contract: tuple[Column, ...]
    """Columns that earlier versions gave the live table; those not in the file become NULL."""
    key_columns: tuple[str, ...] = ()
    """The declared key: a row that changed keeps its ``cartodb_id`` by it."""
    is_kept_fresh: bool = True
    """Refreshes will follow, so remember what they compare with."""


@dataclass(frozen=True, kw_only=True)
class Applied:
    """A table that equals its layer, as soon as the transaction commits."""

    table: Table
    columns: tuple[Column, ...]
    """The new contract: the layer's columns, then those that vanished from the file."""
    rows: RowCounts
    way: Way
    schema_changes: tuple[str, ...] = ()
    census: Mapping[int, int] = field(default_factory=dict)
    """Of a created table: the transaction that wrote its rows, and how many these are."""
    pairing: Pairing | None = None
    hand_edit_count: int | None = 0
    """Rows that others had edited, all of them healed; None: healed, but not told apart."""
