"""A column whose type the file itself declares."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from synctables.importer.infer.column_reader import Reading, Shape
from synctables.importer.infer.columns import ColumnPlan
from synctables.importer.infer.convert import (
    clean_texts,
    date_array,
    float_array,
    moment_array,
    plain_array,
    text_array,
    time_array,
)
from synctables.importer.infer.json_values import canonical_array
from synctables.importer.infer.parsed import Parsed
from synctables.importer.infer.report import CellMisfits
from synctables.importer.infer.text_values import arrow_type
from synctables.importer.infer.types import Kind, Need, kept_reason, need_of_type
from synctables.importer.model import Column, ColumnType


class DeclaredColumn:
    """Takes the declared type; a value can only fail to fit where ours is narrower."""

    def __init__(self, plan: ColumnPlan, arrow: pa.DataType, *, declared: ColumnType) -> None:
        self.plan = plan
        self.shape = Shape(type=declared, arrow=arrow_type(declared, _need(declared, arrow)))
        self._parsed = Parsed(need=need_of_type(declared), array=pa.nulls(0))

    widening: str | None = None

    def read(self, array: pa.Array, misfits: CellMisfits) -> Reading:
        return Reading(values=plain_array(array), parsed=self._parsed, misfits=misfits)

    def typed(self, reading: Reading) -> pa.Array:
        values = reading.values
        if self.shape.type is ColumnType.JSONB:
            texts = clean_texts(text_array(values), reading.misfits)
            return canonical_array(texts, reading.misfits)
        if pa.types.is_timestamp(values.type):
            return moment_array(values, reading.misfits)
        if pa.types.is_floating(values.type):
            return float_array(values)
        if pa.types.is_time(values.type):
            return time_array(values, reading.misfits)
        if pa.types.is_date(values.type):
            return date_array(values, reading.misfits)
        return pc.cast(values, self.shape.arrow)

    def column(self) -> Column:
        contract = self.plan.contract
        return Column(
            name=self.plan.name,
            field=self.plan.field,
            type=self.shape.type,
            reason=kept_reason(contract) if contract else "as the file declares",
        )


def _need(declared: ColumnType, arrow: pa.DataType) -> Need:
    if pa.types.is_decimal(arrow):
        return Need(kind=Kind.NUMBER, scale=max(0, arrow.scale))
    return need_of_type(declared)
