"""KML files that hold nothing themselves."""

from __future__ import annotations

from pathlib import Path

from synctables.errors import EmptyKmlError

CHUNK_BYTES = 1024 * 1024
_OVERLAP_BYTES = 64


def refuse_mere_link(path: Path) -> None:
    """Raise `EmptyKmlError` for a KML that links to another one and has no placemark itself."""
    has_link, tail = False, b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            text = tail + chunk
            if b"Placemark" in text:
                return
            has_link = has_link or b"NetworkLink" in text
            tail = text[-_OVERLAP_BYTES:]
    if has_link:
        raise EmptyKmlError
