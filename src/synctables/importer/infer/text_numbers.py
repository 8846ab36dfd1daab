"""Reading text as numbers without loss: which digits a chunk of values holds, and the values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synctables.importer.infer.parsed import (
    Parsed,
    all_match,
    any_true,
    cast_or_none,
    text_bytes,
    text_ends,
)
from synctables.importer.infer.types import EXACT_DOUBLE_DIGITS, Kind, Need

# Leading zeros, a leading plus, grouping and an exponent without a point are no numbers: such
# values may be codes (importer.md, "Infer"). ".5" is one: only a zero is missing before the point.
_NUMBER = (
    r"\A-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][+-]?[0-9]{1,4})?)?"
    r"|\.[0-9]+(?:[eE][+-]?[0-9]{1,4})?)\z"
)
_PARTS = r"\A-?(?P<whole>[0-9]*)(?:\.(?P<fraction>[0-9]*))?(?:[eE](?P<exponent>[+-]?[0-9]+))?\z"
_SMALLEST_NORMAL = float(np.finfo(np.float64).smallest_normal)
_NEGATIVE_ZERO = r"\A-0*(?:\.0*)?(?:[eE].*)?\z"


def read_numbers(values: pa.StringArray) -> Parsed | None:
    """Every value as a number, or None if some value is none or would change as one.

    ``array`` is int64 where all are integers that fit, else float64 (nearest).
    """
    return _read_integers(values) or _read_decimals(values)


def _read_integers(values: pa.StringArray) -> Parsed | None:
    integers = cast_or_none(values, pa.int64())
    if integers is None:
        return None
    if not _are_plain(values, is_integer=True):
        return None  # leading zeros, hexadecimal, minus zero
    bounds = pc.min_max(integers)
    digits = max(len(str(abs(bounds[end].as_py() or 0))) for end in ("min", "max"))
    need = Need(kind=Kind.NUMBER, is_long=digits > EXACT_DOUBLE_DIGITS, whole_digits=digits)
    return Parsed(need=need, array=integers)


def _read_decimals(values: pa.StringArray) -> Parsed | None:
    doubles = cast_or_none(values, pa.float64())
    if doubles is None or not _are_plain(values, is_integer=False):
        if not all_match(pc.match_substring_regex(values, _NUMBER)):
            return None
        doubles = pc.cast(values, pa.float64())
    dots = pc.find_substring(values, ".")
    if _are_short(values, dots):
        need = _need_of_short(values, doubles, dots)
    else:
        need = _need_of_any(values, doubles)
    return Parsed(need=need, array=doubles)


def _are_plain(values: pa.StringArray, *, is_integer: bool) -> bool:
    """Whether values that Arrow reads as numbers match `_NUMBER` and have no exponent.

    Of an integer's zeros only a lone 0 does. For whole columns a few looks at the bytes cost far
    less than the pattern, or than the integers written as text again.
    """
    present = values.drop_null()
    blob, ends = text_bytes(present), text_ends(present)
    if not len(blob) or blob.min() < ord("-") or blob.max() > ord("9"):
        return False
    starts = np.concatenate(([0], ends[:-1]))
    first = starts + (blob[starts] == ord("-"))
    is_zero = blob[first] == ord("0")
    if is_integer:
        return not (is_zero & (ends - starts > 1)).any()
    followed = first[is_zero & (ends - first > 1)] + 1
    return bool((blob[followed] == ord(".")).all()) and not (blob[ends - 1] == ord(".")).any()


def _are_short(values: pa.StringArray, dots: pa.Int32Array) -> bool:
    """Whether no value can have more digits than a double keeps, nor an exponent."""
    marks = 1 if pc.min(dots).as_py() >= 0 else 0
    longest = pc.max(pc.binary_length(values)).as_py()
    return longest <= EXACT_DOUBLE_DIGITS + marks and not _has_exponent(values)


def _has_exponent(values: pa.StringArray) -> bool:
    """In text that is known to hold numbers only e and E come after the digits in ASCII."""
    return bool(text_bytes(values).max(initial=0) > ord("9"))


def _has_negative_zero(values: pa.StringArray, doubles: pa.DoubleArray) -> bool:
    zeros = pc.filter(values, pc.equal(doubles, 0.0))
    return any_true(pc.match_substring_regex(zeros, _NEGATIVE_ZERO))


def _need_of_short(values: pa.StringArray, doubles: pa.DoubleArray, dots: pa.Int32Array) -> Need:
    """At most 15 digits and no exponent: a double keeps them all, and the counts are cheap."""
    trimmed = pc.utf8_rtrim(values, "0")  # what stands before a point is not counted below
    scales = pc.subtract(pc.subtract(pc.binary_length(trimmed), dots), 1)
    dot_bounds = pc.min_max(dots)
    has_point = dot_bounds["max"].as_py() >= 0
    if dot_bounds["min"].as_py() < 0:
        scales = pc.if_else(pc.less(dots, 0), 0, scales)
    bounds = pc.min_max(doubles)
    largest = max(abs(bounds["min"].as_py()), abs(bounds["max"].as_py()))
    has_negative_zero = _has_negative_zero(values, doubles)
    return Need(
        kind=Kind.NUMBER,
        has_point=has_point or has_negative_zero,
        has_negative_zero=has_negative_zero,
        whole_digits=len(str(int(largest))),
        scale=pc.max(scales).as_py(),
    )


def _need_of_any(values: pa.StringArray, doubles: pa.DoubleArray) -> Need:
    """Counts of digits for values of any length, with or without exponent.

    A value is D * 10^(exponent - length of the fraction), D an integer of so many digits.
    """
    parts = pc.extract_regex(values, _PARTS)
    fraction = pc.utf8_rtrim(parts.field("fraction"), "0")
    has_point = pc.match_substring(values, ".")
    digits = pc.utf8_ltrim(pc.binary_join_element_wise(parts.field("whole"), fraction, ""), "0")
    count = pc.binary_length(digits)
    exponent = _exponents(parts.field("exponent"))
    shift = pc.subtract(pc.binary_length(fraction), exponent)
    is_zero = pc.equal(count, 0)
    out_of_range = pc.and_(
        pc.invert(is_zero),
        pc.or_(pc.is_inf(doubles), pc.less(pc.abs(doubles), _SMALLEST_NORMAL)),
    )
    has_negative_zero = _has_negative_zero(values, doubles)
    all_have_point = any_true(has_point) or has_negative_zero
    return Need(
        kind=Kind.NUMBER,
        has_point=all_have_point,
        is_long=any_true(pc.greater(count, EXACT_DOUBLE_DIGITS)) or any_true(out_of_range),
        exceeds_bigint=_exceeds_bigint(values, has_point),
        has_negative_zero=has_negative_zero,
        whole_digits=_largest(pc.if_else(is_zero, 0, pc.subtract(count, shift))),
        scale=_largest(pc.if_else(is_zero, 0, shift)),
    )


def _exponents(texts: pa.StringArray) -> pa.Int32Array:
    unsigned = pc.utf8_ltrim(texts, "+")
    return pc.cast(pc.if_else(pc.equal(unsigned, ""), "0", unsigned), pa.int32())


def _exceeds_bigint(values: pa.StringArray, has_point: pa.BooleanArray) -> bool:
    integers = pc.filter(values, pc.invert(has_point))
    try:
        pc.cast(integers, pa.int64())
    except pa.ArrowInvalid:
        return True
    return False


def _largest(counts: pa.Array) -> int:
    return max(0, pc.max(counts).as_py() or 0)
