"""The worker's side of the sandbox child: start, command, watch, kill.

The child (`child`) reads files that strangers made, so whatever it says is checked here: lines
are bounded, values validated, paths must lie in the workspace, errors must be ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import structlog
from pydantic import TypeAdapter, ValidationError

from synctables import errors
from synctables.datasources.base import Fetched
from synctables.errors import LoadError, RunError
from synctables.importer.child_process import ChildProcess
from synctables.importer.model import Layers, Limits, ReadOptions, Typed, Unpacked
from synctables.importer.workspace import give_to_sandbox, inside

T = TypeVar("T")
LOG_TAIL = 4_000
log = structlog.get_logger(__name__)
OnProgress = Callable[[dict[str, object]], None]

_fetched = TypeAdapter(Fetched)
_limits = TypeAdapter(Limits)
_options = TypeAdapter(ReadOptions)
_unpacked = TypeAdapter(Unpacked)
_layers = TypeAdapter(Layers)
_typed = TypeAdapter(Typed)


@dataclass(frozen=True, kw_only=True)
class SandboxLimits:
    """What one child may use: resident memory, wall-clock seconds, bytes in any one file."""

    memory_bytes: int
    seconds: int
    max_file_bytes: int


class Spare:
    """One warm child, imports done, so that a small file does not pay for start-up.

    `take` hands it out and starts the next in the background; `close` ends the one in waiting.
    ``workspaces`` is the folder of the worker that the children belong to.
    """

    def __init__(self, workspaces: Path | None = None) -> None:
        self._workspaces = workspaces
        self._next: asyncio.Task[ChildProcess] | None = None

    def prepare(self) -> None:
        """Start the spare child, if none is waiting."""
        if self._next is None:
            self._next = asyncio.create_task(ChildProcess.start(self._workspaces))

    async def peek(self) -> ChildProcess:
        """The waiting child, left where it is."""
        self.prepare()
        assert self._next is not None  # noqa: S101 - for the type checker
        return await self._next

    async def take(self) -> ChildProcess:
        """A ready child: the spare one if it still lives, else a new one."""
        waiting, self._next = self._next, None
        child = await _living(waiting) if waiting else None
        child = child or await ChildProcess.start(self._workspaces)
        self.prepare()
        return child

    async def close(self) -> None:
        """End the waiting child."""
        waiting, self._next = self._next, None
        if waiting is not None:
            with suppress(RunError, OSError):
                await (await waiting).kill()


class Sandbox:
    """One child bound to one workspace; its calls raise the `RunError` that the child named."""

    def __init__(
        self, child: ChildProcess, workspace: Path, on_progress: OnProgress | None
    ) -> None:
        self._child = child
        self._workspace = workspace
        self._on_progress = on_progress
        self.measures: dict[str, str] = {}
        """What confinement achieved: ``network``, ``user``, ``limits``, …"""

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        workspace: Path,
        limits: SandboxLimits,
        *,
        spare: Spare | None = None,
        on_progress: OnProgress | None = None,
    ) -> AsyncIterator[Sandbox]:
        """A confined child for as long as the block runs; it and its descendants die with it."""
        child = await (spare.take() if spare else ChildProcess.start())
        try:
            sandbox = cls(child, workspace, on_progress)
            sandbox.measures = await _enter(child, workspace, limits)
            yield sandbox
        finally:
            await child.kill()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def log(self) -> str:
        """The end of what the child wrote to stderr: for operators, never for users."""
        return self._child.log

    async def unpack(self, fetched: Fetched, limits: Limits) -> Unpacked:
        """Unpack an archive, or take the file itself as the one member."""
        give_to_sandbox(fetched.path, self._workspace)
        value = await self._call(
            "unpack",
            fetched=_fetched.dump_python(fetched, mode="json"),
            limits=_limits.dump_python(limits, mode="json"),
        )
        unpacked = _validate(_unpacked, value)
        for member in unpacked.members:
            inside(member.path, self._workspace)
        return unpacked

    async def read(self, unpacked: Unpacked, options: ReadOptions, limits: Limits) -> Layers:
        """Find the layers in the members."""
        value = await self._call(
            "read",
            unpacked=_unpacked.dump_python(unpacked, mode="json"),
            options=_options.dump_python(options, mode="json"),
            limits=_limits.dump_python(limits, mode="json"),
        )
        layers = _validate(_layers, value)
        for layer in layers.layers:
            inside(layer.member.path, self._workspace)
        return layers

    async def infer(self, layers: Layers, options: ReadOptions, limits: Limits) -> Typed:
        """Type the layers and write each as one columnar file."""
        value = await self._call(
            "infer",
            layers=_layers.dump_python(layers, mode="json"),
            options=_options.dump_python(options, mode="json"),
            limits=_limits.dump_python(limits, mode="json"),
        )
        typed = _validate(_typed, value)
        for layer in typed.layers:
            inside(layer.path, self._workspace)
        return typed

    async def _call(self, name: str, **arguments: Any) -> Any:
        try:
            answer = await self._child.ask(name, arguments, on_progress=self._on_progress)
            if "error" in answer:
                raise _to_error(answer["error"], self._workspace)
        except LoadError as error:
            log.warning("sandbox.failed", call=name, error=str(error), child=self.log[-LOG_TAIL:])
            raise
        return answer.get("value")


async def _living(waiting: asyncio.Task[ChildProcess]) -> ChildProcess | None:
    """The child that was started ahead, unless it failed to start or has died since."""
    try:
        child = await waiting
    except (RunError, OSError):
        return None
    if await child.answers():
        return child
    await child.kill()
    return None


async def _enter(child: ChildProcess, workspace: Path, limits: SandboxLimits) -> dict[str, str]:
    """Bind the child to the workspace and the limits; returns what confinement achieved."""
    child.watch(memory_bytes=limits.memory_bytes, seconds=limits.seconds)
    arguments = {"workspace": str(workspace), **asdict(limits)}
    answer = await child.ask("enter", arguments, on_progress=None)
    hello = answer.get("hello")
    if not isinstance(hello, dict):
        raise LoadError("The reader did not start.")
    return {str(name)[:50]: str(value)[:200] for name, value in hello.items()}


def _validate(adapter: TypeAdapter[T], value: Any) -> T:
    try:
        return adapter.validate_python(value)
    except ValidationError:
        raise LoadError("The reader gave an answer that makes no sense.") from None


def _to_error(named: Any, workspace: Path) -> RunError:
    """The error that the child named, if it is one of ours with a code; else a `LoadError`.

    Libraries put whole paths in their words; users read them without the workspace's.
    """
    name = named.get("class") if isinstance(named, dict) else None
    found = getattr(errors, name, None) if isinstance(name, str) else None
    if not (isinstance(found, type) and issubclass(found, RunError) and hasattr(found, "code")):
        return LoadError()
    message = str(named.get("message", ""))[:2000]
    return found(message.replace(f"{workspace}/", ""))
