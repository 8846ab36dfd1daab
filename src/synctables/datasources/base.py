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
    ``last_modified`` the raw header, sent back verbatim; ``revision`` what a drive or a store
    calls this very version of an item, only ever compared for equality; ``content_sha256`` in hex.
    """

    etag: str | None = None
    last_modified: str | None = None
    revision: str | None = None
    content_sha256: str | None = None
    modified_at: datetime | None = None

    @property
    def checksum(self) -> str:
        """The API's ``checksum``: etag or revision, else the content's hash, else empty."""
        return self.etag or self.revision or self.content_sha256 or ""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One file (or folder) at its source, as the source describes it without giving it.

    ``id`` finds it again; ``path`` is where it lies, where the source has folders; ``web_link``
    is the page that people open; ``size_bytes`` None where the source does not know it before it
    gives the file (exports). A folder has no version.
    """

    id: str
    title: str
    file_name: str
    version: SourceVersion = SourceVersion()
    size_bytes: int | None = None
    path: str | None = None
    web_link: str | None = None
    is_folder: bool = False


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A file in the workspace, whole, with what its source said of it."""

    path: Path
    file_name: str
    content_type: str | None
    size_bytes: int
    version: SourceVersion
    http_status: int | None = None
    web_link: str | None = None


@dataclass(frozen=True, kw_only=True)
class NotModified:
    """The source still has the known version. An outcome, not an error."""

    version: SourceVersion
    http_status: int | None = None


OnBytes = Callable[[int, int | None], None]
"""Called with bytes received so far and the total, where it is known."""


class Datasource(Protocol):
    """A kind of source: public URLs, a cloud drive, an object store."""

    async def probe(self, item: str, *, known: SourceVersion | None) -> Item | NotModified:
        """What the source says of ``item`` now, or that it still is the ``known`` version.

        Costs one small request, never the file. Raises a `RunError`.
        """
        ...

    async def fetch(
        self, item: str, *, known: SourceVersion | None, into: Path, on_bytes: OnBytes
    ) -> Fetched | NotModified:
        """Bring ``item`` into the folder ``into`` unless it still is the ``known`` version.

        Raises a `RunError`: transient where a later try may work.
        """
        ...

    async def list(self, *, search: str | None = None, folder: str | None = None) -> list[Item]:
        """The files that the importer reads, in a stable order, to the last page.

        ``folder``: only what lies directly in it, its folders included (``""``: the root); else
        files from everywhere. ``search``: those whose name contains it. Raises a `RunError`.
        """
        ...
