"""How large a file a run may bring, by the plan of its account."""

from __future__ import annotations

from pathlib import Path

from synctables.datasources.base import Fetched, NotModified, OnBytes
from synctables.errors import FileTooBigError, StorageQuotaError
from synctables.importer.model import Allowance
from synctables.importer.pipeline import Fetch

LARGEST_FILE_FOR_TABLE = 10
"""A file of more than ten times the bytes that its table may take is not even downloaded.

The reference server draws the line at a third of that, before it loads a file. Here a file is read
before anything is loaded, so the gate knows much better what it takes (`table_sizes`). Before the
download only what is hopeless is refused: XML and JSON can be several times as large as a table.
"""


def largest_file(max_bytes: int, allowance: Allowance) -> int:
    """``max_bytes`` of server and plan, or less where the account's storage is nearly full."""
    if allowance.storage_bytes is None:
        return max_bytes
    return min(max_bytes, allowance.storage_bytes * LARGEST_FILE_FOR_TABLE)


def within_storage(fetch: Fetch, *, max_bytes: int, allowance: Allowance) -> Fetch:
    """A fetch that is limited to `largest_file`, and says which limit it was that is exceeded."""
    if largest_file(max_bytes, allowance) == max_bytes:
        return fetch

    async def limited(into: Path, on_bytes: OnBytes) -> Fetched | NotModified:
        try:
            return await fetch(into, on_bytes)
        except FileTooBigError as error:
            raise StorageQuotaError(
                f"The plan leaves {allowance.storage_bytes:,} bytes for the table.",
                http_status=error.http_status,
            ) from error

    return limited
