"""What type a set of values needs: a join-semilattice, so that order and chunks cannot matter.

Every value has a `Need`; the need of many values is the `join` of theirs, and `type_of` names the
strictest column type in which none of them loses its identity (importer.md, "Infer"). Joining is
commutative, associative and idempotent; nothing here reads a sample or the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from synctables.importer.model import Column, ColumnType

EXACT_DOUBLE_DIGITS = 15
"""Decimal digits that any double keeps (DBL_DIG)."""
NUMERIC_DIGITS = 38
"""Digits that an Arrow decimal128 keeps."""

DAY_FIRST = "day/month/year"
MONTH_FIRST = "month/day/year"
YEAR_FIRST = "year-month-day"


class Kind(Enum):
    """The families of types that do not mix."""

    NOTHING = auto()
    BOOLEAN = auto()
    NUMBER = auto()
    MOMENT = auto()
    TIME = auto()
    TEXT = auto()
    JSON = auto()
    BYTES = auto()


@dataclass(frozen=True, kw_only=True)
class Form:
    """A way to write dates: the order of their parts, and what separates them."""

    order: str
    separator: str = ""


ISO_FORM = Form(order=YEAR_FIRST)
DAY_FORMS = frozenset(Form(order=DAY_FIRST, separator=mark) for mark in "/.-")
MONTH_FORMS = frozenset(Form(order=MONTH_FIRST, separator=mark) for mark in "/.-")
ALL_FORMS = DAY_FORMS | MONTH_FORMS | {ISO_FORM}


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a set of values needs of its column's type.

    Numbers: ``has_point`` (some value is not a plain integer), ``is_long`` (some value has more
    significant digits than a double keeps, or lies outside its range), ``exceeds_bigint``,
    ``has_negative_zero`` (which numeric cannot hold), and the most digits before and after the
    point. Moments: ``has_time``, and the ``forms`` in which every value can be read.
    """

    kind: Kind
    has_point: bool = False
    is_long: bool = False
    exceeds_bigint: bool = False
    has_negative_zero: bool = False
    whole_digits: int = 0
    scale: int = 0
    has_time: bool = False
    forms: frozenset[Form] = frozenset()


NOTHING = Need(kind=Kind.NOTHING)
TEXT = Need(kind=Kind.TEXT)


def join(first: Need, second: Need) -> Need:
    """The least need that covers both."""
    if first.kind is Kind.NOTHING:
        return second
    if second.kind is Kind.NOTHING:
        return first
    if first.kind is not second.kind:
        return TEXT
    if first.kind is Kind.NUMBER:
        return _join_numbers(first, second)
    if first.kind is Kind.MOMENT:
        return _join_moments(first, second)
    return first


def _join_numbers(first: Need, second: Need) -> Need:
    return Need(
        kind=Kind.NUMBER,
        has_point=first.has_point or second.has_point,
        is_long=first.is_long or second.is_long,
        exceeds_bigint=first.exceeds_bigint or second.exceeds_bigint,
        has_negative_zero=first.has_negative_zero or second.has_negative_zero,
        whole_digits=max(first.whole_digits, second.whole_digits),
        scale=max(first.scale, second.scale),
    )


def _join_moments(first: Need, second: Need) -> Need:
    forms = first.forms & second.forms
    if not forms:
        return TEXT
    return Need(kind=Kind.MOMENT, has_time=first.has_time or second.has_time, forms=forms)


def type_of(need: Need) -> ColumnType | None:
    """The strictest type that keeps all that ``need`` stands for; None: there are no values.

    Dates whose day and month no value settles are text.
    """
    if need.kind is Kind.MOMENT and is_ambiguous(need):
        return ColumnType.TEXT
    return provisional_type(need)


def provisional_type(need: Need) -> ColumnType | None:
    """As `type_of`, but ambiguous dates count as dates: a later value may settle them."""
    match need.kind:
        case Kind.NUMBER:
            return _number_type(need)
        case Kind.MOMENT:
            return ColumnType.TIMESTAMPTZ if need.has_time else ColumnType.DATE
        case kind:
            return _SIMPLE_TYPES[kind]


