"""A version of a file on disk, with what a table of it must come to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from comparison.digests import Digest, digest_of
from comparison.files import Writer
from comparison.rows import GEOMETRY, removed_rows


@dataclass(frozen=True, kw_only=True)
class Edition:
    """One version of one file."""

    path: Path
    row_count: int
    coordinates: tuple[str, str] | None
    """Columns with longitude and latitude, where the file has no geometry of its own."""
    digest: Digest
    attributes: Digest
    """For a peer that makes no geometry."""
    merged_attributes: Digest
    """The same where rows that the file no longer has are kept."""

    @property
    def size_bytes(self) -> int:
        return self.path.stat().st_size

    @property
    def format(self) -> str:
        return self.path.suffix.removeprefix(".")


def write_edition(
    version: pa.Table,
    path: Path,
    *,
    write: Writer,
    coordinates: tuple[str, str] | None = ("lon", "lat"),
    before: pa.Table | None = None,
) -> Edition:
    """Write the version; ``before`` is the one that the table holds when this one comes."""
    write(version, path)
    shapeless = version.drop_columns([GEOMETRY]) if GEOMETRY in version.column_names else version
    attributes = digest_of(shapeless, coordinates=None)
    merged = attributes
    if before is not None:
        union = pa.concat_tables([shapeless, removed_rows(before, shapeless)])
        merged = digest_of(union, coordinates=None)
    return Edition(
        path=path,
        row_count=version.num_rows,
        coordinates=None if shapeless is not version else coordinates,
        digest=digest_of(version, coordinates=coordinates),
        attributes=attributes,
        merged_attributes=merged,
    )
