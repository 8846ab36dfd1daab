"""A column of text whose type its values decide, or that stays text."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from synctables.importer.infer.column_reader import Reading, Shape
from synctables.importer.infer.columns import ColumnPlan
from synctables.importer.infer.convert import clean_texts, text_array
from synctables.importer.infer.parsed import Parsed
from synctables.importer.infer.report import CellMisfits, shorten
from synctables.importer.infer.text_values import (
    arrow_type,
    first_value_index,
    is_blank,
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
    kept_reason,
    need_of_contract,
    provisional_type,
    type_of,
)
from synctables.importer.model import Column, ColumnType


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A value for the report: its row, from 1, and its text."""

    row: int
    text: str

    def __str__(self) -> str:
        return f'row {self.row} holds "{self.text}"'


class GuessedColumn:
    """The join of the needs of all values, and of the contract's type where there is one."""

    def __init__(self, plan: ColumnPlan, *, is_guessed: bool) -> None:
        """``is_guessed``: False keeps any value text."""
        self.plan = plan
        self._is_guessed = is_guessed
        self._need = need_of_contract(plan.contract) if plan.contract else NOTHING
        self._first: Cell | None = None
        self._change: tuple[ColumnType, Cell] | None = None
        """The type until the first value that it could not hold, and that value."""

    @property
    def shape(self) -> Shape:
        column_type = type_of(self._need) or ColumnType.TEXT
        arrow = arrow_type(column_type, self._need)
        return Shape(type=column_type, arrow=arrow, order=date_order(self._need))

    def read(self, array: pa.Array, misfits: CellMisfits) -> Reading:
        values = clean_texts(text_array(array), misfits)
        parsed = self._parse(values)
        joined = join(self._need, parsed.need)
        self._note(values, joined, misfits.first_row)
        self._need = joined
        return Reading(values=values, parsed=parsed, misfits=misfits)

    def typed(self, reading: Reading) -> pa.Array:
        return typed_array(
            reading.parsed, reading.values, column_type=self.shape.type, need=self._need
        )

    def column(self) -> Column:
        return Column(
            name=self.plan.name,
            field=self.plan.field,
            type=self.shape.type,
            reason=self.widening or self._reason(),
        )

    @property
    def widening(self) -> str | None:
        contract = self.plan.contract
        if contract is None or contract.type is self.shape.type:
            return None
        cell = self._change[1] if self._change else self._first
        return f"widened from {contract.type}: {cell}"

    def _parse(self, values: pa.StringArray) -> Parsed:
        if self._is_guessed:
            return read_text(values, expected=self._need.kind)
        return Parsed(need=NOTHING if is_blank(values) else TEXT, array=values)

    def _note(self, values: pa.StringArray, joined: Need, first_row: int) -> None:
        """Remember the first value of all, and the first that changed the type."""
        need = self._need
        if self._first is None and (index := first_value_index(values)) >= 0:
            self._first = _cell(values, index, first_row)
            if need.kind is Kind.NOTHING:
                need = self._parse(values.slice(index, 1)).need
        before = provisional_type(need)
        if self._change is None and before is not None and provisional_type(joined) is not before:
            self._change = (before, _cell(values, self._find_change(values, need), first_row))

    def _find_change(self, values: pa.StringArray, need: Need) -> int:
        """The first value after which the type is another than that of ``need``, by halving."""
        before = provisional_type(need)
        start, end = 0, len(values)
        while end - start > 1:
            middle = (start + end) // 2
            joined = join(need, self._parse(values.slice(start, middle - start)).need)
            if provisional_type(joined) is before:
                need, start = joined, middle
            else:
                end = middle
        return start

    def _reason(self) -> str:
        is_date = self.shape.type in (ColumnType.DATE, ColumnType.TIMESTAMPTZ)
        if is_date and self.shape.order != YEAR_FIRST:
            return f"every date is written {self.shape.order}"
        if self.plan.contract is not None:
            return kept_reason(self.plan.contract)
        if self._first is None:
            return "no values"
        return self._reason_of_guess() if self._is_guessed else "text that is not guessed"

    def _reason_of_guess(self) -> str:
        if self._need.kind is Kind.MOMENT and is_ambiguous(self._need):
            return "no value tells day and month apart"
        if self._change is not None:
            before, cell = self._change
            return f"{before} until {cell}"
        return str(self._first) if self._need.kind is Kind.TEXT else "fits every value"


def _cell(values: pa.StringArray, index: int, first_row: int) -> Cell:
    return Cell(row=first_row + index, text=shorten(values[index].as_py()))
