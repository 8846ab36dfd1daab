"""A column whose type the user pinned."""

from __future__ import annotations

import pyarrow as pa

from synctables.importer.infer.column_reader import Reading, Shape
from synctables.importer.infer.columns import ColumnPlan
from synctables.importer.infer.convert import clean_texts, text_array
from synctables.importer.infer.parsed import Parsed
from synctables.importer.infer.pins import pinned_array, scale_of
from synctables.importer.infer.report import CellMisfits
from synctables.importer.infer.text_values import arrow_type
from synctables.importer.infer.types import TEXT, Kind, Need
from synctables.importer.model import Column, ColumnType


class PinnedColumn:
    """Converts what fits; the rest becomes NULL and is reported."""

    widening: str | None = None

    def __init__(self, plan: ColumnPlan, *, pinned: ColumnType) -> None:
        self.plan = plan
        self._type = pinned
        self._scale = 0

    @property
    def shape(self) -> Shape:
        need = Need(kind=Kind.NUMBER, scale=self._scale)
        return Shape(type=self._type, arrow=arrow_type(self._type, need))

    def read(self, array: pa.Array, misfits: CellMisfits) -> Reading:
        values = clean_texts(text_array(array), misfits)
        if self._type is ColumnType.NUMERIC:
            self._scale = max(self._scale, scale_of(values))
        return Reading(values=values, parsed=Parsed(need=TEXT, array=values), misfits=misfits)

    def typed(self, reading: Reading) -> pa.Array:
        return pinned_array(reading.values, self._type, self.shape.arrow, reading.misfits)

    def column(self) -> Column:
        return Column(
            name=self.plan.name, field=self.plan.field, type=self._type, reason="pinned by the user"
        )
