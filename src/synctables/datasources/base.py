"""What every datasource does, and the values it speaks in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class SourceVersion:
    """What says whether a file changed.

    ``etag`` as the server sent it, quotes and ``W/`` included (RFC 9110 section 8.8.3);
    ``last_modified`` the raw header, sent back verbatim; ``content_sha256`` in hex.
    """

    etag: str | None = None
    last_modified: str | None = None
    content_sha256: str | None = None
    modified_at: datetime | None = None

    @property
    def checksum(self) -> str:
        """The API's ``checksum``: the etag, else the content's hash, else empty."""
        return self.etag or self.content_sha256 or ""


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A file in the workspace, whole, with what its source said of it."""

    path: Path
    file_name: str
    content_type: str | None
    size_bytes: int
    version: SourceVersion
    http_status: int | None = None


@dataclass(frozen=True, kw_only=True)
class NotModified:
    """The source still has the known version. An outcome, not an error."""

    version: SourceVersion
    http_status: int | None = None


OnBytes = Callable[[int, int | None], None]
"""Called with bytes received so far and the total, where it is known."""


class Datasource(Protocol):
    """A kind of source: public URLs today, cloud drives and object stores later."""

    async def fetch(
        self, item: str, *, known: SourceVersion | None, into: Path, on_bytes: OnBytes
    ) -> Fetched | NotModified:
        """Bring ``item`` into the folder ``into`` unless it still is the ``known`` version.

        Raises a `RunError`: transient where a later try may work.
        """
        ...
