"""Latitudes and longitudes as people write them: decimal comma, degree sign, minutes, N S E W."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synctables.importer.infer.parsed import cast_or_none
from synctables.importer.infer.projection import Coordinates

# reference.md 3.6; the first name of a list that the file has is taken.
LATITUDE_NAMES = (
    "latitude", "lat", "latitudedecimal", "latitud", "lati", "decimallatitude", "decimallat",
    "point_latitude",
)  # fmt: skip
LONGITUDE_NAMES = (
    "longitude", "lon", "lng", "longitudedecimal", "longitud", "long", "decimallongitude",
    "decimallong", "point_longitude",
)  # fmt: skip

_DEGREES = (
    r"\A\s*(?P<sign>[+-]?)(?P<number>[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)"
    r"(?:[eE](?P<exponent>[+-]?[0-9]{1,3}))?\s*[\x{b0}\x{ba}]?\s*(?P<side>[NSEWnsew]?)\s*\z"
)
_MINUTES = (
    r"\A\s*(?P<sign>[+-]?)(?P<degrees>[0-9]{1,3})\s*[\x{b0}\x{ba}]"
    r"\s*(?P<minutes>[0-5]?[0-9](?:[.,][0-9]+)?)\s*['\x{2032}\x{2019}]"
    r"(?:\s*(?P<seconds>[0-5]?[0-9](?:[.,][0-9]+)?)\s*(?:[\"\x{2033}\x{201d}]|''))?"
    r"\s*(?P<side>[NSEWnsew]?)\s*\z"
)
"""59°54'50.5"N: degrees, minutes and perhaps seconds, of which sixty make one."""


def degrees(values: pa.Array) -> Coordinates:
    """Decimal degrees, south and west negative; NaN where a cell is blank or no such number."""
    if pa.types.is_string(values.type):
        values = _from_text(values)
    elif pa.types.is_decimal(values.type) or pa.types.is_integer(values.type):
        values = pc.cast(values, pa.float64(), safe=False)
    numbers = pc.cast(values, pa.float64())
    return np.asarray(pc.fill_null(numbers, float("nan")).to_numpy(zero_copy_only=False))


def _from_text(values: pa.StringArray) -> pa.DoubleArray:
    numbers = cast_or_none(values, pa.float64())
    if numbers is not None:
        return numbers
    return pc.coalesce(_from_decimals(values), _from_minutes(values))


def _from_decimals(values: pa.StringArray) -> pa.DoubleArray:
    parts = pc.extract_regex(values, _DEGREES)
    numbers = pc.replace_substring(parts.field("number"), ",", ".")
    exponents = pc.if_else(pc.equal(parts.field("exponent"), ""), "0", parts.field("exponent"))
    texts = pc.binary_join_element_wise(
        pc.if_else(_is_negative(parts), "-", ""), numbers, "e", exponents, "",
        null_handling="replace", null_replacement="",
    )  # fmt: skip
    return pc.cast(pc.if_else(pc.is_valid(parts), texts, None), pa.float64())


def _from_minutes(values: pa.StringArray) -> pa.DoubleArray:
    parts = pc.extract_regex(values, _MINUTES)
    minutes = pc.add(_number(parts, "minutes"), pc.divide(_number(parts, "seconds"), 60.0))
    size = pc.add(_number(parts, "degrees"), pc.divide(minutes, 60.0))
    return pc.if_else(
        pc.is_valid(parts), pc.if_else(_is_negative(parts), pc.negate(size), size), None
    )


def _number(parts: pa.StructArray, name: str) -> pa.DoubleArray:
    texts = pc.replace_substring(parts.field(name), ",", ".")
    is_number = pc.and_(pc.is_valid(parts), pc.not_equal(texts, ""))
    return pc.cast(pc.if_else(is_number, texts, "0"), pa.float64())


def _is_negative(parts: pa.StructArray) -> pa.BooleanArray:
    is_opposite = pc.match_substring_regex(parts.field("side"), "[SWsw]")
    return pc.xor(pc.equal(parts.field("sign"), "-"), is_opposite)
