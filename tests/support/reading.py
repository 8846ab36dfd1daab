"""Shortcuts for tests of unpack and read: bytes or a sample file in, layers and rows out."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synctables.datasources.base import Fetched, SourceVersion
from synctables.importer import read, unpack
from synctables.importer.model import Layer, Layers, Limits, Member, ReadOptions, Unpacked

if TYPE_CHECKING:
    import pyarrow as pa

FILES = Path(__file__).parents[1] / "files"
LIMITS = Limits(max_bytes=1 << 30)


def fetched(path: Path, file_name: str | None = None) -> Fetched:
    """A file on disk as fetch would hand it over."""
    return Fetched(
        path=path,
        file_name=file_name or path.name,
        content_type=None,
        size_bytes=path.stat().st_size,
        version=SourceVersion(),
    )


def member(folder: Path, name: str, content: bytes) -> Member:
    """``content`` as a member of that name."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return Member(name=name, path=path, size_bytes=len(content))


def unpack_bytes(folder: Path, name: str, content: bytes, *, limits: Limits = LIMITS) -> Unpacked:
    """What unpack makes of a fetched file of that name, in a new folder below ``folder``."""
    workspace = Path(tempfile.mkdtemp(dir=folder))
    path = workspace / "fetched"
    path.write_bytes(content)
    return unpack.unpack(fetched(path, name), into=workspace / "members", limits=limits)


def read_bytes(
    folder: Path, name: str, content: bytes, *, limits: Limits = LIMITS, **options: Any
) -> Layers:
    """What unpack and read make of a fetched file of that name."""
    unpacked = unpack_bytes(folder, name, content, limits=limits)
    return read.read(unpacked, ReadOptions(**options), limits)


def read_sample(folder: Path, name: str, **options: Any) -> Layers:
    """What unpack and read make of a file in ``tests/files``."""
    return read_bytes(folder, name, (FILES / name).read_bytes(), **options)


def table_of(layer: Layer) -> pa.Table:
    """All rows of a layer."""
    return read.open_batches(layer).read_all()


def rows_of(layer: Layer) -> list[list[Any]]:
    """All rows of a layer as lists of Python values."""
    return [list(row.values()) for row in table_of(layer).to_pylist()]


def names_of(layer: Layer) -> list[str]:
    """Names of the layer's fields as in the file."""
    return [field.name for field in layer.fields]


def said_about(layer: Layer) -> dict[str, str]:
    """The layer's decisions: choice by subject."""
    return {decision.subject: decision.choice for decision in layer.decisions}


def empty_workspace(workspace: Path) -> None:
    """Remove what a run's end removes with its workspace, so that a child can have another file."""
    for path in workspace.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
