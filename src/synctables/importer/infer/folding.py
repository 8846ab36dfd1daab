"""One column's types over all of its rows: what a pass over a layer keeps per column."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from synctables.importer.infer.columns import ColumnPlan
from synctables.importer.infer.convert import (
    declared_type,
    float_array,
    moment_array,
    plain_array,
    text_array,
)
from synctables.importer.infer.parsed import Parsed
from synctables.importer.infer.pins import pinned_array
from synctables.importer.infer.report import Misfits, shorten
from synctables.importer.infer.text_values import (
    arrow_type,
    blank_as_null,
    read_text,
    typed_array,
)
from synctables.importer.infer.types import (
    NOTHING,
    TEXT,
    YEAR_FIRST,
    Kind,
    Need,
    date_order,
    is_ambiguous,
    join,
    need_of_contract,
    need_of_type,
    provisional_type,
    type_of,
)
from synctables.importer.model import Column, ColumnType


@dataclass(frozen=True, kw_only=True)
class Shape:
    """All that a column's physical form depends on; a typed file holds for one shape only."""

    type: ColumnType
    arrow: pa.DataType
    order: str


@dataclass(frozen=True, kw_only=True)
class Change:
    """The first value (row from 1, text) that a column's type so far could not hold."""

    row: int
    text: str
    before: ColumnType


class ColumnFold:
    """The running need of one column, joined over every value in file order."""

    def __init__(self, plan: ColumnPlan, arrow: pa.Field, *, is_guessed: bool, as_text: bool):
        """``is_guessed``: text whose type is told from its values; ``as_text``: keep it text."""
        self.plan = plan
        declared = declared_type(arrow)
        contract = plan.contract.type if plan.contract else None
        self._need = need_of_contract(plan.contract) if plan.contract else NOTHING
        self._own_type: ColumnType | None = None
        if declared is ColumnType.TEXT or as_text:
            self._is_guessed = is_guessed and not as_text
        elif contract not in (None, declared) or _needs_digits(arrow.type):
            self._is_guessed = True
        else:
            self._is_guessed = False
            self._own_type = declared
            self._need = join(self._need, _need_of_arrow(declared, arrow.type))
        self._change: Change | None = None
        self._first: tuple[int, str] | None = None

    @property
    def shape(self) -> Shape:
        """The physical form for the rows so far."""
        column_type = self.plan.pinned or type_of(self._need) or ColumnType.TEXT
        arrow = arrow_type(column_type, self._need)
        return Shape(type=column_type, arrow=arrow, order=date_order(self._need))

    def read(self, array: pa.Array, *, first_row: int) -> Parsed:
        """Take in a chunk whose first row has this number (from 1)."""
        if self._own_type is not None:
            return Parsed(need=self._need, array=plain_array(array))
        values = text_array(array)
        parsed = self._parse(values)
        joined = join(self._need, parsed.need)
        if self._change is None and joined != self._need:
            self._note_change(values, joined, first_row)
        self._need = joined
        return parsed if parsed.need.kind is not Kind.TEXT else Parsed(need=TEXT, array=values)

    def typed(
        self, parsed: Parsed, array: pa.Array, shape: Shape, misfits: Misfits, *, first_row: int
    ) -> pa.Array:
        """A chunk in the physical form ``shape``, which covers the chunk's need."""
        if self.plan.pinned is not None:
            return pinned_array(
                text_array(array), shape.type, shape.arrow, misfits.at(self.plan.name, first_row)
            )
        if self._own_type is not None:
            return _own_array(parsed.array, shape.arrow)
        return typed_array(parsed, text_array(array), column_type=shape.type, need=self._need)

    def column(self) -> Column:
        """The finished column, once every row was read."""
        return Column(
            name=self.plan.name,
            field=self.plan.field,
            type=self.shape.type,
            reason=self._reason(),
        )

    @property
    def widening(self) -> str | None:
        """Why the type is not the contract's any more; None: it is, or there was none."""
        contract = self.plan.contract
        if contract is None or self.plan.pinned or contract.type is self.shape.type:
            return None
        row, text = (
            (self._change.row, self._change.text) if self._change else self._first or (0, "")
        )
        return f'widened from {contract.type}: row {row} holds "{text}"'

    def _parse(self, values: pa.StringArray) -> Parsed:
        if self._is_guessed:
            return read_text(values, expected=self._need.kind)
        is_blank = blank_as_null(values).null_count == len(values)
        return Parsed(need=NOTHING if is_blank else TEXT, array=values)

    def _note_change(self, values: pa.StringArray, joined: Need, first_row: int) -> None:
        before = provisional_type(self._need)
        if before is None or self._first is None:
            self._note_first(values, first_row)
        if before is not None and provisional_type(joined) is not before:
            index = self._find_change(values, before)
            text = shorten(values[index].as_py())
            self._change = Change(row=first_row + index, text=text, before=before)

    def _note_first(self, values: pa.StringArray, first_row: int) -> None:
        index = pc.index(pc.is_valid(blank_as_null(values)), value=True).as_py()
        if index >= 0:
            self._first = (first_row + index, shorten(values[index].as_py()))

    def _find_change(self, values: pa.StringArray, before: ColumnType) -> int:
        """The index of the first value after which the type is another, by halving."""
        need, start, end = self._need, 0, len(values)
        while end - start > 1:
            middle = (start + end) // 2
            joined = join(need, self._parse(values.slice(start, middle - start)).need)
            if provisional_type(joined) is before:
                need, start = joined, middle
            else:
                end = middle
        return start

    def _reason(self) -> str:
        if self.plan.pinned is not None:
            return "pinned"
        if self.widening is not None:
            return self.widening
        order = date_order(self._need)
        if order != YEAR_FIRST and self.shape.type is not ColumnType.TEXT:
            return f"every date is written {order}"
        if self.plan.contract is not None:
            return self.plan.contract.reason
        return self._first_reason()

    def _first_reason(self) -> str:
        if self._own_type is not None:
            return "as in the file"
        if self._need.kind is Kind.NOTHING:
            return "no values"
        if self._change is not None:
            change = self._change
            return f'{change.before} until row {change.row}, which holds "{change.text}"'
        if self._need.kind is Kind.MOMENT and is_ambiguous(self._need):
            return "no value tells day and month apart"
        if not self._is_guessed:
            return "text, not guessed"
        return "fits every value"


def _needs_digits(arrow: pa.DataType) -> bool:
    """Whether only the values tell if the type that the file declares can hold them."""
    return bool(pa.types.is_uint64(arrow) or pa.types.is_decimal256(arrow))


def _need_of_arrow(declared: ColumnType, arrow: pa.DataType) -> Need:
    if pa.types.is_decimal(arrow):
        scale = max(0, arrow.scale)
        return join(
            need_of_type(ColumnType.NUMERIC),
            Need(kind=Kind.NUMBER, scale=scale, whole_digits=arrow.precision - arrow.scale),
        )
    return need_of_type(declared)


def _own_array(array: pa.Array, arrow: pa.DataType) -> pa.Array:
    if pa.types.is_nested(array.type):
        return text_array(array)
    if pa.types.is_timestamp(array.type):
        return moment_array(array)
    if pa.types.is_floating(array.type):
        return float_array(array)
    return pc.cast(array, arrow)
