"""A sandbox child and the workspace that it gets."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from synctables.importer.sandbox import Sandbox, SandboxLimits
from synctables.importer.workspace import create_workspace, remove_workspace
from tests.support.reading import LIMITS, fetched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from synctables.importer.model import Unpacked

CSV = b"name,lat,lon\nOslo,59.9,10.7\nRome,41.9,12.5\n"
AMPLE = SandboxLimits(memory_bytes=2 << 30, seconds=60, max_file_bytes=1 << 30)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may enter, like a data directory (and unlike ``tmp_path``)."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def workspace(folder: Path) -> Iterator[Path]:
    workspace = create_workspace(folder / "workspaces")
    yield workspace
    remove_workspace(workspace)


async def unpack_into(sandbox: Sandbox, workspace: Path, content: bytes, name: str) -> Unpacked:
    path = workspace / "fetched"
    path.write_bytes(content)
    return await sandbox.unpack(fetched(path, name), LIMITS)
