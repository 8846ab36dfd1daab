"""Latitudes and longitudes as people write them: decimal comma, degree sign, N S E W."""

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
    r"(?:[eE](?P<exponent>[+-]?[0-9]{1,3}))?\s*\x{b0}?\s*(?P<side>[NSEWnsew]?)\s*\z"
)


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
    parts = pc.extract_regex(values, _DEGREES)
    numbers = pc.replace_substring(parts.field("number"), ",", ".")
    exponents = pc.if_else(pc.equal(parts.field("exponent"), ""), "0", parts.field("exponent"))
    is_minus = pc.equal(parts.field("sign"), "-")
    is_opposite = pc.match_substring_regex(parts.field("side"), "[SWsw]")
    signs = pc.if_else(pc.xor(is_minus, is_opposite), "-", "")
    found = pc.is_valid(parts)
    texts = pc.binary_join_element_wise(
        signs, numbers, "e", exponents, "", null_handling="replace", null_replacement=""
    )
    return pc.cast(pc.if_else(found, texts, None), pa.float64())
