"""One mutant after the other through confined children, as the worker sends its files.

A child is used for several files here, which saves its start; every end but a plain one is tried
again in a fresh child with the worker's own limits, so that no file is blamed for another's.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from synctables.errors import (
    FileTooBigError,
    ReaderEndedError,
    ReadTimeoutError,
    RunError,
    UnknownError,
)
from synctables.importer.sandbox import Sandbox, SandboxLimits, Spare
from synctables.importer.workspace import create_workspace, remove_workspace
from tests.support.arrow_files import read_typed_file
from tests.support.reading import LIMITS, empty_workspace, fetched

if TYPE_CHECKING:
    from synctables.importer.model import TypedLayer
    from tests.fuzz.mutate import Mutant

FILES_PER_CHILD = 20
SECONDS = 60
LIMITS_OF_ONE = SandboxLimits(memory_bytes=2 << 30, seconds=SECONDS, max_file_bytes=1 << 30)
_LIMITS_OF_SEVERAL = SandboxLimits(
    memory_bytes=2 << 30, seconds=SECONDS * FILES_PER_CHILD, max_file_bytes=1 << 30
)
_ENDS_OF_CHILDREN = (FileTooBigError.code, ReadTimeoutError.code)
_LAST_WORDS = re.compile(r"^(\w[\w.]*): .*$|^(\w[\w.]*Error)$", re.M)
_PLACE = re.compile(r'File "[^"]*?/(synctables/[^"]+)", line (\d+)')


@dataclass(frozen=True, kw_only=True)
class End:
    """What became of one mutant."""

    mutant: Mutant
    code: int
    """0 is success."""
    message: str = ""
    seconds: float = 0.0
    finding: str = ""
    """Why this end is not allowed; empty where it is."""
    weakness: str = ""
    """An allowed end that nobody foresaw: the reader crashed, or met an exception without name."""


class Lane:
    """A place where one mutant at a time is read, with its own spare child."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._spare = Spare()
        self._sandbox: Sandbox | None = None
        self._used = 0
        self._open = AsyncExitStack()
        self.workspace = Path()
        self.newest_pid = 0
        self.survivors: list[int] = []
        """Children that were not gone, with all that they started, when they should have been."""

    async def run(self, mutant: Mutant) -> End:
        """The end that stands: in a shared child if it is a plain one, else in a fresh one."""
        end = await self._run_shared(mutant)
        if not (end.finding or end.weakness or end.code in _ENDS_OF_CHILDREN):
            return end
        await self._renew()
        return await self._run_alone(mutant)

    async def close(self) -> None:
        await self._open.aclose()
        await self._spare.close()

    async def _run_shared(self, mutant: Mutant) -> End:
        if self._sandbox is None or self._used >= FILES_PER_CHILD:
            await self._renew()
            self._sandbox = await self._enter(self._open, _LIMITS_OF_SEVERAL)
        self._used += 1
        try:
            async with asyncio.timeout(SECONDS):
                return await _read(self._sandbox, self.workspace, mutant)
        except TimeoutError:
            return End(mutant=mutant, code=0, finding="took too long in a shared child")
        finally:
            empty_workspace(self.workspace)

    async def _run_alone(self, mutant: Mutant) -> End:
        async with AsyncExitStack() as stack:
            sandbox = await self._enter(stack, LIMITS_OF_ONE)
            return await _read(sandbox, self.workspace, mutant)

    async def _enter(self, stack: AsyncExitStack, limits: SandboxLimits) -> Sandbox:
        self.workspace = create_workspace(self._root)
        stack.callback(remove_workspace, self.workspace)
        stack.callback(self._look_for_survivors)
        sandbox = await stack.enter_async_context(
            Sandbox.start(self.workspace, limits, spare=self._spare)
        )
        self.newest_pid = sandbox.pid
        return sandbox

    def _look_for_survivors(self) -> None:
        if _has_members(self.newest_pid):
            self.survivors.append(self.newest_pid)

    async def _renew(self) -> None:
        await self._open.aclose()
        self._open, self._sandbox, self._used = AsyncExitStack(), None, 0


async def _read(sandbox: Sandbox, workspace: Path, mutant: Mutant) -> End:
    """Unpack, read and infer, as `pipeline.read_source` does."""
    path = workspace / "fetched"
    give_content(path, mutant.content)
    began_at, logged = time.monotonic(), len(sandbox.log)
    code, message, finding, weakness = 0, "", "", ""
    try:
        unpacked = await sandbox.unpack(fetched(path, mutant.name), LIMITS)
        layers = await sandbox.read(unpacked, mutant.options, LIMITS)
        typed = await sandbox.infer(layers, mutant.options, LIMITS)
        finding = next(filter(None, map(broken_promise, typed.layers)), "")
    except (UnknownError, ReaderEndedError) as error:
        code, message, finding = error.code, str(error), "no file may bring this about"
    except RunError as error:
        code, message = error.code, str(error)
        weakness = _unforeseen(message, sandbox.log[min(logged, len(sandbox.log) - 4_000) :])
    except Exception as error:  # noqa: BLE001 - recorded: it is the finding
        code, finding = UnknownError.code, f"{type(error).__name__}: {error}"
    return End(
        mutant=mutant,
        code=code,
        message=message[:200],
        seconds=time.monotonic() - began_at,
        finding=finding,
        weakness=weakness,
    )


def give_content(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def broken_promise(layer: TypedLayer) -> str:
    """What of the typed file is not as `TypedLayer` says, or nothing."""
    table = read_typed_file(layer.path)
    if table.num_rows != layer.row_count:
        return f"{table.num_rows} rows instead of {layer.row_count}"
    for name in table.column_names:
        values = table.column(name)
        if pa.types.is_string(values.type) and _holds_nul(values):
            return f"column {name!r} holds text that PostgreSQL refuses"
    return ""


def _holds_nul(values: pa.ChunkedArray) -> bool:
    values.validate(full=True)
    return bool(pc.any(pc.match_substring(values, "\0")).as_py())


def _unforeseen(message: str, log: str) -> str:
    """The exception that nobody named, and the last place of ours on its way."""
    if message.startswith("The reader crashed"):
        return message
    if not message or message.startswith("Unable to load data"):
        words = ["".join(found) for found in _LAST_WORDS.findall(log)]
        places = _PLACE.findall(log)
        place = ":".join(places[-1]) if places else "?"
        return f"{words[-1] if words else 'unknown'} at {place}"
    return ""


def _has_members(group: int) -> bool:
    """Whether a process of the group lives on, asked at once: later the number may be another's."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
