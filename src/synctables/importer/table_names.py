"""Table names from file names (reference.md 3.9), legal and short enough for PostgreSQL.

Difference from the reference: a name in a script that it would erase is transliterated.
"""

from __future__ import annotations

import re
from collections.abc import Container

from anyascii import anyascii

from synctables.errors import TableNameError
from synctables.importer.reserved_words import RESERVED_WORDS

MAX_NAME_BYTES = 63
"""NAMEDATALEN - 1. Names are ASCII, so bytes are characters."""
_MAX_TRIES = 10_000
_UNTITLED = "untitled_table"

_EXTENSION = re.compile(
    r"\.(csv|tsv|txt|xlsx?|xlsb|ods|geojsonl?|geojsons|json|ndjson|jsonl|topojson|shp|tab|mif|kml"
    r"|kmz|gpx|gpkg|gdb|fgdb|fgb|gml|osm|pbf|xml|parquet|geoparquet|zip|gz|tar|tgz|bz2|xz|zst|7z"
    r"|rar|carto)\Z",
    re.IGNORECASE,
)

# What reference.md 3.9 reserves beside the reserved words; such a name gets the suffix _t.
_TAKEN_TABLES = """
    spatial_ref_sys geography_columns geometry_columns raster_columns raster_overviews
    cdb_tablemetadata geometry raster layergroup public
"""
_RESERVED_NAMES = RESERVED_WORDS | frozenset(_TAKEN_TABLES.split())


def table_base_name(file_name: str) -> str:
    """The table name that a file name (or a user's own choice) asks for, before collisions."""
    stem = strip_extensions(file_name.rsplit("/", 1)[-1])
    name = _sanitize(stem)
    if not re.search("[a-z0-9]", name):
        name = _sanitize(anyascii(stem))
    if not re.search("[a-z0-9]", name):
        return _UNTITLED
    if not re.match("[a-z]", name):
        name = re.sub("_+", "_", f"table_{name}")
    name = name[:MAX_NAME_BYTES]
    return f"{name}_t" if name in _RESERVED_NAMES else name


def strip_extensions(file_name: str) -> str:
    """The file name without the extensions of known formats and archives, however many."""
    while (match := _EXTENSION.search(file_name)) and match.start() > 0:
        file_name = file_name[: match.start()]
    return file_name


def first_free(base: str, taken: Container[str]) -> str:
    """``base``, or the first of ``base_1``, ``base_2``, … that is free. Raises TableNameError."""
    if base not in taken:
        return base
    for number in range(1, _MAX_TRIES + 1):
        suffix = f"_{number}"
        name = base[: MAX_NAME_BYTES - len(suffix)] + suffix
        if name not in taken:
            return name
    raise TableNameError(f'No name like "{base}" is free.')


def _sanitize(text: str) -> str:
    bare = re.sub("[()'\"&]", "", text.lower()).strip()  # reference.md 3.4
    return re.sub("_+", "_", re.sub("[^a-z0-9_]", "_", bare))
