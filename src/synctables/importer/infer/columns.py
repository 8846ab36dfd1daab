"""Which column each field of a layer becomes: its name, what it inherits, what is pinned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from synctables.importer.infer.names import column_base_name, column_names
from synctables.importer.model import Column, ColumnType, Decision, Field


@dataclass(frozen=True, kw_only=True)
class ColumnPlan:
    """A field on its way to a column."""

    index: int
    """Position among the layer's fields: the Arrow column is ``f{index}``."""
    field: str
    name: str
    contract: Column | None = None
    """The column of the live table that this field continues."""
    pinned: ColumnType | None = None


def plan_columns(
    fields: Sequence[Field],
    *,
    contract: Sequence[Column],
    pinned: dict[str, ColumnType],
    taken: Iterable[str] = (),
    consumed: frozenset[int] = frozenset(),
) -> tuple[ColumnPlan, ...]:
    """Plan one column for each field, but for those ``consumed`` as geometry, in file order.

    A field that the contract knows keeps its column's name; new ones get names that collide with
    none of the contract, not even with those of columns that vanished, and with none of ``taken``.
    """
    indexes = [index for index in range(len(fields)) if index not in consumed]
    known = _match_contract(fields, indexes, contract)
    new = [index for index in indexes if index not in known]
    names = dict(
        zip(new, _new_names(fields, new, taken=[*taken, *(c.name for c in contract)]), strict=True)
    ) | {index: column.name for index, column in known.items()}
    return tuple(
        ColumnPlan(
            index=index,
            field=fields[index].name,
            name=names[index],
            contract=known.get(index),
            pinned=pinned.get(names[index]),
        )
        for index in indexes
    )


def vanished_columns(
    plans: Sequence[ColumnPlan], contract: Sequence[Column]
) -> tuple[Decision, ...]:
    """One decision for each column of the contract that the file no longer has."""
    present = {plan.name for plan in plans}
    return tuple(
        Decision(
            subject=f"column {column.name}",
            choice="kept, its values are NULL",
            reason=f'the file no longer has the field "{column.field}"',
        )
        for column in contract
        if column.name not in present
    )


def idle_pins(plans: Sequence[ColumnPlan], pinned: dict[str, ColumnType]) -> tuple[Decision, ...]:
    """One decision for each pinned type whose column the file does not have."""
    present = {plan.name for plan in plans}
    return tuple(
        Decision(
            subject=f"pinned type of {name}",
            choice="not applied",
            reason="the file has no such column",
        )
        for name in pinned
        if name not in present
    )


def _new_names(fields: Sequence[Field], new: Sequence[int], *, taken: list[str]) -> tuple[str, ...]:
    headers = [fields[index].name or f"field_{index + 1}" for index in new]
    return column_names(headers, taken=taken)


def _match_contract(
    fields: Sequence[Field], indexes: Sequence[int], contract: Sequence[Column]
) -> dict[int, Column]:
    """Pair fields with columns: the same header first, then a header that asks for the same name.

    Equal headers (and columns without one) pair in file order.
    """
    left = list(contract)
    known: dict[int, Column] = {}
    for same in (_is_same_field, _asks_for_name):
        for index in indexes:
            if index in known:
                continue
            column = next((c for c in left if same(fields[index], index, c)), None)
            if column is not None:
                known[index] = column
                left.remove(column)
    return known


def _is_same_field(field: Field, index: int, column: Column) -> bool:
    return field.name == column.field and (bool(field.name) or column.name == f"field_{index + 1}")


def _asks_for_name(field: Field, index: int, column: Column) -> bool:
    return bool(field.name) and column_base_name(field.name, position=index + 1) == column.name
