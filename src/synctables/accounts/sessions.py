"""Browser sessions: who signed in with a key stays signed in for a while.

A session is a signed statement "whoever holds this signed in with key K, until T". It is signed
with the stored hash of that very key, which nobody outside can know or guess (keys are random, 160
bits). So nothing is kept: every API process understands every session, a restart ends none, and
replacing the key ends all that were opened with it.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from synctables.accounts import repository
from synctables.accounts.keys import hash_key
from synctables.accounts.model import Account

SESSION_LASTS = timedelta(days=7)

_PURPOSE = b"synctables browser session 1"


async def open_session(
    connection: AsyncConnection[DictRow], *, api_key: str, now: datetime
) -> str | None:
    """A session for whoever holds this key; None when it is nobody's key."""
    key_sha256 = hash_key(api_key)
    key_id = await repository.select_key_id(connection, key_sha256=key_sha256)
    if key_id is None:
        return None
    return sign_session(key_id, key_sha256=key_sha256, ends_at=now + SESSION_LASTS)


async def find_session_account(
    connection: AsyncConnection[DictRow], *, session: str, now: datetime
) -> Account | None:
    """The account of a session that is genuine, not over, and whose key still exists."""
    claimed = read_session(session)
    if claimed is None or claimed[1] <= int(now.timestamp()):
        return None
    found = await repository.select_account_by_key_id(connection, key_id=claimed[0])
    if found is None:
        return None
    account, key_sha256 = found
    genuine = sign_session(
        claimed[0], key_sha256=key_sha256, ends_at=datetime.fromtimestamp(claimed[1], now.tzinfo)
    )
    return account if hmac.compare_digest(session.encode(), genuine.encode()) else None


def sign_session(key_id: UUID, *, key_sha256: bytes, ends_at: datetime) -> str:
    """``KEY_ID.UNIX_SECONDS.SIGNATURE``, each part in hex or decimal."""
    claim = f"{key_id.hex}.{int(ends_at.timestamp())}"
    signing_key = hmac.digest(key_sha256, _PURPOSE, hashlib.sha256)
    return f"{claim}.{hmac.digest(signing_key, claim.encode(), hashlib.sha256).hex()}"


def read_session(session: str) -> tuple[UUID, int] | None:
    """What a session claims, not yet believed: the key's id and the Unix time of its end."""
    parts = session.split(".")
    if not session.isascii() or len(parts) != 3 or not parts[1].isdigit() or len(parts[1]) > 11:
        return None
    try:
        return UUID(hex=parts[0]), int(parts[1])
    except ValueError:
        return None
