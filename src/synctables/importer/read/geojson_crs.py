"""Whether a GeoJSON names its coordinate system itself; GDAL says EPSG:4326 either way."""

from __future__ import annotations

from pathlib import Path

from synctables.importer.model import ASSUMED_CRS, Format

_HEAD_BYTES = 65_536
_GDALS_OWN = "EPSG:4326"


def told_apart(crs: str | None, kind: Format, path: Path) -> str | None:
    """``crs``, or `ASSUMED_CRS` where it is GDAL's and not the file's.

    The old member ``crs`` (GeoJSON 2008, section 3) stands before the features wherever a program
    wrote it.
    """
    if kind not in {"geojson", "geojsonseq"} or crs != _GDALS_OWN:
        return crs
    with path.open("rb") as file:
        return crs if b'"crs"' in file.read(_HEAD_BYTES) else ASSUMED_CRS


def why(crs: str | None) -> str:
    """The reason to give for it in the report."""
    if crs == ASSUMED_CRS:
        return "what GeoJSON means unless it says otherwise"
    return "as the file says" if crs else "the file does not say"
