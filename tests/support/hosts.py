"""Several hosts on one machine: network namespaces on a bridge, each with a link that can be cut.

The test itself is on the bridge too, at `Network.address`. Needs root, and ``ip`` with its
namespaces; `hosts_are_possible` tells.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"


@dataclass(frozen=True, kw_only=True)
class Host:
    """``prefix`` before a command runs it there."""

    name: str

    @property
    def prefix(self) -> str:
        return f"{shutil.which('ip', path=_PATH) or 'ip'} netns exec {self.name}"

    def cut(self) -> None:
        """Nothing gets through any more, and nobody is told."""
        _ip("link", "set", f"v{self.name}", "down")

    def mend(self) -> None:
        _ip("link", "set", f"v{self.name}", "up")


@dataclass(frozen=True, kw_only=True)
class Network:
    address: str
    range: str
    hosts: tuple[Host, ...]


@contextmanager
def network_of(count: int) -> Iterator[Network]:
    """So many hosts, gone with the block. Raises `subprocess.CalledProcessError`.

    The addresses are of the range for tests of networks (RFC 2544), one part of it per process.
    """
    number = os.getpid() % 250
    net, bridge = f"198.18.{number}", f"stb{os.getpid() % 10**7}"
    with ExitStack() as undo:
        _ip("link", "add", bridge, "type", "bridge")
        undo.callback(_ip, "link", "del", bridge)
        _ip("addr", "add", f"{net}.1/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        hosts = []
        for position in range(count):
            host = Host(name=f"st{os.getpid() % 10**7}x{position}")
            _ip("netns", "add", host.name)
            undo.callback(_ip, "netns", "del", host.name)
            _connect(host, bridge, address=f"{net}.{position + 2}/24")
            hosts.append(host)
        yield Network(address=f"{net}.1", range=f"{net}.0/24", hosts=tuple(hosts))


@functools.cache
def hosts_are_possible() -> bool:
    """Whether this user may make them here."""
    try:
        with network_of(1):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def _connect(host: Host, bridge: str, *, address: str) -> None:
    outer = f"v{host.name}"
    _ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", host.name)
    _ip("link", "set", outer, "master", bridge, "up")
    _ip("-n", host.name, "addr", "add", address, "dev", "eth0")
    _ip("-n", host.name, "link", "set", "eth0", "up")
    _ip("-n", host.name, "link", "set", "lo", "up")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], env={"PATH": _PATH}, check=True, capture_output=True)
