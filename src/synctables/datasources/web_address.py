"""What a web address may look like: pure rules for the API and for every redirect.

``validate_url`` refuses what a user mistyped; ``follow_redirect`` is lenient about characters,
since nobody who could mend them reads its errors. Percent-escapes stay exactly as they came:
servers may tell ``%2F`` from ``/``, and a signed address breaks when it is re-quoted.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote_to_bytes, urljoin, urlsplit, urlunsplit

import yarl

from synctables.errors import InvalidRequestError
from synctables.log import public_url

_MAX_URL_CHARACTERS = 8_000
_MAX_HOST_CHARACTERS = 253  # RFC 1035 section 2.3.4
_SCHEMES = ("http", "https")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMERIC_LABEL = re.compile(r"\d+|0x[0-9a-f]*", re.ASCII)
_UNSAFE = re.compile(r'[^\x21-\x7e]|["<>^`{|}\\]')
_SPACE_OR_CONTROL = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ufeff]")


class WrongAddressError(ValueError):
    """The text is no address that can be fetched; the message says what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class WebAddress:
    """One hop of a request: where to, and what may be said to whom."""

    url: yarl.URL
    """Without userinfo and fragment; escapes verbatim."""
    authorization: str | None = None
    """The ``Authorization`` header for this host, made of the userinfo."""

    @property
    def public(self) -> str:
        """The address as it may stand in messages and logs."""
        return public_url(str(self.url))


def validate_url(url: str) -> str:
    """The normalised form of a URL given by a user; `InvalidRequestError` says what is wrong.

    Only http and https; `addresses` knows all kinds. Scheme and host become lower case and ASCII
    (IDNA), characters that may not stand in a URL are percent-encoded; everything else, escapes
    included, stays verbatim.
    """
    text = url.strip()
    try:
        _check_characters(text)
        return urlunsplit(_normalise(text))
    except WrongAddressError as error:
        shown = shown_address(text)
        message = f"Invalid URL, cannot connect dataset: {shown} ({error})"
        raise InvalidRequestError(message) from error


def parse_address(url: str) -> WebAddress:
    """The first hop to a URL; `WrongAddressError` if it is none."""
    parts = _normalise(url.strip())
    return WebAddress(url=_request_url(parts), authorization=_authorization(parts))


def follow_redirect(current: WebAddress, location: str) -> WebAddress:
    """The next hop; `WrongAddressError` where it must not be gone.

    Credentials go along only to the same host (RFC 9110 section 15.4), where a step up from http
    to https counts as the same; userinfo in ``location`` is somebody else's idea and is dropped.
    """
    target = _SPACE_OR_CONTROL.sub(_escape, location.strip().replace("\\", "/"))
    try:
        joined = urljoin(str(current.url), target)
    except ValueError as error:
        raise WrongAddressError("its host name is not valid") from error
    parts = _normalise(joined)
    url = _request_url(parts)
    if current.url.scheme == "https" and url.scheme == "http":
        raise WrongAddressError("it leads from https to http")
    keeps = _is_same_host(current.url, url)
    return WebAddress(url=url, authorization=current.authorization if keeps else None)


def _is_same_host(one: yarl.URL, other: yarl.URL) -> bool:
    if one.raw_host != other.raw_host:
        return False
    if (one.scheme, one.port) == (other.scheme, other.port):
        return True
    return all(url.is_default_port() for url in (one, other))


def _check_characters(text: str) -> None:
    """urlsplit drops line ends silently, and programs disagree on what a backslash means."""
    if _SPACE_OR_CONTROL.search(text):
        raise WrongAddressError("it contains a space or control character; a space is %20")
    if "\\" in text:
        raise WrongAddressError("it contains a backslash")


def _normalise(text: str) -> SplitResult:
    if len(text) > _MAX_URL_CHARACTERS:
        raise WrongAddressError(f"it is longer than {_MAX_URL_CHARACTERS:,} characters")
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError as error:
        raise WrongAddressError("its host name is not valid") from error
    if parts.scheme not in _SCHEMES:
        raise WrongAddressError("only http:// and https:// addresses can be fetched")
    if not host:
        raise WrongAddressError("it names no host")
    _check_port(parts)
    return SplitResult(
        scheme=parts.scheme,
        netloc=_network_location(parts, _normalise_host(host)),
        path=_UNSAFE.sub(_escape, parts.path),
        query=_UNSAFE.sub(_escape, parts.query),
        fragment=_UNSAFE.sub(_escape, parts.fragment),
    )


def _check_port(parts: SplitResult) -> None:
    try:
        is_port = parts.port != 0
    except ValueError:
        is_port = False
    if not is_port:
        raise WrongAddressError("its port is no number from 1 to 65535")


def _network_location(parts: SplitResult, host: str) -> str:
    userinfo, at, _ = parts.netloc.rpartition("@")
    # A stray "@" or "[" here is read differently by different parsers: escape it.
    safe = re.sub(r"[@\[\]/]", _escape, _UNSAFE.sub(_escape, userinfo))
    port = f":{parts.port}" if parts.port is not None else ""
    return f"{safe}{at}{host}{port}"


def _normalise_host(host: str) -> str:
    if ":" in host:
        return f"[{_ipv6(host)}]"
    try:
        ascii_host = host if host.isascii() else yarl.URL.build(scheme="http", host=host).raw_host
    except ValueError as error:
        raise WrongAddressError("its host name is not valid") from error
    name = (ascii_host or "").lower()
    labels = name.removesuffix(".").split(".")
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        return _ipv4(name)
    if len(name) > _MAX_HOST_CHARACTERS or not all(_LABEL.fullmatch(label) for label in labels):
        raise WrongAddressError("its host name is not valid")
    return name


def _ipv4(host: str) -> str:
    """Dotted decimal only: other spellings (127.1, 0x7f000001, 0177.0.0.1) hide an address.

    A host whose last label is a number is an IPv4 address (WHATWG URL, "ends in a number").
    """
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError as error:
        raise WrongAddressError("its host is no IPv4 address in dotted decimal form") from error


def _ipv6(host: str) -> str:
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError as error:
        raise WrongAddressError("its host is no IPv6 address") from error
    if address.scope_id:
        raise WrongAddressError("its host names a network interface")
    return str(address)


def _request_url(parts: SplitResult) -> yarl.URL:
    netloc = parts.netloc.rpartition("@")[2]
    path = parts.path or "/"
    return yarl.URL(urlunsplit((parts.scheme, netloc, path, parts.query, "")), encoded=True)


def _authorization(parts: SplitResult) -> str | None:
    """Basic credentials of the userinfo (RFC 7617), its escapes resolved; None without any."""
    userinfo, at, _ = parts.netloc.rpartition("@")
    if not at:
        return None
    name, _, password = userinfo.partition(":")
    pair = unquote_to_bytes(name) + b":" + unquote_to_bytes(password)
    return "Basic " + base64.b64encode(pair).decode("ascii")


def _escape(match: re.Match[str]) -> str:
    """Percent-encode; bytes of a header that are no UTF-8 (surrogates) come out as they were."""
    octets = match[0].encode("utf-8", "surrogateescape")
    return "".join(f"%{octet:02X}" for octet in octets)


def shown_address(text: str) -> str:
    """The address as its user may see it again: no userinfo, nothing unprintable, not too long."""
    shown = re.sub(r"//[^/?#]*@", "//", text)[:500]
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in shown)
