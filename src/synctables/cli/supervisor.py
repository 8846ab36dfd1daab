"""One child process that is kept running: `serve` keeps its worker this way.

The other side, `follow_parent`, runs in the child and sees to it that the child never outlives the
one who started it, not even when that one was killed with SIGKILL.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence

import structlog

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LOOK_SECONDS = 0.5

log = structlog.get_logger(__name__)


def next_pause(previous: float, *, lived_seconds: float) -> float:
    """Seconds before the next start: doubling, and short again after a steady while."""
    if lived_seconds >= STEADY_SECONDS:
        return FIRST_PAUSE_SECONDS
    return min(previous * 2, LONGEST_PAUSE_SECONDS)


class Supervisor:
    """Runs ``command`` in a process group of its own and starts it again when it ends."""

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str]) -> None:
        self._command = command
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the child and watch it from now on. Raises OSError when it cannot be started."""
        self._process = await self._spawn()
        self._watch = asyncio.create_task(self._keep_running(self._process))

    async def stop(self, *, grace_seconds: float) -> None:
        """SIGTERM, and SIGKILL for the whole group after ``grace_seconds``."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), grace_seconds)
        except TimeoutError:
            log.warning("worker_killed", grace_seconds=grace_seconds)
        _kill_group(self._process.pid)
        await self._process.wait()

    async def _spawn(self) -> asyncio.subprocess.Process:
        # A group of its own: Ctrl-C in the terminal is for `serve` alone, which then ends the child
        # in order; and whatever the child leaves behind can be found by its group. No session of
        # its own: Linux shares processors out among sessions first (sched_autogroup), and the
        # child's niceness would count for nothing.
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            env=dict(self._environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sys.stderr,
            process_group=0,
        )
        return self._process

    async def _keep_running(self, process: asyncio.subprocess.Process) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            started = time.monotonic()
            exit_code = await process.wait()
            _kill_group(process.pid)
            log.warning("worker_ended", exit_code=exit_code, restart_in_seconds=pause)
            await asyncio.sleep(pause)
            pause = next_pause(pause, lived_seconds=time.monotonic() - started)
            process = await self._spawn_again()

    async def _spawn_again(self) -> asyncio.subprocess.Process:
        while True:
            try:
                return await self._spawn()
            except OSError as error:  # no memory, no process slots: it may pass
                log.error("worker_not_started", reason=str(error))  # noqa: TRY400
                await asyncio.sleep(LONGEST_PAUSE_SECONDS)


def follow_parent(parent: int) -> None:
    """From now on this process gets SIGTERM when ``parent``, a process id, has ended."""
    if sys.platform == "linux":
        # Fires when the *thread* that started us ends; `serve` starts us from its main thread.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    else:
        threading.Thread(target=_watch_parent, args=(parent,), daemon=True).start()
    if os.getppid() != parent:  # it ended before the line above
        os.kill(os.getpid(), signal.SIGTERM)


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def _kill_group(leader: int) -> None:
    """End what a child left behind, such as a sandbox of a killed worker."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
