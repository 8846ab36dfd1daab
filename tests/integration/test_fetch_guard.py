"""No spelling of a private address is ever connected to, whatever the name resolves to."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from typing import TYPE_CHECKING, Any

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
from tests.support.private_hosts import HOSTS

if TYPE_CHECKING:
    from pathlib import Path

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
