"""A version of a file on disk, with what a table of it must come to."""

from __future__ import annotations

import os
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
    attributes: Digest | None
    """For a peer that makes no geometry; None where there is none."""
    merged_attributes: Digest | None
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
    """Write the version.

    ``before`` is the one that the table holds when this one comes; it is needed where a peer makes
    no geometry.
    """
    write(version, path)
    os.sync()  # or the disk is still busy with it while somebody is measured
    attributes = merged = None
    if before is not None:
        attributes = digest_of(version, coordinates=None)
        union = pa.concat_tables([version, removed_rows(before, version)])
        merged = digest_of(union, coordinates=None)
    return Edition(
        path=path,
        row_count=version.num_rows,
        coordinates=None if GEOMETRY in version.column_names else coordinates,
        digest=digest_of(version, coordinates=coordinates),
        attributes=attributes,
        merged_attributes=merged,
    )
