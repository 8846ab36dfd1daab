"""A whole internet in a network namespace: every address leads here, and each connection is told.

Run as ``python -m tests.support.boxed_network`` with cases as JSON on stdin, it answers with what
became of each. Inside, one server listens on every address there is (a local route for all of
them), public and private ones alike, and is the name server too; so a connection that was made is
seen, wherever it was to go, and one that is not seen was not made.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from synctables.datasources._http import create_http_session
from synctables.datasources.url import UrlDatasource
from synctables.errors import RunError
from synctables.importer.confine import kernel
from synctables.settings import Settings

PORT = 8080
PUBLIC = "93.184.215.14"
PUBLIC_IPV6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"
IS_POSSIBLE = sys.platform == "linux" and any(
    Path(folder, "ip").exists() for folder in ("/usr/sbin", "/sbin", "/usr/bin", "/bin")
)
_COMMANDS = (
    "ip link set lo up",
    "ip route add local 0.0.0.0/0 dev lo",
    "ip -6 route add local ::/0 dev lo",
)
_ORDINARY = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\nContent-Type: text/csv\r\n\r\na,b\n1,2\n"
_A, _CNAME, _AAAA = 1, 5, 28


@dataclass(frozen=True, kw_only=True)
class Case:
    """One attempt: a URL, what the server answers by path, what the names resolve to."""

    url: str
    answers: dict[str, str] = field(default_factory=dict)
    """Whole answers, in latin-1; any other path gets a small CSV file."""
    names: dict[str, list[list[str]]] = field(default_factory=dict)
    """For each look-up the addresses, of either kind, or another name; the last list stays.
    ``*`` is every name that is not there."""
    allowed: tuple[str, ...] = ()
    is_bare: bool = False
    """By the session alone, without our own reading of the address."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The error's class, nothing after a success, and the addresses that were connected to."""

    error: str | None
    message: str
    connected: list[str]


def run_cases(cases: list[Case]) -> list[Outcome]:
    """Attempt all of them in a process of its own, in a network of its own."""
    command = [sys.executable, "-m", "tests.support.boxed_network"]
    finished = subprocess.run(
        command,
        input=json.dumps([asdict(case) for case in cases]),
        capture_output=True,
        check=False,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    if finished.returncode:
        raise RuntimeError(finished.stderr)
    return [Outcome(**item) for item in json.loads(finished.stdout)]


class Box:
    """The one server and name server of this network."""

    def __init__(self) -> None:
        self.connected: list[str] = []
        self.case = Case(url="")
        self._look_ups: dict[tuple[str, int], int] = {}

    def begin(self, case: Case) -> None:
        self.case, self.connected, self._look_ups = case, [], {}

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected.append(str(writer.get_extra_info("sockname")[0]))
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode("latin-1")
            writer.write(
                self.case.answers.get(path, _ORDINARY).encode("latin-1", "surrogateescape")
            )
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def resolve(self, name: str, kind: int) -> list[str]:
        """The next answer for the name; those of another kind are left out."""
        lists = self.case.names.get(name) or self.case.names.get("*")
        if not lists:
            return []
        count = self._look_ups.get((name, kind), 0)
        self._look_ups[name, kind] = count + 1
        found = lists[min(count, len(lists) - 1)]
        return [one for one in found if (":" in one) == (kind == _AAAA) or one[0].isalpha()]


class _NameServer(asyncio.DatagramProtocol):
    """RFC 1035, as much of it as the system's resolver asks for; nothing may be kept (TTL 0)."""

    def __init__(self, box: Box) -> None:
        self._box = box

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        name, end = _read_name(data)
        kind, _ = struct.unpack_from(">HH", data, end)
        known = not {name, "*"}.isdisjoint(self._box.case.names)
        records = list(_records(self._box.resolve(name, kind)))
        flags = 0x8580 if known else 0x8583
        head = data[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0)
        self._transport.sendto(head + data[12 : end + 4] + b"".join(records), addr)


def _read_name(query: bytes) -> tuple[str, int]:
    labels, position = [], 12
    while size := query[position]:
        labels.append(query[position + 1 : position + 1 + size].decode("latin-1"))
        position += 1 + size
    return ".".join(labels).lower(), position + 1


def _records(targets: list[str]) -> Iterator[bytes]:
    """Addresses of the name that was asked for, or of the other name that stands before them."""
    owner = b"\xc0\x0c"  # where the question has the name
    for target in targets:
        if target[0].isalpha():
            labels = b"".join(bytes([len(part)]) + part.encode() for part in target.split("."))
            yield _record(owner, _CNAME, labels + b"\0")
            owner = labels + b"\0"
        else:
            address = ipaddress.ip_address(target)
            yield _record(owner, _AAAA if address.version == 6 else _A, address.packed)


def _record(owner: bytes, kind: int, content: bytes) -> bytes:
    return owner + struct.pack(">HHIH", kind, 1, 0, len(content)) + content


def _enter_network() -> None:
    user, group = os.getuid(), os.getgid()
    is_root = user == 0
    if not kernel.unshare(kernel.CLONE_NEWNET | (0 if is_root else kernel.CLONE_NEWUSER)):
        raise OSError("no network namespace")
    if not is_root:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    for command in _COMMANDS:
        subprocess.run(command.split(), check=True, env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"})


def _name_server_addresses() -> Iterator[str]:
    file = Path("/etc/resolv.conf")
    lines = file.read_text().splitlines() if file.exists() else []
    found = [line.split()[1] for line in lines if line.startswith("nameserver ")]
    yield from found or ["127.0.0.1"]


async def _attempt(case: Case, box: Box, into: Path) -> Outcome:
    box.begin(case)
    networks = tuple(ipaddress.ip_network(one) for one in case.allowed)
    settings = Settings(allowed_networks=networks, connect_timeout_seconds=2)
    error, message = None, ""
    async with create_http_session(settings) as session:
        try:
            if case.is_bare:
                await session.get(case.url)
            else:
                source = UrlDatasource(session, settings, backoff_seconds=0)
                await source.fetch(
                    case.url, known=None, into=into, on_bytes=lambda _got, _all: None
                )
        except (RunError, aiohttp.ClientError, OSError, ValueError) as caught:
            error, message = type(caught).__name__, str(caught)
    return Outcome(error=error, message=message, connected=list(box.connected))


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


async def _main(cases: list[Case]) -> list[Outcome]:
    box = Box()
    loop = asyncio.get_running_loop()
    servers = [await asyncio.start_server(box.answer, host, PORT) for host in ("0.0.0.0", "::")]
    for address in _name_server_addresses():
        await loop.create_datagram_endpoint(lambda: _NameServer(box), local_addr=(address, 53))
    with _folder() as into:
        outcomes = [await _attempt(case, box, into) for case in cases]
    for server in servers:
        server.close()
    return outcomes


if __name__ == "__main__":
    _enter_network()
    found = asyncio.run(_main([Case(**item) for item in json.load(sys.stdin)]))
    print(json.dumps([asdict(outcome) for outcome in found]))
