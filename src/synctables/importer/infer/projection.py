"""Between coordinate systems: from any that PROJ knows to degrees, from degrees to webmercator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pyproj
from numpy.typing import NDArray

from synctables.errors import UnknownSridError
from synctables.importer.infer.report import shorten

Coordinates: TypeAlias = NDArray[np.float64]
Transform: TypeAlias = Callable[[Coordinates, Coordinates], tuple[Coordinates, Coordinates]]

WGS84 = 4326
WEBMERCATOR = 3857
MAX_LATITUDE = 85.0511287798066
"""Where webmercator's square ends: beyond it latitudes are clamped, since 90° is infinitely far."""
_EARTH_RADIUS_METRES = 6_378_137.0


def webmercator(longitude: Coordinates, latitude: Coordinates) -> tuple[Coordinates, Coordinates]:
    """Degrees to webmercator metres, defined and finite for every finite coordinate.

    The same rule as in the database's trigger (refresh.md 13): the latitude is clamped to
    ±`MAX_LATITUDE`; the longitude is left, so that shapes across the antimeridian stay whole.
    """
    clamped = np.radians(np.clip(latitude, -MAX_LATITUDE, MAX_LATITUDE))
    x = np.radians(longitude) * _EARTH_RADIUS_METRES
    y = np.log(np.tan(np.pi / 4 + clamped / 2)) * _EARTH_RADIUS_METRES
    return x, y


def transform_to_degrees(crs: str | None) -> Transform | None:
    """The function from ``crs`` to longitude and latitude in WGS 84.

    None where the coordinates are degrees already, or no system is named. Raises UnknownSridError.
    """
    if crs is None:
        return None
    try:
        source = pyproj.CRS.from_user_input(crs)
        target = pyproj.CRS.from_epsg(WGS84)
        if source.equals(target, ignore_axis_order=True):
            return None
        transformer = pyproj.Transformer.from_crs(source, target, always_xy=True)
    except pyproj.exceptions.ProjError as error:
        raise UnknownSridError(
            f"The coordinate system of the file is unknown: {shorten(crs)}"
        ) from error
    return transformer.transform


def crs_name(crs: str) -> str:
    """A coordinate system's code, or its name where it has none."""
    source = pyproj.CRS.from_user_input(crs)
    authority = source.to_authority()
    return ":".join(authority) if authority else source.name
