"""No spelling, no redirect and no name leads into a private network, proven where all could.

Every case is really attempted, by the fetcher, in a network where every address answers
(`tests.support.boxed_network`): what was connected to is told by the side that was. The first test
shows that the proof can fail.
"""

from __future__ import annotations

from functools import cache

import pytest

from tests.support.boxed_network import (
    IS_POSSIBLE,
    PORT,
    PUBLIC,
    PUBLIC_IPV6,
    Case,
    Outcome,
    run_cases,
)
from tests.support.private_hosts import ADDRESSES, HOSTS

pytestmark = pytest.mark.skipif(not IS_POSSIBLE, reason="network namespaces are Linux's")

REFUSED = {"BlockedAddressError", "DownloadRefusedError"}
REFUSED_BY_AIOHTTP = {
    *("ClientConnectorError", "InvalidUrlClientError"),
    "ClientConnectorDNSError",  # no name, for the system's resolver
}
START = f"http://{PUBLIC}:{PORT}/start"
ALL_NAMES_ARE_OURS = {"*": [["127.0.0.1", "::1"]]}

REACHABLE = {
    "a public IPv4 address": Case(url=START),
    "a public IPv6 address": Case(url=f"http://[{PUBLIC_IPV6}]:{PORT}/"),
    "a name": Case(url=f"http://public.example:{PORT}/", names={"public.example": [[PUBLIC]]}),
    "a public address inside IPv6": Case(url=f"http://[::ffff:{PUBLIC}]:{PORT}/"),
    **{
        f"{address}, where it is allowed": Case(
            url=f"http://{address}:{PORT}/", allowed=(f"{address}/32",)
        )
        for address in ADDRESSES
    },
    "loopback of IPv6, where it is allowed": Case(
        url=f"http://[::1]:{PORT}/", allowed=("::1/128",)
    ),
}


def redirect(location: str, *, status: int = 302, more: str = "") -> Case:
    """A public server that sends us elsewhere."""
    line = f"HTTP/1.1 {status} Go\r\n{more}Location: {location}\r\nContent-Length: 0\r\n\r\n"
    text = line.encode("utf-8", "surrogateescape").decode("latin-1")
    return Case(url=START, answers={"/start": text}, names=ALL_NAMES_ARE_OURS)


def page(head: str, body: str = "") -> Case:
    """A public server that answers with a page and hopes for more."""
    text = f"HTTP/1.1 200 OK\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}"
    return Case(url=START, answers={"/start": text}, names=ALL_NAMES_ARE_OURS)


TARGET = f"127.0.0.1:{PORT}"
REDIRECTS = {
    **{
        f"status {status}": redirect(f"http://{TARGET}/", status=status)
        for status in (301, 302, 303, 307, 308)
    },
    "without a scheme": redirect(f"//{TARGET}/"),
    "with three slashes": redirect(f"///{TARGET}/"),
    "with one slash": redirect(f"http:/{TARGET}/"),
    "without slashes": redirect(f"http:{TARGET}/"),
    "with backslashes": redirect(f"\\\\{TARGET}\\"),
    "with mixed slashes": redirect(f"/\\{TARGET}/"),
    "with a backslash after the host": redirect(f"http://{TARGET}\\@{PUBLIC}/"),
    "in capital letters": redirect(f"HTTP://{TARGET}/"),
    "with a user": redirect(f"http://{PUBLIC}@{TARGET}/"),
    "with user and port": redirect(f"http://{PUBLIC}:80@{TARGET}/"),
    "with two at signs": redirect(f"http://a@{PUBLIC}@{TARGET}/"),
    "with an escaped at sign": redirect(f"http://{PUBLIC}%40{TARGET}/"),
    "with a fragment before the host": redirect(f"http://{PUBLIC}#@{TARGET}/"),
    "with spaces around": redirect(f"   http://{TARGET}/   "),
    "with a tab in the host": redirect(f"http://127.0.0\t.1:{PORT}/"),
    "with a tab in the scheme": redirect(f"ht\ttp://{TARGET}/"),
    "with a zero byte": redirect(f"http://127.0.0.1\0:{PORT}/"),
    "with bytes that are no text": redirect("http://\udcff127.0.0.1/"),
    "twice, the second private": redirect("/b", more=f"Location: http://{TARGET}/\r\n"),
    "twice, the first public": redirect(f"http://{TARGET}/", more="Location: /b\r\n"),
    "folded over two lines": redirect(f"http://\r\n {TARGET}/"),
    "to a name": redirect(f"http://inside.example:{PORT}/"),
    "to a name with a point": redirect(f"http://inside.example.:{PORT}/"),
    "to https": redirect(f"https://{TARGET}/"),
    "to files": redirect("file:///etc/passwd"),
    "to gopher": redirect(f"gopher://{TARGET}/_GET%20/"),
    "to a dictionary": redirect(f"dict://{TARGET}/info"),
    "to FTP": redirect(f"ftp://{TARGET}/a.csv"),
    "to a web socket": redirect(f"ws://{TARGET}/"),
    "to data": redirect("data:text/csv,a,b"),
    "to a unix socket": redirect("unix:///var/run/docker.sock"),
    "to HTTP over a unix socket": redirect("http+unix://%2Fvar%2Frun%2Fdocker.sock/"),
    "to GDAL's own file system": redirect(f"/vsicurl/http://{TARGET}/"),
    "by a proxy": redirect(f"http://{TARGET}/", status=305),
    "with several choices": redirect(f"http://{TARGET}/", status=300),
    "of nothing modified": redirect(f"http://{TARGET}/", status=304),
    "by a created thing": redirect(f"http://{TARGET}/", status=201),
    "in a refresh header": page(f"Refresh: 0; url=http://{TARGET}/\r\n"),
    "in a content location": page(f"Content-Location: http://{TARGET}/\r\n"),
    "as an alternative service": page(f'Alt-Svc: h2="{TARGET}"; ma=60\r\n'),
    "as a link": page(f"Link: <http://{TARGET}/>; rel=canonical\r\n"),
    "in a page": page("", f"<meta http-equiv=refresh content='0;url=http://{TARGET}/'>"),
    "as an early hint": Case(
        url=START,
        answers={
            "/start": f"HTTP/1.1 103 Early Hints\r\nLocation: http://{TARGET}/\r\n\r\n"
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na\n1\n"
        },
    ),
    "after nine public steps": Case(
        url=START,
        answers={
            f"/{'start' if step == 0 else step}": f"HTTP/1.1 302 Go\r\nLocation: "
            f"{f'http://{TARGET}/' if step == 9 else f'/{step + 1}'}\r\nContent-Length: 0\r\n\r\n"
            for step in range(10)
        },
    ),
}


