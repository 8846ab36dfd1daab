"""The six files of the demo: which rows, in which format, under which name, edition by edition."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

from demonstration import formats
from demonstration.editions import Edition, first_edition, next_edition
from demonstration.server import FileServer
from demonstration.sources import Row, read_rows

SEED = 20150806
"""Any number will do; the same one gives the same editions each time."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How one file is written and served."""

    format: str
    extension: str
    content_type: str
    write: formats.Writer


KINDS = {
    "airports": Kind(
        format="CSV", extension="csv", content_type="text/csv", write=formats.write_csv
    ),
    "earthquakes": Kind(
        format="GeoJSON",
        extension="geojson",
        content_type="application/geo+json",
        write=formats.write_geojson,
    ),
    "countries": Kind(
        format="Shapefile",
        extension="zip",
        content_type="application/zip",
        write=formats.write_shapefile,
    ),
    "alaska_airports": Kind(
        format="XLSX",
        extension="xlsx",
        content_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        write=formats.write_xlsx,
    ),
    "landmasses": Kind(
        format="GPKG",
        extension="gpkg",
        content_type="application/geopackage+sqlite3",
        write=formats.write_gpkg,
    ),
    "strong_earthquakes": Kind(
        format="KML",
        extension="kml",
        content_type="application/vnd.google-earth.kml+xml",
        write=formats.write_kml,
    ),
}


class ChangingFile:
    """One file on the server, and the edition it has there."""

    def __init__(self, name: str, rows: tuple[Row, ...], *, server: FileServer) -> None:
        self.name = name
        self.kind = KINDS[name]
        self._server = server
        self._random = Random(f"{SEED} {name}")  # noqa: S311  # repeatable, not secret
        self.edition = first_edition(rows, random=self._random)
        self.url = self._publish(self.edition)

    def change(self) -> None:
        """Put the next edition on the server."""
        self.edition = next_edition(self.edition, random=self._random)
        self._publish(self.edition)

    def _publish(self, edition: Edition) -> str:
        return self._server.publish(
            f"{self.name}.{self.kind.extension}",
            self.kind.write(self.name, edition.rows),
            content_type=self.kind.content_type,
        )


def publish_files(packages: Path, *, server: FileServer) -> list[ChangingFile]:
    """The six files in their first edition. Raises `sources.MissingPackageError`."""
    rows = read_rows(packages)
    return [ChangingFile(name, rows[name], server=server) for name in KINDS]
