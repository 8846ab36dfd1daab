"""Stage one: the file into the workspace, or the news that there is nothing new.

Where from is the datasource's business; uploads, which no datasource brings, arrive here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synctables.datasources.base import Datasource, Fetched, NotModified, OnBytes, SourceVersion
from synctables.datasources.file_names import DEFAULT_FILE_NAME, safe_file_name
from synctables.datasources.sink import FileSink
from synctables.errors import EmptyFileError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_FOLDER = "fetched"
"""Below the workspace: the file keeps its name, which must not meet those of other stages."""


async def fetch(
    datasource: Datasource,
    item: str,
    *,
    known: SourceVersion | None,
    into: Path,
    on_bytes: OnBytes,
) -> Fetched | NotModified:
    """Bring ``item`` into the workspace ``into`` unless it still is the ``known`` version.

    Raises what `Datasource.fetch` raises, and `EmptyFileError` for a file of no bytes.
    """
    fetched = await datasource.fetch(item, known=known, into=_folder(into), on_bytes=on_bytes)
    return _checked(fetched) if isinstance(fetched, Fetched) else fetched


async def receive_upload(
    chunks: AsyncIterator[bytes],
    *,
    file_name: str,
    content_type: str | None,
    into: Path,
    max_bytes: int,
    on_bytes: OnBytes,
) -> Fetched:
    """Write an uploaded file into the workspace ``into``, under its name made safe.

    Raises `FileTooBigError` beyond ``max_bytes``, `EmptyFileError`, `DiskFullError`.
    """
    name = safe_file_name(file_name) or DEFAULT_FILE_NAME
    sink = FileSink(_folder(into) / name, max_bytes=max_bytes)
    try:
        async for chunk in chunks:
            await sink.add(chunk)
            on_bytes(sink.size_bytes, None)
        await sink.finish()
    finally:
        sink.close()
    return _checked(
        Fetched(
            path=sink.path,
            file_name=name,
            content_type=content_type,
            size_bytes=sink.size_bytes,
            version=SourceVersion(content_sha256=sink.sha256),
        )
    )


def _folder(workspace: Path) -> Path:
    """A folder that the sandbox's user may enter, whoever owns the workspace."""
    folder = workspace / _FOLDER
    folder.mkdir(exist_ok=True)
    folder.chmod(0o711)
    return folder


def _checked(fetched: Fetched) -> Fetched:
    if fetched.size_bytes == 0:
        raise EmptyFileError("The file has no bytes.", http_status=fetched.http_status)
    return fetched
