"""What mutations start from: the samples, and one table in every format and archive.

Some formats hold the time or an identifier made up on the way (GeoPackage, FileGDB), so the corpus
is written once into a folder and read from there: the same seeds then give the same files.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.archive_files import ARCHIVES
from tests.support.format_files import MAKERS
from tests.support.reading import FILES

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 1 << 20
"""Of a file that mutations start from; they are about shapes, not sizes."""


@dataclass(frozen=True, kw_only=True)
class Original:
    """A file before it is mutated."""

    name: str
    content: bytes


def load_corpus(folder: Path) -> list[Original]:
    """The files in ``folder``, sorted by name; it is filled before where it is not there."""
    if not folder.is_dir():
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for original in _make():
            (unfinished / original.name).write_bytes(original.content)
        unfinished.rename(folder)
    paths = sorted(folder.iterdir())
    return [Original(name=path.name, content=path.read_bytes()) for path in paths]


def _make() -> list[Original]:
    found = [
        Original(name=path.name, content=path.read_bytes())
        for path in sorted(FILES.iterdir())
        if path.stat().st_size <= MAX_BYTES
    ]
    for make in MAKERS:
        files = make()
        title = make.__name__
        if len(files) == 1:
            ((name, content),) = files.items()
            found.append(Original(name=f"{title}.{name.partition('.')[2]}", content=content))
        found += [
            Original(name=f"{title}_packed.{suffix}", content=pack(files))
            for suffix, pack in ARCHIVES.items()
        ]
    return found
