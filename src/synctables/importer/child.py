"""The child process that unpacks, reads and infers: one JSON command a line in, JSON lines out.

Run as ``python -I -m synctables.importer.child``. It trusts nothing that it reads and is trusted
by nobody: no network, no database, no credentials, another user where possible (`confine`). The
worker's side of the conversation is `sandbox`.

::

    {"call": "enter", "arguments": {"workspace": …, "memory_bytes": …, …}}   first, once
    {"call": "unpack" | "read" | "infer", "arguments": {…}}                  then these
    {"call": "ping", "arguments": {}}                                        while it waits
    ← {"ready": true}                                                        imports are done
    ← {"hello": {…}}                                                         to enter
    ← {"pong": true}                                                         to ping
    ← {"progress": {…}}* and {"value": …} or {"error": {"class": …, "message": …}}
"""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from synctables.importer.confine import confine_early, confine_late

Arguments = dict[str, Any]


def main() -> None:
    """Confine, import what is slow to import, then answer commands until stdin ends."""
    parent_pid = os.getppid()
    answers = _take_stdout()
    measures = confine_early(parent_pid)
    calls = _import_calls()
    _say(answers, {"ready": True})
    for line in sys.stdin:
        command = json.loads(line)
        name, arguments = command["call"], command["arguments"]
        answer: dict[str, Any]
        if name == "ping":
            answer = {"pong": True}
        elif name == "enter":
            answer = {"hello": measures | _enter(arguments, parent_pid)}
        else:
            answer = _answer(calls.get(name, _unknown), arguments, answers)
        _say(answers, answer)


def _take_stdout() -> IO[str]:
    """Keep stdout for answers; whatever a library prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _say(answers: IO[str], message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


def _enter(arguments: Arguments, parent_pid: int) -> dict[str, str]:
    workspace = Path(arguments.pop("workspace"))
    os.environ["TMPDIR"] = str(workspace)
    return confine_late(workspace, parent_pid=parent_pid, **arguments)


Progress = Callable[[dict[str, Any]], None]


def _answer(call: Callable[..., Any], arguments: Arguments, answers: IO[str]) -> dict[str, Any]:
    """The result of one call, or its error by class name; the traceback goes to stderr."""

    def progress(event: dict[str, Any]) -> None:
        _say(answers, {"progress": event})

    try:
        return {"value": call(arguments, progress)}
    except Exception as error:  # noqa: BLE001 - recorded: answered, and printed for the log
        traceback.print_exc()
        name, message = _name_error(error)
        return {"error": {"class": name, "message": message}}


def _unknown(_: Arguments, __: Progress) -> None:
    raise ValueError("no such call")


def _name_error(error: Exception) -> tuple[str, str]:
    """The `RunError` subclass that stands for ``error``, and what to tell the user."""
    from synctables.errors import RunError

    if isinstance(error, RunError):
        return type(error).__name__, str(error)
    text = str(error)
    if isinstance(error, MemoryError) or "Out of Memory" in text or "malloc of size" in text:
        return "FileTooBigError", "Reading the file took more memory than this server allows."
    number = getattr(error, "errno", None)
    if number == errno.EFBIG or "File too large" in text:
        return "FileTooBigError", "Unpacked or converted, the file is larger than allowed."
    if number in {errno.ENOSPC, errno.EDQUOT} or "No space left" in text:
        return "DiskFullError", ""
    return "LoadError", ""


def _import_calls() -> dict[str, Callable[[Arguments, Progress], Any]]:
    """The three stages as functions of JSON; importing them takes most of a second."""
    from synctables.importer import stages

    return stages.CALLS


if __name__ == "__main__":
    main()