_SIMPLE_TYPES: dict[Kind, ColumnType | None] = {
    Kind.NOTHING: None,
    Kind.BOOLEAN: ColumnType.BOOLEAN,
    Kind.TIME: ColumnType.TIME,
    Kind.TEXT: ColumnType.TEXT,
    Kind.JSON: ColumnType.JSONB,
    Kind.BYTES: ColumnType.BYTEA,
}


def _number_type(need: Need) -> ColumnType:
    if not need.has_point and not need.exceeds_bigint:
        return ColumnType.BIGINT
    if not need.is_long:
        return ColumnType.DOUBLE
    if need.whole_digits + need.scale <= NUMERIC_DIGITS and not need.has_negative_zero:
        return ColumnType.NUMERIC
    return ColumnType.TEXT


def is_ambiguous(need: Need) -> bool:
    """Whether no value has settled which number is the day and which the month."""
    return {form.order for form in need.forms} == {DAY_FIRST, MONTH_FIRST}


def date_order(need: Need) -> str:
    """The order in which the moments of a settled ``need`` are written."""
    orders = {form.order for form in need.forms}
    return orders.pop() if len(orders) == 1 else YEAR_FIRST


_NEEDS_OF_TYPES = {
    ColumnType.BOOLEAN: Need(kind=Kind.BOOLEAN),
    ColumnType.BIGINT: Need(kind=Kind.NUMBER),
    ColumnType.DOUBLE: Need(kind=Kind.NUMBER, has_point=True),
    ColumnType.NUMERIC: Need(kind=Kind.NUMBER, has_point=True, is_long=True),
    ColumnType.DATE: Need(kind=Kind.MOMENT, forms=ALL_FORMS),
    ColumnType.TIMESTAMPTZ: Need(kind=Kind.MOMENT, has_time=True, forms=ALL_FORMS),
    ColumnType.TIME: Need(kind=Kind.TIME),
    ColumnType.TEXT: TEXT,
    ColumnType.JSONB: Need(kind=Kind.JSON),
    ColumnType.BYTEA: Need(kind=Kind.BYTES),
}


def need_of_type(column_type: ColumnType) -> Need:
    """The least need whose type is ``column_type``."""
    return _NEEDS_OF_TYPES[column_type]


def need_of_contract(column: Column) -> Need:
    """What a column of the live table asks of a new version: at least the type that it has.

    A column whose dates were settled once stays settled (its ``reason`` says how), so that a
    version in which every day is below 13 does not turn it into text.
    """
    need = need_of_type(column.type)
    if need.kind is not Kind.MOMENT:
        return need
    if DAY_FIRST in column.reason:
        return Need(kind=Kind.MOMENT, has_time=need.has_time, forms=DAY_FORMS | {ISO_FORM})
    if MONTH_FIRST in column.reason:
        return Need(kind=Kind.MOMENT, has_time=need.has_time, forms=MONTH_FORMS | {ISO_FORM})
    return need


def kept_reason(contract: Column) -> str:
    """Why a column has the type that it has: the table has it.

    How its dates were settled is remembered (`need_of_contract`).
    """
    settled = next((order for order in (DAY_FIRST, MONTH_FIRST) if order in contract.reason), None)
    return f"the table's type; every date is written {settled}" if settled else "the table's type"


def widen(contract: ColumnType, needed: ColumnType, *, is_long: bool = False) -> ColumnType:
    """The least type that holds what ``contract`` held and what ``needed`` stands for.

    ``is_long``: some value of the new version has more than 15 significant digits, so a bigint
    that meets a double becomes numeric.
    """
    need = join(need_of_type(contract), need_of_type(needed))
    if is_long and need.kind is Kind.NUMBER:
        need = join(need, Need(kind=Kind.NUMBER, is_long=True))
    widened = provisional_type(need)
    assert widened is not None  # noqa: S101  # no type's need is NOTHING
    return widened
