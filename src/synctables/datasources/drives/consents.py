"""Consents under way: who was sent to a service, and must come back soon, once.

The ``state`` of the OAuth request (RFC 6749 section 10.12) is a sealed statement that names a row;
the row holds the PKCE verifier, and whoever comes back first takes it away.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from synctables.accounts.seal import Seal

CONSENT_LASTS = timedelta(minutes=15)

_VERIFIER_BYTES = 48
"""RFC 7636 section 4.1 asks for 43 to 128 characters; Base64 makes 64 of these."""

_INSERT = """
INSERT INTO oauth_consents (id, account_id, service, sealed_verifier, redirect_uri, expires_at)
VALUES (%(id)s, %(account_id)s, %(service)s, %(sealed_verifier)s, %(redirect_uri)s, %(expires_at)s)
"""

_TAKE = """
DELETE FROM oauth_consents AS consent USING accounts
WHERE consent.id = %(id)s AND service = %(service)s AND expires_at > %(now)s
    AND accounts.id = account_id
RETURNING account_id, accounts.name, sealed_verifier, redirect_uri
"""

_TAKE_NEWEST = """
DELETE FROM oauth_consents AS consent USING accounts
WHERE consent.id = (
    SELECT id FROM oauth_consents
    WHERE account_id = %(account_id)s AND service = %(service)s AND expires_at > %(now)s
    ORDER BY expires_at DESC LIMIT 1 FOR UPDATE SKIP LOCKED)
    AND accounts.id = account_id
RETURNING account_id, accounts.name, sealed_verifier, redirect_uri
"""

Connection = AsyncConnection[DictRow]


@dataclass(frozen=True, kw_only=True)
class Consent:
    """What is needed to redeem the code that a user brings back."""

    account_id: UUID
    account_name: str
    code_verifier: str = field(repr=False)
    redirect_uri: str


async def begin_consent(
    connection: Connection,
    seal: Seal,
    *,
    account_id: UUID,
    service: str,
    redirect_uri: str,
    now: datetime,
) -> tuple[str, str]:
    """Store a consent under way. Returns the ``state`` and the code verifier."""
    consent_id, verifier = uuid4(), secrets.token_urlsafe(_VERIFIER_BYTES)
    await connection.execute(
        _INSERT,
        {
            "id": consent_id,
            "account_id": account_id,
            "service": service,
            "sealed_verifier": seal.seal(verifier),
            "redirect_uri": redirect_uri,
            "expires_at": now + CONSENT_LASTS,
        },
    )
    return seal.sign({"consent": consent_id.hex, "service": service}), verifier


async def take_consent(
    connection: Connection, seal: Seal, *, state: str, service: str, now: datetime
) -> Consent | None:
    """The consent that ``state`` names, for the first who asks; None: forged, over, or taken."""
    claims = seal.read_signed(state, lasts=CONSENT_LASTS)
    if claims is None or claims.get("service") != service:
        return None
    values = {"id": UUID(hex=claims["consent"]), "service": service, "now": now}
    return await _take(connection, seal, _TAKE, values)


async def take_newest_consent(
    connection: Connection, seal: Seal, *, account_id: UUID, service: str, now: datetime
) -> Consent | None:
    """The account's newest consent under way, for a code that the user copied by hand."""
    values = {"account_id": account_id, "service": service, "now": now}
    return await _take(connection, seal, _TAKE_NEWEST, values)


async def forget_consents(connection: Connection, *, account_id: UUID, service: str) -> None:
    """Whoever is still on the way to this service comes back too late."""
    await connection.execute(
        "DELETE FROM oauth_consents WHERE account_id = %s AND service = %s", [account_id, service]
    )


async def forget_old_consents(connection: Connection, *, now: datetime) -> None:
    """Remove what nobody came back for."""
    await connection.execute("DELETE FROM oauth_consents WHERE expires_at <= %s", [now])


async def _take(
    connection: Connection, seal: Seal, statement: str, values: dict[str, object]
) -> Consent | None:
    row = await (await connection.execute(statement, values)).fetchone()
    if row is None:
        return None
    return Consent(
        account_id=row["account_id"],
        account_name=row["name"],
        code_verifier=seal.open(bytes(row["sealed_verifier"])),
        redirect_uri=row["redirect_uri"],
    )