def resolving(*answers: list[str], url: str = f"http://name.example:{PORT}/start") -> Case:
    """A name whose look-ups get these answers one after the other, and a server that sends back."""
    again = (
        f"HTTP/1.1 302 Go\r\nLocation: http://other.example:{PORT}/\r\nContent-Length: 0\r\n\r\n"
    )
    names = {"name.example": list(answers), "other.example": list(answers[1:] or answers)}
    return Case(url=url, answers={"/start": again}, names=names)


NAMES = {
    "private": resolving(["127.0.0.1"]),
    "private of IPv6": resolving(["::1"]),
    "private inside IPv6": resolving(["::ffff:127.0.0.1"]),
    "the metadata service": resolving(["169.254.169.254"]),
    "an any address": resolving(["0.0.0.0"]),
    "NAT64 of a private one": resolving(["64:ff9b::7f00:1"]),
    "several private ones": resolving(["10.0.0.1", "192.168.0.1", "::1", "fd00:ec2::254"]),
    "localhost by another name": resolving(["localhost", "127.0.0.1"]),
    "another name that is private": resolving(["inside.example", "10.0.0.1"]),
    "another name that turns private": resolving(
        ["outside.example", PUBLIC], ["inside.example", "10.0.0.1"]
    ),
    "public first and private then": resolving([PUBLIC], ["127.0.0.1"]),
    "public first and private of IPv6 then": resolving([PUBLIC], ["::1"]),
    "public twice, then private": resolving([PUBLIC], [PUBLIC], ["127.0.0.1"]),
    "public and private at once": resolving([PUBLIC, "127.0.0.1"]),
    "private and public at once": resolving(["127.0.0.1", PUBLIC]),
    "private of IPv6 and public of IPv4": resolving(["::1", PUBLIC]),
    "public of IPv6 and private of IPv4": resolving([PUBLIC_IPV6, "10.0.0.1"]),
    "public, private, public, …": resolving([PUBLIC], ["10.0.0.1"], [PUBLIC], ["10.0.0.1"]),
}


@cache
def _outcomes(kind: str) -> dict[str, Outcome]:
    """What became of all cases of a kind; they share one process, which costs a second to start."""
    cases = {
        "reachable": REACHABLE,
        "direct": {host: _at(host) for host in HOSTS},
        "bare": {host: _at(host, is_bare=True) for host in HOSTS},
        "redirected": {host: redirect(f"http://{host}:{PORT}/") for host in HOSTS},
        "tricks": REDIRECTS,
        "names": NAMES,
    }[kind]
    return dict(zip(cases, run_cases(list(cases.values())), strict=True))


def _at(host: str, *, is_bare: bool = False) -> Case:
    url = f"http://{host}:{PORT}/a.csv"
    return Case(url=url, names=ALL_NAMES_ARE_OURS, is_bare=is_bare)


@pytest.mark.parametrize("name", REACHABLE)
def test_the_box_tells_of_a_connection_that_was_made(name: str) -> None:
    outcome = _outcomes("reachable")[name]
    assert outcome.error is None
    assert len(outcome.connected) == 1


def test_the_table_is_long() -> None:
    assert len(HOSTS) >= 200


@pytest.mark.parametrize("host", HOSTS)
def test_no_spelling_of_a_private_host_is_connected_to(host: str) -> None:
    outcome = _outcomes("direct")[host]
    assert outcome.connected == []
    assert outcome.error in REFUSED


@pytest.mark.parametrize("host", HOSTS)
def test_the_session_alone_connects_to_no_spelling_either(host: str) -> None:
    outcome = _outcomes("bare")[host]
    assert outcome.connected == []
    assert outcome.error in REFUSED_BY_AIOHTTP


@pytest.mark.parametrize("host", HOSTS)
def test_no_redirect_to_a_private_host_is_followed(host: str) -> None:
    outcome = _outcomes("redirected")[host]
    assert outcome.connected == [PUBLIC]
    assert outcome.error in REFUSED


@pytest.mark.parametrize("trick", REDIRECTS)
def test_no_trick_of_a_public_server_leads_inside(trick: str) -> None:
    assert set(_outcomes("tricks")[trick].connected) == {PUBLIC}


@pytest.mark.parametrize("name", NAMES)
def test_no_name_leads_inside_whatever_it_resolves_to_when(name: str) -> None:
    outcome = _outcomes("names")[name]
    assert set(outcome.connected) <= {PUBLIC, PUBLIC_IPV6}
    assert outcome.error in {*REFUSED, None} or "public" in name
