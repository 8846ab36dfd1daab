"""What every way of reading a column has in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from synctables.importer.infer.columns import ColumnPlan
from synctables.importer.infer.parsed import Parsed
from synctables.importer.infer.report import CellMisfits
from synctables.importer.infer.types import YEAR_FIRST
from synctables.importer.model import Column, ColumnType


@dataclass(frozen=True, kw_only=True)
class Shape:
    """All that a column's physical form depends on; a typed file holds for one shape only."""

    type: ColumnType
    arrow: pa.DataType
    order: str = YEAR_FIRST


TEXT_SHAPE = Shape(type=ColumnType.TEXT, arrow=pa.string())


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One chunk of a column: its clean values, what they need, and where misfits are reported."""

    values: pa.Array
    parsed: Parsed
    misfits: CellMisfits


class ColumnReader(Protocol):
    """One column over all of its rows: `read` folds chunks in file order, `typed` converts them."""

    @property
    def plan(self) -> ColumnPlan:
        """The field that is read."""

    @property
    def shape(self) -> Shape:
        """The physical form that fits every row read so far."""

    def read(self, array: pa.Array, misfits: CellMisfits) -> Reading:
        """Take in the next chunk; taking in a chunk again changes nothing."""

    def typed(self, reading: Reading) -> pa.Array:
        """A chunk in the physical form of `shape`."""

    @property
    def widening(self) -> str | None:
        """Why the type is not the contract's any more; None: it is, or there was none."""

    def column(self) -> Column:
        """The finished column, once every row was read."""
