"""Opens a large GeoJSON for its rows without GDAL's first pass over all of it.

GDAL reads a GeoJSON twice: for its columns, then for its rows. When a layer is found, the first of
these passes goes over the whole file, which is also what finds a broken one. To make it once more
for the rows costs a quarter of an import, so here GDAL is told to look at the beginning only. What
it finds there has to be what it found in the whole file, in all that decides how rows are read;
where anything differs, it opens the file again and looks at all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyogrio

HEAD_BYTES = 4 * 1024 * 1024
_WORTH_IT_BYTES = 2 * HEAD_BYTES
_LIMIT = "OGR_GEOJSON_MAX_BYTES_FIRST_PASS"
_MOMENTS = {"OFTDate", "OFTTime", "OFTDateTime"}
"""What GDAL makes of such text unless it is told to leave it alone (``DATE_AS_STRING``)."""


def columns_of(found: Mapping[str, Any]) -> list[object]:
    """All of a first pass's findings that decide how rows are read, as JSON knows it.

    Fields in their order, their types, the type of all geometries, and the field of row numbers.
    ``found``: from `pyogrio.read_info` or `pyogrio.open_arrow`.
    """
    types = ["OFTString" if kind in _MOMENTS else kind for kind in found["ogr_types"]]
    return [
        [str(name) for name in found["fields"]],
        types,
        list(found["ogr_subtypes"]),
        found["geometry_type"],
        found["fid_column"],
    ]


@contextmanager
def open_known(path: str, columns: object, **options: Any) -> Iterator[tuple[Any, Any]]:
    """As `pyogrio.open_arrow`, for a GeoJSON with these `columns_of` the whole of it."""
    with ExitStack() as opening:
        opened = None
        if Path(path).stat().st_size > _WORTH_IT_BYTES:
            with _looking_at_the_head():
                opened = opening.enter_context(pyogrio.open_arrow(path, **options))
        if opened is None or columns_of(opened[0]) != columns:
            opening.close()
            opened = opening.enter_context(pyogrio.open_arrow(path, **options))
        yield opened


@contextmanager
def _looking_at_the_head() -> Iterator[None]:
    pyogrio.set_gdal_config_options({_LIMIT: HEAD_BYTES})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({_LIMIT: None})
