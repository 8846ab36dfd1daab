"""No spelling of a private address is ever connected to, whatever the name resolves to."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from synctables.datasources._http import create_http_session
from synctables.datasources.url import UrlDatasource
from synctables.datasources.web_address import WrongAddressError, parse_address
from synctables.errors import (
    BlockedAddressError,
    DownloadRefusedError,
    RunError,
    UnknownServerError,
)
from synctables.settings import Settings
from tests.support.file_server import FileServer

if TYPE_CHECKING:
    from pathlib import Path

HOSTS = [
    # loopback by name
    "localhost",
    "LOCALHOST",
    "LocalHost",
    "localhost.",
    "localhost..",
    "ip6-localhost",
    "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3",
    # loopback in IPv4's spellings (inet_aton: fewer parts, octal, hexadecimal)
    "127.0.0.1",
    "127.0.0.1.",
    "127.0.1",
    "127.1",
    "127.255.255.254",
    "2130706433",
    "02130706433",
    "017700000001",
    "0x7f000001",
    "0X7F000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "0x7f.0x0.0x0.0x1",
    "0177.0.0.1",
    "0177.0x0.1",
    "127.0.0.01",
    "127.000.000.001",
    "00000177.1",
    "0x0000007f.1",
    "127.0.0.1%2e",
    "127%2e0%2e0%2e1",
    "127\u30020\u30020\u30021",
    "127\uff0e0\uff0e0\uff0e1",
    "\uff11\uff12\uff17.0.0.1",
    "\u2460\u2461\u2466.0.0.1",
    # this machine by "any" addresses
    "0.0.0.0",
    "0",
    "0x0",
    "00",
    "0.0",
    "[::]",
    "[0000::]",
    "[::0.0.0.0]",
    # loopback in IPv6's spellings
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::0001]",
    "[::1%25lo]",
    "[::1%lo]",
    # IPv4 inside IPv6
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::FFFF:7F00:0001]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::80ff:fffe]",
    "[fe80::5efe:127.0.0.1]",
    # private, link-local, metadata
    "10.0.0.1",
    "192.168.0.1",
    "172.16.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "168.63.129.16",
    "192.0.0.192",
    "100.100.100.200",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "[fe80::1]",
    "[fe80::a9fe:a9fe]",
    "[fec0::1]",
    "[ff02::1]",
    "255.255.255.255",
    "224.0.0.1",
    "198.18.0.1",
    "240.0.0.1",
]

USERINFO = [
    "http://example.org@127.0.0.1:{port}/",
    "http://example.org:80@127.0.0.1:{port}/",
    "http://example.org%40127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@example.org/",
    "http://127.0.0.1:{port}?@example.org/",
    "http://127.0.0.1:{port}\\@example.org/",
    "http://example.org#@127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "http:\\\\127.0.0.1:{port}/",
    "http://[::1]@127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "\thttp://127.0.0.1:{port}/",
    "ht\ntp://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\r\n/",
    "http://127.0.\t0.1:{port}/",
]


@pytest.fixture
def settings() -> Settings:
    return Settings(connect_timeout_seconds=2)


async def attempt(url: str, settings: Settings, into: Path) -> RunError:
    async with create_http_session(settings) as session:
        source = UrlDatasource(session, settings, backoff_seconds=0)
        with pytest.raises(RunError) as caught:
            await source.fetch(url, known=None, into=into, on_bytes=lambda _received, _total: None)
    return caught.value


@pytest.mark.parametrize("host", HOSTS)
async def test_no_spelling_of_a_private_host_is_connected_to(
    host: str, settings: Settings, file_server: FileServer, tmp_path: Path
) -> None:
    error = await attempt(f"http://{host}:{file_server.port}/a.csv", settings, tmp_path)
    # Not a URL, not a name, or not allowed; but never "refused", which is a connection tried.
    if isinstance(error, UnknownServerError):
        assert "does not resolve" in str(error)
    else:
        assert isinstance(error, BlockedAddressError | DownloadRefusedError)
    assert file_server.request_count() == 0


@pytest.mark.parametrize("host", HOSTS)
async def test_the_session_itself_connects_to_no_spelling_either(
    host: str, settings: Settings, file_server: FileServer
) -> None:
    """Without our reading of the address: what aiohttp and the system make of it."""
    async with create_http_session(settings) as session:
        with pytest.raises((aiohttp.ClientError, ValueError, OSError)) as caught:
            await session.get(f"http://{host}:{file_server.port}/a.csv")
    assert "Connect call failed" not in str(caught.value)
    assert file_server.request_count() == 0


@pytest.mark.parametrize("pattern", USERINFO)
async def test_no_trick_of_punctuation_reaches_a_private_host(
    pattern: str, settings: Settings, file_server: FileServer, tmp_path: Path
) -> None:
    url = pattern.format(port=file_server.port)
    with contextlib.suppress(WrongAddressError):
        if parse_address(url).url.host == "example.org":
            return  # a public host after all: not ours to connect to in a test
    await attempt(url, settings, tmp_path)
    assert file_server.request_count() == 0


async def test_a_name_is_judged_by_what_it_resolves_to_at_that_moment(
    settings: Settings,
    file_server: FileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding: public when somebody looked before, private when it is connected."""
    real = socket.getaddrinfo

    def rebound(host: Any, *args: Any, **kwargs: Any) -> Any:
        return real("127.0.0.1" if host == "rebind.example" else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    file_server.put("/a.csv", b"secret")
    url = f"http://rebind.example:{file_server.port}/a.csv"
    error = await attempt(url, settings, tmp_path)
    assert isinstance(error, BlockedAddressError)
    assert "loopback" in str(error)
    assert "127.0.0.1" not in str(error)
    assert file_server.request_count() == 0


async def test_a_name_with_a_private_address_among_public_ones_never_leads_there(
    settings: Settings,
    file_server: FileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = socket.getaddrinfo

    def mixed(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "mixed.example":
            return real(host, *args, **kwargs)
        return [
            *real("::1", *args, **kwargs),
            *real("127.0.0.1", *args, **kwargs),
            *real("169.254.169.254", *args, **kwargs),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", mixed)
    url = f"http://mixed.example:{file_server.port}/a.csv"
    assert isinstance(await attempt(url, settings, tmp_path), BlockedAddressError)
    assert file_server.request_count() == 0


async def test_an_allowance_opens_its_range_by_address_and_by_name(
    file_server: FileServer, tmp_path: Path
) -> None:
    settings = Settings(allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),))
    file_server.put("/a.csv", b"a")
    hosts = ("127.0.0.1", "[::ffff:127.0.0.1]", "localhost")
    async with create_http_session(settings) as session:
        source = UrlDatasource(session, settings, backoff_seconds=0)
        for host in hosts:
            url = file_server.url("/a.csv", host=host)
            await source.fetch(url, known=None, into=tmp_path, on_bytes=lambda _got, _total: None)
    assert file_server.request_count() == len(hosts)
