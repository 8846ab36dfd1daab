"""Several files as one, for a source that has several layers."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from typing import TYPE_CHECKING

from synctables.datasources.base import Fetched, SourceVersion
from synctables.datasources.sink import disk_errors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TIME = (1980, 1, 1, 0, 0, 0)


def zip_together(files: Sequence[Fetched], path: Path) -> Fetched:
    """One archive of files that are alone in their folders, which go; same contents, same bytes."""
    names: set[str] = set()
    with disk_errors(), zipfile.ZipFile(path, "w") as archive:
        for number, file in enumerate(files):
            is_taken = file.file_name.lower() in names
            name = f"{number}_{file.file_name}" if is_taken else file.file_name
            names.add(name.lower())
            entry = archive.open(zipfile.ZipInfo(name, _TIME), "w", force_zip64=True)
            with file.path.open("rb") as source, entry as target:
                shutil.copyfileobj(source, target, 1 << 20)
            shutil.rmtree(file.path.parent)
    with path.open("rb") as whole:
        digest = hashlib.file_digest(whole, "sha256").hexdigest()
    return Fetched(
        path=path,
        file_name=path.name,
        content_type="application/zip",
        size_bytes=path.stat().st_size,
        version=SourceVersion(content_sha256=digest),
        http_status=200,
    )
