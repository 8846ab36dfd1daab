"""Reading text as dates, points in time and times of day."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from synctables.importer.infer.parsed import Parsed, all_match, cast_or_none
from synctables.importer.infer.types import (
    DAY_FIRST,
    ISO_FORM,
    MONTH_FIRST,
    Form,
    Kind,
    Need,
)

_DATE = r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}/[0-9]{2}/[0-9]{2})"
_CLOCK = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6}0*)?)?"
_ZONE = r"(?: ?(?:Z|UTC|[+-][0-9]{2}(?::?[0-9]{2})?))"
_ISO = rf"\A{_DATE}(?:[T ]{_CLOCK}{_ZONE}?)?\z"
_TIME = rf"\A{_CLOCK}\z"
_FIRST_MOMENT = pa.scalar(-62_135_596_800_000_000, pa.int64())  # 0001-01-01: there is no year 0
_LAST_MOMENT = pa.scalar(253_402_300_799_999_999, pa.int64())  # 9999-12-31, as Arrow reads years
_MOMENT = pa.timestamp("us", "UTC")


def read_moments(values: pa.StringArray) -> Parsed | None:
    """Every value as a date (date32) or, if one has a time, a point in time (no zone = UTC)."""
    return _read_plain(values) or _read_iso(values) or _read_day_month(values)


def read_times(values: pa.StringArray) -> Parsed | None:
    """Every value as a time of day, HH:MM[:SS[.ffffff]]; 24:00 and leap seconds are none."""
    if not all_match(pc.match_substring_regex(values, _TIME)):
        return None
    trimmed = _trim_fraction(values)
    texts = pc.binary_join_element_wise("1970-01-01", trimmed, " ")
    moments = cast_or_none(texts, pa.timestamp("us"))
    if moments is None:
        return None
    return Parsed(need=Need(kind=Kind.TIME), array=pc.cast(moments, pa.time64("us")))


def moments_in(values: pa.StringArray, order: str) -> pa.Array | None:
    """Every value as a point in time, with day and month in this order; None if some is none."""
    return _iso_moments(_year_first(values, order))


def _read_plain(values: pa.StringArray) -> Parsed | None:
    """The quick way where all are YYYY-MM-DD, or all YYYY-MM-DD hh:mm:ss: 10 and 19 bytes."""
    lengths = pc.min_max(pc.binary_length(values))
    length = lengths["min"].as_py()
    if length != lengths["max"].as_py() or length not in (10, 19):
        return None
    has_time = length == 19
    array = cast_or_none(values, pa.timestamp("us") if has_time else pa.date32())
    if array is None:
        return None
    moments = _in_range(pc.cast(array, _MOMENT))
    if moments is None:
        return None
    need = Need(kind=Kind.MOMENT, has_time=has_time, forms=frozenset({ISO_FORM}))
    return Parsed(need=need, array=moments if has_time else array)


def _read_iso(values: pa.StringArray) -> Parsed | None:
    if not all_match(pc.match_substring_regex(values, _ISO)):
        return None
    moments = _iso_moments(values)
    if moments is None:
        return None
    return _parsed(moments, has_time=_has_time(values), forms=frozenset({ISO_FORM}))


def _read_day_month(values: pa.StringArray) -> Parsed | None:
    """DD/MM/YYYY or MM/DD/YYYY (or with points or hyphens): whichever all values allow."""
    for separator in "/.-":
        mark = "\\" + separator
        form = rf"\A[0-9]{{1,2}}{mark}[0-9]{{1,2}}{mark}[0-9]{{4}}(?:[T ]{_CLOCK}{_ZONE}?)?\z"
        if all_match(pc.match_substring_regex(values, form)):
            return _read_in_orders(values, separator)
    return None


def _read_in_orders(values: pa.StringArray, separator: str) -> Parsed | None:
    found = {order: moments_in(values, order) for order in (DAY_FIRST, MONTH_FIRST)}
    valid = {order: moments for order, moments in found.items() if moments is not None}
    if not valid:
        return None
    forms = frozenset(Form(order=order, separator=separator) for order in valid)
    has_time = _has_time(values)
    if len(valid) == 1:
        return _parsed(next(iter(valid.values())), has_time=has_time, forms=forms)
    need = Need(kind=Kind.MOMENT, has_time=has_time, forms=forms)
    return Parsed(need=need, array=values)


def _parsed(moments: pa.Array, *, has_time: bool, forms: frozenset[Form]) -> Parsed:
    array = moments if has_time else pc.cast(moments, pa.date32())
    return Parsed(need=Need(kind=Kind.MOMENT, has_time=has_time, forms=forms), array=array)


def _has_time(values: pa.StringArray) -> bool:
    return pc.any(pc.match_substring(values, ":")).as_py() is True


def _year_first(values: pa.StringArray, order: str) -> pa.StringArray:
    """D/M/YYYY… or M/D/YYYY… as YYYY-MM-DD…; what is year first already stays."""
    padded = pc.replace_substring_regex(values, r"\A([0-9][/.\-])", r"0\1")
    padded = pc.replace_substring_regex(padded, r"\A([0-9]{2})[/.\-]([0-9])[/.\-]", r"\1/0\2/")
    day_last = r"\3-\2-\1" if order == DAY_FIRST else r"\3-\1-\2"
    return pc.replace_substring_regex(
        padded, r"\A([0-9]{2})[/.\-]([0-9]{2})[/.\-]([0-9]{4})", day_last
    )


def _trim_fraction(values: pa.StringArray) -> pa.StringArray:
    """Cut zeros beyond microseconds, which Arrow does not read."""
    return pc.replace_substring_regex(values, r"(\.[0-9]{6})0+", r"\1")


def _iso_moments(values: pa.StringArray) -> pa.Array | None:
    """ISO 8601 text (`_ISO`) as timestamps in UTC; None if some value is no moment."""
    texts = _with_zone(_trim_fraction(pc.replace_substring(values, "/", "-")))
    moments = cast_or_none(texts, _MOMENT)
    return None if moments is None else _in_range(moments)


def _in_range(moments: pa.Array) -> pa.Array | None:
    counts = pc.cast(moments, pa.int64())
    in_range = pc.and_(pc.greater_equal(counts, _FIRST_MOMENT), pc.less_equal(counts, _LAST_MOMENT))
    return moments if all_match(in_range) else None


def _with_zone(values: pa.StringArray) -> pa.StringArray:
    """Append a midnight to dates and Z to what has no zone."""
    timed = pc.replace_substring_regex(values, r"\A([0-9]{4}-[0-9]{2}-[0-9]{2})\z", r"\1 00:00")
    if pc.any(pc.match_substring_regex(timed, r":[0-9.]+ ?(?:Z|UTC|[+-].*)\z")).as_py() is not True:
        return pc.binary_join_element_wise(timed, "Z", "")
    zoned = pc.replace_substring_regex(timed, r" ?(?:Z|UTC)\z", "Z")
    zoned = pc.replace_substring_regex(zoned, r" ([+-][0-9:]+)\z", r"\1")
    return pc.replace_substring_regex(zoned, r"([T ][0-9:.]+)\z", r"\1Z")
