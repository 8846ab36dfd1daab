"""What a web address may look like, and where a redirect may lead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synctables.datasources.web_address import (
    WrongAddressError,
    follow_redirect,
    parse_address,
    validate_url,
)
from synctables.errors import InvalidRequestError

VALID = [
    ("http://example.org/cities.csv", "http://example.org/cities.csv"),
    ("  https://example.org/cities.csv\n", "https://example.org/cities.csv"),
    ("HTTPS://Example.ORG/Cities.CSV", "https://example.org/Cities.CSV"),
    ("http://example.org", "http://example.org"),
    ("http://example.org.:8080/", "http://example.org.:8080/"),
    ("http://example.org:/a", "http://example.org/a"),
    ("http://my_host-1/a", "http://my_host-1/a"),
    ("http://bücher.example/ü?q=ü#ü", "http://xn--bcher-kva.example/%C3%BC?q=%C3%BC#%C3%BC"),
    ("http://example.org/a%2Fb%20c?x=%41+b", "http://example.org/a%2Fb%20c?x=%41+b"),
    ("http://example.org/100%?x=%zz", "http://example.org/100%?x=%zz"),
    ("http://example.org/a|b?q={x}", "http://example.org/a%7Cb?q=%7Bx%7D"),
    ("http://example.org/?a=b&c=[1]&d=;e", "http://example.org/?a=b&c=[1]&d=;e"),
    ("http://me:p%40ss@example.org/", "http://me:p%40ss@example.org/"),
    ("http://me@work:pass@example.org/", "http://me%40work:pass@example.org/"),
    ("http://8.8.8.8/a", "http://8.8.8.8/a"),
    ("http://[2606:4700::1111]:8080/a", "http://[2606:4700::1111]:8080/a"),
    ("http://[2606:4700:0:0::1111]/a", "http://[2606:4700::1111]/a"),
    ("http://\uff11.1.1.1/", "http://1.1.1.1/"),
    ("http://www.openstreetmap.org/#map=5/51/10", "http://www.openstreetmap.org/#map=5/51/10"),
]

INVALID = [
    ("", "only http:// and https://"),
    ("example.org/cities.csv", "only http:// and https://"),
    ("ftp://example.org/cities.csv", "only http:// and https://"),
    ("file:///etc/passwd", "only http:// and https://"),
    ("javascript:alert(1)", "only http:// and https://"),
    ("gopher://example.org/", "only http:// and https://"),
    ("/etc/passwd", "only http:// and https://"),
    ("http://", "names no host"),
    ("http:///cities.csv", "names no host"),
    ("http:/example.org", "names no host"),
    ("http:example.org", "names no host"),
    ("http://me@/a", "names no host"),
    ("http://:80/a", "names no host"),
    ("http://example.org:0/", "port"),
    ("http://example.org:99999/", "port"),
    ("http://example.org:http/", "port"),
    ("http://example.org:-1/", "port"),
    ("http://exa mple.org/", "space or control character"),
    ("http://example.org/a b.csv", "space or control character"),
    ("http://example.org/a\tb", "space or control character"),
    ("http://example.org/a\r\nHost: evil", "space or control character"),
    ("http://example.org/\x00", "space or control character"),
    ("http://example.org\\@evil.example/", "backslash"),
    ("http://[::1/", "host name"),
    ("http://[nonsense]/", "host"),
    ("http://[fe80::1%25eth0]/", "network interface"),
    ("http://[fe80::1%eth0]/", "network interface"),
    ("http://a..b/", "host name"),
    ("http://.example.org/", "host name"),
    ("http://-a.example/", "host name"),
    ("http://a%2eb/", "host name"),
    ("http://exa$mple.org/", "host name"),
    (f"http://{'a' * 64}.example/", "host name"),
    (f"http://{'a.' * 130}example/", "host name"),
    ("http://ex\u2028ample/", "space or control character"),
    ("http://\ud800.example/", "host name"),
    ("http://127.1/", "dotted decimal"),
    ("http://2130706433/", "dotted decimal"),
    ("http://0x7f000001/", "dotted decimal"),
    ("http://0177.0.0.1/", "dotted decimal"),
    ("http://1.2.3.4.5/", "dotted decimal"),
    ("http://256.1.1.1/", "dotted decimal"),
    ("http://example.123/", "dotted decimal"),
    ("http://example.org/" + "a" * 8_000, "longer than"),
]

REDIRECTS = [
    ("http://h/a/b", "c.csv", "http://h/a/c.csv"),
    ("http://h/a/b", "/c.csv?x=1", "http://h/c.csv?x=1"),
    ("http://h/a?x=1", "?y=2", "http://h/a?y=2"),
    ("http://h/a", "//other/c", "http://other/c"),
    ("http://h/a", "https://h/a", "https://h/a"),
    ("http://h/a", "http://other/c d|e.csv", "http://other/c%20d%7Ce.csv"),
    ("http://h/a", "/%2F?sig=a%2Bb%3D", "http://h/%2F?sig=a%2Bb%3D"),
    ("http://h/a", "/ü\udcfc", "http://h/%C3%BC%FC"),
    ("http://h/a", "http://bücher.example/", "http://xn--bcher-kva.example/"),
    ("http://h/a", "/c#part", "http://h/c"),
    ("http://h/a", "\\\\other\\c", "http://other/c"),
    ("http://h/a", "", "http://h/a"),
]

FORBIDDEN_REDIRECTS = [
    ("https://h/a", "http://h/a"),
    ("https://h/a", "http://other/"),
    ("http://h/a", "ftp://h/a"),
    ("http://h/a", "file:///etc/passwd"),
    ("http://h/a", "data:text/csv,a"),
    ("http://h/a", "http://h:99999/"),
    ("http://h/a", "http://127.1/"),
    ("http://h/a", "http://\udcff/"),
    ("http://h/a", "http://[::1/"),
    ("http://h/a", "http://[[::1]]/"),
    ("http://h/a", "http://h\uff0f/"),
]

CREDENTIALS = [
    ("http://me:pw@h/a", "/b", True),
    ("http://me:pw@h/a", "http://h:80/b", True),
    ("http://me:pw@h/a", "https://h/b", True),
    ("http://me:pw@h/a", "http://h:81/b", False),
    ("http://me:pw@h:81/a", "https://h/b", False),
    ("http://me:pw@h/a", "http://other/b", False),
    ("http://me:pw@h/a", "http://sub.h/b", False),
    ("http://me:pw@h/a", "http://you:they@other/b", False),
    ("http://h/a", "http://you:they@h/b", False),
]


@pytest.mark.parametrize(("url", "normalised"), VALID)
def test_valid_addresses_are_normalised_once_and_for_all(url: str, normalised: str) -> None:
    assert validate_url(url) == normalised
    assert validate_url(normalised) == normalised


@pytest.mark.parametrize(("url", "problem"), INVALID)
def test_invalid_addresses_are_refused_with_what_is_wrong(url: str, problem: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        validate_url(url)
    assert str(caught.value).startswith("Invalid URL, cannot connect dataset: ")
    assert problem in str(caught.value)


def test_a_refusal_shows_no_credentials() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        validate_url("http://me:geheim@example.org:99999/a")
    assert "geheim" not in str(caught.value)
    assert "http://example.org:99999/a" in str(caught.value)


@given(st.text())
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for url in (text, f"http://{text}", f"http://h/{text}"):
        try:
            normalised = validate_url(url)
        except InvalidRequestError:
            continue
        assert normalised.isascii()
        assert validate_url(normalised) == normalised
        parse_address(normalised)


@given(st.text())
def test_any_location_leads_somewhere_or_nowhere(location: str) -> None:
    try:
        hop = follow_redirect(parse_address("http://me:pw@h/a"), location)
    except WrongAddressError:
        return
    assert hop.url.scheme in ("http", "https")
    assert hop.authorization is None or hop.url.raw_host == "h"


@pytest.mark.parametrize(("current", "location", "target"), REDIRECTS)
def test_redirects_lead_where_they_say(current: str, location: str, target: str) -> None:
    assert str(follow_redirect(parse_address(current), location).url) == target


@pytest.mark.parametrize(("current", "location"), FORBIDDEN_REDIRECTS)
def test_some_redirects_are_not_followed(current: str, location: str) -> None:
    with pytest.raises(WrongAddressError):
        follow_redirect(parse_address(current), location)


@pytest.mark.parametrize(("current", "location", "are_kept"), CREDENTIALS)
def test_credentials_stay_with_their_host(current: str, location: str, are_kept: bool) -> None:
    hop = follow_redirect(parse_address(current), location)
    assert (hop.authorization is not None) == are_kept


def test_userinfo_becomes_basic_credentials_with_its_escapes_resolved() -> None:
    address = parse_address("http://me:p%40ss%C3%BC@example.org/a?b#c")
    assert str(address.url) == "http://example.org/a?b"
    assert address.authorization == "Basic bWU6cEBzc8O8"
    assert parse_address("http://token@example.org/").authorization == "Basic dG9rZW46"
    assert address.public == "http://example.org/a"
