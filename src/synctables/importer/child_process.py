"""One child process: its pipes, its life, its limits. Knows nothing of stages."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import structlog

from synctables.errors import (
    FileTooBigError,
    LoadError,
    ReaderEndedError,
    ReadTimeoutError,
    RunError,
)
from synctables.importer.environment import scrubbed_environment
from synctables.importer.orphaned_children import child_command

log = structlog.get_logger(__name__)

MAX_LINE_BYTES = 64 * 1024 * 1024
LOG_BYTES = 64 * 1024
LOOK_SECONDS = 0.5
"""How often the resident size is looked at; a child cannot fill gigabytes between two looks
because RLIMIT_DATA stops it (`confine`)."""

_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
"""Signals that no file brings about: an operator's, or the kernel's when memory runs out."""

_OUT_OF_MEMORY = ("memory allocation of ", "std::bad_alloc")
"""What Rust and C++ say on stderr before they abort because RLIMIT_DATA gave them no more."""

OnProgress = Callable[[dict[str, object]], None]


class ChildProcess:
    """A running ``synctables.importer.child``. Made by `start`, ended by `kill`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._log = bytearray()
        self._drain = asyncio.create_task(self._keep_log())
        self._watch: asyncio.Task[None] | None = None
        self._verdict: RunError | None = None

    @classmethod
    async def start(cls, workspaces: Path | None = None) -> ChildProcess:
        """Start the interpreter and wait until its imports are done.

        ``workspaces`` is the folder of the worker that it belongs to, where there is one.
        Raises `ReaderEndedError`: no file has been touched yet, so none is to blame.
        """
        process = await asyncio.create_subprocess_exec(
            *child_command(workspaces),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=scrubbed_environment(),
            limit=MAX_LINE_BYTES,
            start_new_session=True,
            cwd="/",
        )
        _share_niceness(process.pid)
        child = cls(process)
        try:
            await child._next_answer(None)
        except RunError as error:
            await child.kill()
            log.warning("sandbox.did_not_start", child=child.log[-2000:])
            raise ReaderEndedError("The process that reads files did not start.") from error
        except BaseException:
            await child.kill()
            raise
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.decode("utf-8", "replace")

    def watch(self, *, memory_bytes: int, seconds: float) -> None:
        """From now on, kill the child when it outgrows or outlives these."""
        self._watch = asyncio.create_task(self._keep_limits(memory_bytes, seconds))

    async def ask(
        self, call: str, arguments: dict[str, Any], *, on_progress: OnProgress | None
    ) -> dict[str, Any]:
        """Send one command and return its answer; progress lines go to ``on_progress``."""
        if self._process.stdin is None:
            raise LoadError("The reader is gone.")
        line = json.dumps({"call": call, "arguments": arguments}) + "\n"
        try:
            self._process.stdin.write(line.encode())
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            pass  # what ended it is told by the answer that does not come
        return await self._next_answer(on_progress)

    async def answers(self) -> bool:
        """Whether the child still lives and listens."""
        try:
            return await self.ask("ping", {}, on_progress=None) == {"pong": True}
        except RunError:
            return False

    async def kill(self) -> None:
        """End the child and all that it started, and wait until it is gone."""
        if self._watch is not None:
            self._watch.cancel()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._drain, 1)
        if self._process.stdin is not None:
            self._process.stdin.close()

    @property
    def _is_running(self) -> bool:
        return self._process.returncode is None

    async def _next_answer(self, on_progress: OnProgress | None) -> dict[str, Any]:
        while True:
            message = await self._next_message()
            progress = message.get("progress")
            if progress is None:
                return message
            if on_progress is not None and isinstance(progress, dict):
                on_progress(progress)

    async def _next_message(self) -> dict[str, Any]:
        if self._process.stdout is None:
            raise LoadError("The reader is gone.")
        try:
            line = await self._process.stdout.readline()
            message = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:  # longer than MAX_LINE_BYTES, or not JSON
            await self.kill()
            raise LoadError("The reader gave an answer that makes no sense.") from None
        if isinstance(message, dict):
            return message
        raise await self._explain_end()

    async def _explain_end(self) -> RunError:
        """Why the child stopped answering, as the error of the run."""
        if not self._is_running or self._process.stdout is None or self._process.stdout.at_eof():
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._process.wait(), 2)
        if self._verdict is not None:
            return self._verdict
        code = self._process.returncode
        if code is None:
            return LoadError("The reader gave an answer that makes no sense.")
        if code == -signal.SIGXCPU:
            return _timeout()
        if -code in _FROM_OUTSIDE:
            return ReaderEndedError(f"The reader was ended by {signal.Signals(-code).name}.")
        said = await self._last_words()
        if any(words in said for words in _OUT_OF_MEMORY):
            return _too_much_memory()
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return LoadError(f"The reader crashed on this file ({name}).")

    async def _last_words(self) -> str:
        """All that the ended child wrote to stderr."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._drain), 1)
        return self.log

    async def _keep_limits(self, memory_bytes: int, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        process = psutil.Process(self.pid)
        with suppress(psutil.Error, ProcessLookupError):
            while self._is_running:
                if loop.time() >= deadline:
                    self._verdict = _timeout()
                elif process.memory_info().rss > memory_bytes:
                    self._verdict = _too_much_memory()
                if self._verdict is not None:
                    os.killpg(self.pid, signal.SIGKILL)
                    return
                await asyncio.sleep(min(LOOK_SECONDS, max(deadline - loop.time(), 0.01)))

    async def _keep_log(self) -> None:
        """Read stderr to its end, keeping the last `LOG_BYTES`."""
        if self._process.stderr is None:
            return
        while chunk := await self._process.stderr.read(8192):
            self._log += chunk
            del self._log[:-LOG_BYTES]


def _too_much_memory() -> FileTooBigError:
    return FileTooBigError("Reading the file took more memory than this server allows.")


def _timeout() -> ReadTimeoutError:
    return ReadTimeoutError("Reading the file took longer than this server allows.")


def _share_niceness(process_id: int) -> None:
    """Have a session of its own count for as little as this process does.

    Linux may share processors out among sessions first (sched(7), autogroups), and a new one counts
    in full, whatever niceness its processes inherit.
    """
    if niceness := os.nice(0):
        with suppress(OSError):
            Path(f"/proc/{process_id}/autogroup").write_text(str(niceness), encoding="ascii")
