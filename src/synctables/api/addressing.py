"""Which account a call is addressed to: by path or by sub-domain.

``/user/NAME/…`` and ``/u/NAME/…`` are served as ``/…``; with the setting ``domain``, so is
``NAME.<domain>``. Neither proves anything: the API key must belong to the account (`auth`).
"""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

_PATH = re.compile(r"/(?:user|u)/(?P<name>[^/]+)(?P<rest>/.*)?", re.DOTALL)
_STATE_KEY = "addressed_account"


def split_account_path(path: str) -> tuple[str | None, str]:
    """Account named by the path, and the path without it and without trailing slashes.

    >>> split_account_path("/user/alice/api/v1/synchronizations/")
    ('alice', '/api/v1/synchronizations')
    """
    match = _PATH.fullmatch(path)
    name, rest = (match["name"], match["rest"] or "/") if match else (None, path)
    return name, rest.rstrip("/") or "/"


def find_account_in_host(host: str, domain: str | None) -> str | None:
    """Account named by the host, where it lies below the service's domain.

    >>> find_account_in_host("Alice.example.org:8080", "example.org")
    'alice'
    """
    if not domain:
        return None
    hostname = host.rsplit(":", 1)[0].rstrip(".").lower()
    suffix = "." + domain.strip(".").lower()
    if not hostname.endswith(suffix):
        return None
    name = hostname.removesuffix(suffix)
    return None if name == "www" else name


def addressed_account(request: HTTPConnection) -> str | None:
    """Name of the account that the call is addressed to; None: the key alone tells."""
    name = request.scope.get("state", {}).get(_STATE_KEY)
    return name if isinstance(name, str) else None


class AccountAddresses:
    """Takes the account out of path or host and notes it; a path's name wins over a host's."""

    def __init__(self, app: ASGIApp, domain: str | None) -> None:
        self.app = app
        self.domain = domain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            name, path = split_account_path(scope["path"])
            host = Headers(scope=scope).get("host", "")
            name = name or find_account_in_host(host, self.domain)
            state = {**scope.get("state", {}), _STATE_KEY: name}
            scope = {**scope, "path": path, "state": state}
        await self.app(scope, receive, send)
