"""OpenStreetMap: the map that is being looked at, as the data of that area."""

from __future__ import annotations

import re

from synctables.datasources.translators.address import Address, Translated

_VIEW = re.compile(r"(\d{1,2}(?:\.\d+)?)/(-?\d+(?:\.\d+)?)/(-?\d+(?:\.\d+)?)")
_HALF_WIDTH_PIXELS = 600
_HALF_HEIGHT_PIXELS = 500
_TILE_PIXELS = 256.0
_DEEPEST_ZOOM = 30


def openstreetmap_view(address: Address) -> Translated | None:
    """``openstreetmap.org/#map=ZOOM/LAT/LON``, and the older ``?lat=…&lon=…&zoom=…``."""
    if not address.is_at("openstreetmap.org") or address.host.startswith("api."):
        return None
    view = _view_of_fragment(address) or _view_of_query(address)
    if view is None:
        return None
    bbox = ",".join(str(edge) for edge in bounding_box(*view))
    url = f"https://api.openstreetmap.org/api/0.6/map?bbox={bbox}"
    return Translated(url=url, file_name="map.osm")


def bounding_box(zoom: float, latitude: float, longitude: float) -> tuple[float, ...]:
    """West, south, east, north of a view of 1,200 x 1,000 pixels.

    The order of the steps decides the last digits, which clients of the reference system know.
    """
    degrees_per_pixel = 180 / _TILE_PIXELS / 2**zoom
    row = (90 + latitude) / degrees_per_pixel
    column = (180 + longitude) / degrees_per_pixel
    return (
        (column - _HALF_WIDTH_PIXELS) * degrees_per_pixel - 180,
        (row - _HALF_HEIGHT_PIXELS) * degrees_per_pixel - 90,
        (column + _HALF_WIDTH_PIXELS) * degrees_per_pixel - 180,
        (row + _HALF_HEIGHT_PIXELS) * degrees_per_pixel - 90,
    )


def _view_of_fragment(address: Address) -> tuple[float, float, float] | None:
    match = _VIEW.fullmatch(address.fragment_parameter("map") or "")
    return _checked(match.groups()) if match else None


def _view_of_query(address: Address) -> tuple[float, float, float] | None:
    given = tuple(address.parameter(name) for name in ("zoom", "lat", "lon"))
    match = _VIEW.fullmatch("/".join(value or "" for value in given))
    return _checked(match.groups()) if match else None


def _checked(texts: tuple[str, ...]) -> tuple[float, float, float] | None:
    zoom, latitude, longitude = (float(text) for text in texts)
    is_on_earth = abs(latitude) <= 90 and abs(longitude) <= 180
    return (zoom, latitude, longitude) if is_on_earth and zoom <= _DEEPEST_ZOOM else None
