"""What a hostile file is, and what it is after: a file outside, a server that nobody may call."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SECRET = "CANARY-4711"
DECOMPRESSION, EMPTY, LOAD, TIMEOUT, TOO_BIG = 1003, 1005, 2001, 6667, 6666


@dataclass(frozen=True, kw_only=True)
class Trap:
    """A file, and the codes that it may end in; ``None`` among them: it may also be read.

    Where the machine is slow, any may end by the time limit: that is within the limits too.
    """

    name: str
    make: Callable[[], bytes]
    codes: frozenset[int | None]


def trap(name: str, make: Callable[[], bytes | str], *codes: int | None) -> Trap:
    def made() -> bytes:
        content = make()
        return filled(content.encode() if isinstance(content, str) else content)

    return Trap(name=name, make=made, codes=frozenset((*codes, TIMEOUT)))


def filled(content: bytes) -> bytes:
    """The content with the place of the secret and the port of the server."""
    if b"{secret}" not in content and b"{port}" not in content:
        return content
    content = content.replace(b"{secret}", str(secret_file()).encode())
    return content.replace(b"{port}", str(server().getsockname()[1]).encode())


@cache
def secret_file() -> Path:
    """A table that every user may read, outside of all workspaces."""
    folder = tempfile.TemporaryDirectory(prefix="synctables-secret-")
    _kept.append(folder)
    Path(folder.name).chmod(0o755)
    path = Path(folder.name, "secret.csv")
    path.write_text(f"name,lat,lon\n{SECRET},1,2\n")
    path.chmod(0o644)
    return path


@cache
def server() -> socket.socket:
    """It listens on loopback, and nobody may call."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    _kept.append(listening)
    return listening


def had_visitors() -> bool:
    try:
        connection, _ = server().accept()
    except BlockingIOError:
        return False
    connection.close()
    return True


_kept: list[object] = []
"""For as long as the process lives."""
