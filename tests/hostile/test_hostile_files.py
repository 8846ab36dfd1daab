"""Bombs, traps and lies: each ends in a code within time and memory, and reads nothing outside.

Every file goes through the real sandbox, as a run sends it, with limits that a test can afford.
After it the folder is as before, the child is gone, and the next file is read.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from synctables.errors import RunError
from synctables.importer.model import Limits, ReadOptions
from synctables.importer.sandbox import Sandbox, SandboxLimits
from synctables.importer.workspace import create_workspace, remove_workspace
from tests.hostile import archives, json_texts, lies, markup, paths, sheets, tricks
from tests.hostile.bombs import CSV, GIB, MIB
from tests.hostile.traps import SECRET, Trap, had_visitors
from tests.support.arrow_files import read_typed_file
from tests.support.reading import empty_workspace, fetched

if TYPE_CHECKING:
    from synctables.importer.model import Typed

SECONDS = 30
LIMITS = Limits(max_bytes=256 * MIB)
SANDBOX_LIMITS = SandboxLimits(memory_bytes=GIB, seconds=SECONDS, max_file_bytes=256 * MIB)
SPARE_SECONDS = 20
"""What killing and cleaning up may take beyond."""

TABLES: dict[str, dict[str, Trap]] = {
    "archives": archives.ARCHIVES,
    "paths": paths.PATHS,
    "markup": markup.MARKUP,
    "sheets": sheets.SHEETS,
    "json": json_texts.JSON,
    "lies": lies.LIES,
}
ALL = {f"{kind}: {name}": one for kind, table in TABLES.items() for name, one in table.items()}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may enter, like a data directory (and unlike ``tmp_path``)."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.mark.parametrize("name", ALL)
async def test_a_hostile_file_ends_in_a_code_and_leaves_nothing(name: str, folder: Path) -> None:
    hostile, began_at = ALL[name], time.monotonic()
    content = hostile.make()
    began_at = time.monotonic()
    code, words = await read_alone(folder, hostile.name, content)
    seconds = time.monotonic() - began_at
    assert code in hostile.codes, words
    assert SECRET not in words
    assert not had_visitors()
    assert seconds < SECONDS + SPARE_SECONDS
    assert _names_in(folder) == []


@pytest.mark.parametrize("trick", tricks.TRICKS)
async def test_no_description_of_other_data_is_followed(trick: str, folder: Path) -> None:
    """Under every suffix and in archives, one after the other in one child."""
    workspace = create_workspace(folder)
    try:
        async with Sandbox.start(workspace, SANDBOX_LIMITS) as sandbox:
            for name, content in tricks.files_of(trick):
                code, words = await end_of(sandbox, workspace, name, content)
                assert code in tricks.CODES, (name, words)
                assert SECRET not in words, name
                assert not had_visitors(), name
                empty_workspace(workspace)
    finally:
        remove_workspace(workspace)
    assert _names_in(folder) == []


async def read_alone(folder: Path, name: str, content: bytes) -> tuple[int | None, str]:
    """The code that the file ended in, and all words that a user could read; None: it was read."""
    workspace = create_workspace(folder)
    pid = 0
    try:
        async with Sandbox.start(workspace, SANDBOX_LIMITS) as sandbox:
            pid = sandbox.pid
            return await end_of(sandbox, workspace, name, content)
    finally:
        remove_workspace(workspace)
        assert not psutil.pid_exists(pid)


async def end_of(
    sandbox: Sandbox, workspace: Path, name: str, content: bytes
) -> tuple[int | None, str]:
    try:
        return None, _values(await read(sandbox, workspace, name, content))
    except RunError as error:
        return error.code, str(error)


async def read(sandbox: Sandbox, workspace: Path, name: str, content: bytes) -> Typed:
    path = workspace / "fetched"
    path.write_bytes(content)
    options = ReadOptions(every_layer=True)
    unpacked = await sandbox.unpack(fetched(path, name), LIMITS)
    layers = await sandbox.read(unpacked, options, LIMITS)
    return await sandbox.infer(layers, options, LIMITS)


def _values(typed: Typed) -> str:
    """Everything that would come into the tables, as text; of long ones the beginning."""
    found = []
    for layer in typed.layers:
        found.append(str(read_typed_file(layer.path).slice(0, 1_000).to_pylist()))
        found.append(str(layer))
    return "".join(found)


def _names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_an_ordinary_file_is_read_by_the_same_means(folder: Path) -> None:
    code, words = await read_alone(folder, "a.csv", CSV + SECRET.encode() + b",3\n")
    assert code is None
    assert SECRET in words
