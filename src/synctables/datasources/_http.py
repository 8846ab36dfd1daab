"""The guarded HTTP session: every outgoing request of this service goes through one of these."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Any

import aiohttp

from synctables import __version__
from synctables.datasources.guard import Network, blocked_reason

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from synctables.settings import Settings

USER_AGENT = f"Synctables/{__version__}"

_READ_BUFFER_BYTES = 1 << 19
_HEADER_BYTES = 32_768
"""Signed URLs in ``Location`` are often longer than aiohttp's default of 8,190."""


class BlockedConnectionError(PermissionError):
    """Raised in place of connecting.

    An `OSError`, because happy eyeballs goes on to the host's other addresses only after one
    (anything else it loses); and the same text for all, because it keeps the class only then.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("address not allowed")
        self.reason = reason


def create_http_session(
    settings: Settings, *, tls: ssl.SSLContext | None = None
) -> aiohttp.ClientSession:
    """A session that connects only where `guard.check_address` allows.

    The very address being connected is checked, after the name was resolved, so a name that
    resolves differently the second time gains nothing. TLS certificates are verified (``tls``:
    against other authorities than the system's), cookies are not kept, environment proxies and
    ``.netrc`` are ignored, bodies are left compressed. The caller closes it.
    """
    connector = aiohttp.TCPConnector(
        limit=settings.connections,
        limit_per_host=settings.connections_per_host,
        ssl=tls or True,
        socket_factory=_guarded_sockets(settings.allowed_networks),
    )
    timeout = aiohttp.ClientTimeout(
        total=None,
        sock_connect=settings.connect_timeout_seconds,
        sock_read=settings.idle_timeout_seconds,
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        trust_env=False,
        auto_decompress=False,
        read_bufsize=_READ_BUFFER_BYTES,
        max_line_size=_HEADER_BYTES,
        max_field_size=_HEADER_BYTES,
    )


def _guarded_sockets(allowed: tuple[Network, ...]) -> Callable[[Any], socket.socket]:
    def open_socket(address_info: Any) -> socket.socket:
        family, kind, protocol, _, socket_address = address_info
        try:
            address = ipaddress.ip_address(socket_address[0])
        except ValueError:
            # Not numeric: asyncio would resolve it once more, unseen by us.
            raise BlockedConnectionError("not a numeric address") from None
        reason = blocked_reason(address, allowed)
        if reason:
            raise BlockedConnectionError(reason)
        return socket.socket(family=family, type=kind, proto=protocol)

    return open_socket
