"""Servers that refuse, lead elsewhere or cannot be trusted."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest

from synctables.datasources.base import SourceVersion
from synctables.errors import (
    BlockedAddressError,
    DownloadError,
    DownloadRefusedError,
    FileNotFoundAtSourceError,
    ForbiddenSourceError,
    RunError,
    TooManyNodesError,
    UnknownServerError,
)
from tests.support.fetching import BODY, SHA, Fetcher, make_fetcher
from tests.support.file_pages import Page
from tests.support.file_server import FileServer

if TYPE_CHECKING:
    from pathlib import Path

    import trustme


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "expected", "code"),
    [
        (401, ForbiddenSourceError, 1101),
        (403, ForbiddenSourceError, 1101),
        (404, FileNotFoundAtSourceError, 1100),
        (410, FileNotFoundAtSourceError, 1100),
        (400, DownloadRefusedError, 1001),
        (500, DownloadError, 1001),
    ],
)
async def test_each_refusal_has_its_code_and_shows_no_secret(
    fetcher: Fetcher, file_server: FileServer, status: int, expected: type[RunError], code: int
) -> None:
    file_server.put("/a.csv", b"<html>no</html>", status=status)
    known = SourceVersion(etag='"v1"', content_sha256=SHA)
    error = await fetcher.failure(file_server.url("/a.csv?key=geheim", user="me:geheim"), known)
    assert type(error) is expected
    assert (error.code, error.http_status) == (code, status)
    assert str(status) in str(error)
    assert "geheim" not in str(error)
    assert file_server.url("/a.csv") in str(error)


@pytest.mark.parametrize(
    "said",
    [
        "You requested too many nodes (limit is 50000). Either request a smaller area",
        "The maximum bbox size is 0.250000, and your request was too large.",
    ],
)
async def test_an_area_too_large_for_openstreetmap_has_its_own_code(
    fetcher: Fetcher, file_server: FileServer, said: str
) -> None:
    error = await fetcher.failure(file_server.put("/map", status=400, headers={"Error": said}))
    assert isinstance(error, TooManyNodesError)
    assert (error.code, error.transient, error.http_status) == (1007, False, 400)


async def test_retry_after_comes_with_the_error(fetcher: Fetcher, file_server: FileServer) -> None:
    url = file_server.put("/a.csv", status=429, headers={"Retry-After": "120"})
    error = await fetcher.failure(url)
    assert isinstance(error, DownloadError)
    assert error.transient
    assert error.retry_after_seconds == 120


async def test_a_name_that_does_not_resolve_is_an_unknown_server(fetcher: Fetcher) -> None:
    error = await fetcher.failure("http://no-such-host.invalid/a.csv?key=geheim")
    assert isinstance(error, UnknownServerError)
    assert "geheim" not in str(error)


async def test_a_closed_port_is_an_unknown_server(fetcher: Fetcher) -> None:
    with FileServer() as gone:
        url = gone.url("/a.csv")
    error = await fetcher.failure(url)
    assert isinstance(error, UnknownServerError)
    assert "refused" in str(error)


@pytest.mark.parametrize("url", ["ftp://example.org/a.csv", "http://", "", "http://h:99999/"])
async def test_an_address_stored_wrongly_is_refused(fetcher: Fetcher, url: str) -> None:
    assert isinstance(await fetcher.failure(url), DownloadRefusedError)


async def test_a_server_that_speaks_no_http_is_an_error(fetcher: Fetcher) -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready when you are\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await fetcher.failure(f"http://127.0.0.1:{port}/a.csv?key=geheim")
    assert isinstance(error, DownloadError)
    assert "geheim" not in str(error)


# --- TLS -----------------------------------------------------------------------------------------


async def test_tls_is_verified(
    tmp_path: Path, tls_file_server: FileServer, certificate_authority: trustme.CA
) -> None:
    url = tls_file_server.put("/a.csv", BODY)
    error = await make_fetcher(tmp_path).failure(url)
    assert isinstance(error, DownloadRefusedError)
    assert "certificate" in str(error)
    trusting = ssl.create_default_context()
    certificate_authority.configure_trust(trusting)
    await make_fetcher(tmp_path, tls=trusting).file(url)
    with FileServer(host="127.0.0.2", tls=tls_context(certificate_authority)) as other:
        other.put("/a.csv", BODY)
        error = await make_fetcher(tmp_path, tls=trusting).failure(other.url("/a.csv"))
    assert isinstance(error, DownloadRefusedError)


def tls_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context


# --- redirects -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(
    fetcher: Fetcher, file_server: FileServer, status: int
) -> None:
    target = file_server.put("/real/cities.csv", BODY, etag='"v1"')
    url = file_server.redirect("/latest", to="/real/cities.csv", status=status)
    fetched = await fetcher.file(url)
    assert (fetched.path.read_bytes(), fetched.file_name) == (BODY, "cities.csv")
    await fetcher.nothing_new(url, fetched.version)
    await fetcher.nothing_new(target, fetched.version)


async def test_a_resumed_download_asks_the_first_address_again(
    fetcher: Fetcher, file_server: FileServer
) -> None:
    url = file_server.redirect("/latest", to="/signed?expires=soon")
    file_server.script(
        "/signed",
        Page(body=BODY, etag='"v1"', cut_after_bytes=1000),
        Page(body=BODY, etag='"v1"'),
    )
    assert (await fetcher.file(url)).path.read_bytes() == BODY
    assert file_server.request_count("/latest") == 2


async def test_ten_redirects_are_followed_and_no_more(
    fetcher: Fetcher, file_server: FileServer
) -> None:
    for step in range(11):
        file_server.redirect(f"/{step}", to=f"/{step + 1}")
    file_server.put("/11", BODY)
    await fetcher.file(file_server.url("/1"))
    assert isinstance(await fetcher.failure(file_server.url("/0")), DownloadRefusedError)


async def test_a_redirect_loop_is_refused(fetcher: Fetcher, file_server: FileServer) -> None:
    error = await fetcher.failure(file_server.redirect("/loop", to="/loop"))
    assert isinstance(error, DownloadRefusedError)
    assert "redirects" in str(error)
    assert file_server.request_count("/loop") == 11


async def test_a_redirect_without_an_address_is_refused(
    fetcher: Fetcher, file_server: FileServer
) -> None:
    error = await fetcher.failure(file_server.put("/a", status=302))
    assert isinstance(error, DownloadRefusedError)
    assert error.http_status == 302


@pytest.mark.parametrize(
    "target",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://[fd00:ec2::254]/",
        "http://0.0.0.0/",
    ],
)
async def test_a_redirect_to_a_private_address_is_blocked(
    fetcher: Fetcher, file_server: FileServer, target: str
) -> None:
    error = await fetcher.failure(file_server.redirect("/a", to=target))
    assert isinstance(error, BlockedAddressError)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://h/a", "data:,a", "http://127.1/"])
async def test_a_redirect_to_no_web_address_is_refused(
    fetcher: Fetcher, file_server: FileServer, target: str
) -> None:
    error = await fetcher.failure(file_server.redirect("/a", to=target))
    assert isinstance(error, DownloadRefusedError)


async def test_a_redirect_from_https_to_http_is_refused(
    tmp_path: Path,
    file_server: FileServer,
    tls_file_server: FileServer,
    certificate_authority: trustme.CA,
) -> None:
    tls = ssl.create_default_context()
    certificate_authority.configure_trust(tls)
    fetcher = make_fetcher(tmp_path, tls=tls)
    plain = file_server.put("/a.csv", BODY)
    error = await fetcher.failure(tls_file_server.redirect("/a.csv", to=plain))
    assert isinstance(error, DownloadRefusedError)
    assert "https to http" in str(error)
    assert file_server.request_count() == 0
    secure = tls_file_server.put("/b.csv", BODY)
    await fetcher.file(file_server.redirect("/b.csv", to=secure))


async def test_credentials_go_to_their_host_only(fetcher: Fetcher, file_server: FileServer) -> None:
    with FileServer(host="127.0.0.2") as other:
        other.put("/a.csv", BODY)
        file_server.redirect("/away", to=other.url("/a.csv"))
        file_server.redirect("/start", to="/away")
        await fetcher.file(file_server.url("/start", user="me:pw"))
        there = other.requests()
    here = [request.headers.get("authorization") for request in file_server.requests()]
    assert here == ["Basic bWU6cHc=", "Basic bWU6cHc="]
    assert [request.headers.get("authorization") for request in there] == [None]
