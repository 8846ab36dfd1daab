"""Who calls: API keys in header, body or query, checked against the addressed account.

RFC 7617 (Basic), RFC 6750 (Bearer); reference section 1.1: the header wins over ``api_key``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field

from psycopg import AsyncConnection
from psycopg.rows import DictRow
from starlette.requests import HTTPConnection

from synctables.accounts import service as accounts
from synctables.accounts.model import Account
from synctables.api.addressing import addressed_account
from synctables.errors import UnauthenticatedError

_NO_KEY = (
    "This call needs an API key: as api_key in query or body, by HTTP Basic, or as a Bearer token."
)
_WRONG_KEY = "This API key is not valid for this account."
_MALFORMED = "The Authorization header cannot be read."


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What a caller shows: a key and, with HTTP Basic, the account's name."""

    api_key: str = field(repr=False)
    username: str | None = None


def find_credentials(
    authorization: str | None, parameters: Mapping[str, object]
) -> Credentials | None:
    """Credentials of a call, from its ``Authorization`` header or its merged parameters.

    None where it shows none. Raises `UnauthenticatedError` for a header that cannot be read; a
    scheme that is not ours (a proxy's, say) is left alone.
    """
    scheme, _, value = (authorization or "").strip().partition(" ")
    match scheme.lower():
        case "basic":
            return _read_basic(value.strip())
        case "bearer" if value.strip():
            return Credentials(api_key=value.strip())
    api_key = parameters.get("api_key")
    return Credentials(api_key=api_key) if isinstance(api_key, str) and api_key else None


def _read_basic(value: str) -> Credentials:
    try:
        decoded = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise UnauthenticatedError(_MALFORMED) from error
    username, colon, api_key = decoded.partition(":")
    if not colon or not api_key:
        raise UnauthenticatedError(_MALFORMED)
    return Credentials(api_key=api_key, username=username)


def require_credentials(request: HTTPConnection, parameters: Mapping[str, object]) -> Credentials:
    """Credentials of a call. Raises `UnauthenticatedError`. Needs no database."""
    found = find_credentials(request.headers.get("authorization"), parameters)
    if found is None:
        raise UnauthenticatedError(_NO_KEY)
    return found


async def authenticate_request(
    request: HTTPConnection, connection: AsyncConnection[DictRow], parameters: Mapping[str, object]
) -> Account:
    """The account that makes this call; ``parameters`` are those of query and body, merged.

    Raises `UnauthenticatedError`, with one text for a wrong key, a key of somebody else and an
    account that does not exist: the answer tells nobody which accounts there are.
    """
    credentials = require_credentials(request, parameters)
    account = await accounts.authenticate(connection, api_key=credentials.api_key)
    claimed = {addressed_account(request), credentials.username} - {None}
    if account is None or claimed - {account.name}:
        raise UnauthenticatedError(_WRONG_KEY)
    return account
