"""The token of an account at a service, as all workers on all machines share it.

Blocking, with a connection of its own for each call: the SDKs ask for tokens in threads, about
once an hour. A row's lock makes everybody else wait while one of them renews it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import DictRow, dict_row

from synctables.accounts.seal import Seal
from synctables.datasources.drives.model import OAuthToken
from synctables.db.pool import connection_options
from synctables.errors import (
    ConfigurationError,
    DatasourceConnectError,
    NotConnectedError,
    RunError,
)

_SELECT = (
    "SELECT sealed FROM oauth_tokens WHERE account_id = %(account_id)s AND service = %(service)s"
)

# Whoever else inserts waits for the end of this transaction. No advisory lock: users' SQL may take
# those as well.
_RESERVE = """
INSERT INTO oauth_tokens (account_id, service, sealed)
VALUES (%(account_id)s, %(service)s, %(before)s)
ON CONFLICT DO NOTHING
"""
_NOT_YET = b""

_REPLACE = """
UPDATE oauth_tokens SET sealed = %(sealed)s, updated_at = now()
WHERE account_id = %(account_id)s AND service = %(service)s AND sealed = %(before)s
"""

_DELETE = """
DELETE FROM oauth_tokens
WHERE account_id = %(account_id)s AND service = %(service)s AND sealed = %(before)s
"""

_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '120s'"
"""Longer than any call to a token endpoint takes."""

_DATABASE_RETURNS_SECONDS = 120.0
"""How long a new token waits for a database that restarts; recovery takes the longest."""
_LOOK_AGAIN_SECONDS = 0.25

# Keys are only read once the table is locked, so that nobody seals with a key that is being
# replaced: `reseal_all` keeps everybody out meanwhile.
_ENTER = "LOCK TABLE oauth_tokens IN ROW EXCLUSIVE MODE"
_KEEP_OUT = "LOCK TABLE oauth_tokens IN EXCLUSIVE MODE"

_SELECT_ALL = "SELECT account_id, service, sealed FROM oauth_tokens"

_SELECT_NAMED = """
SELECT accounts.name, service, sealed FROM oauth_tokens JOIN accounts ON accounts.id = account_id
ORDER BY accounts.name, service
"""


@dataclass(frozen=True, kw_only=True)
class Resealed:
    """How many tokens were sealed anew, and how many were forgotten because no key opens them."""

    sealed_count: int
    forgotten_count: int


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A token whose key is lost: the account's name, the service, and what is stored."""

    account: str
    service: str
    sealed: bytes = field(repr=False)


Connection = psycopg.Connection[DictRow]


class StoredTokens:
    """The `Tokens` of one account at one service. ``title``: the service, as people call it.

    ``withdraw`` ends a token at the service: one that cannot be kept must not live on there.
    """

    def __init__(
        self,
        database_url: str,
        load_keys: Callable[[], Seal],
        *,
        account_id: UUID,
        service: str,
        title: str,
        withdraw: Callable[[OAuthToken], None],
    ) -> None:
        self._withdraw = withdraw
        self._database_url = database_url
        self._load_keys = load_keys
        self._title = title
        self._key: dict[str, Any] = {"account_id": account_id, "service": service}

    def find(self) -> OAuthToken | None:
        """The stored token; None where there is none. Raises `ConfigurationError`."""
        with self._connect() as connection:
            sealed = self._select(connection)
            return self._open(sealed) if sealed else None

    def current(self) -> OAuthToken:
        """The stored token. Raises `NotConnectedError` where there is none."""
        token = self.find()
        if token is None:
            raise self._not_connected()
        return token

    def renew(self, stale: OAuthToken, exchange: Callable[[OAuthToken], OAuthToken]) -> OAuthToken:
        """What replaces ``stale``, committed before it is returned.

        ``exchange`` runs while the row is locked, so it must not ask for tokens itself. Raises
        what it raises, `NotConnectedError`, and `DatasourceConnectError` where another worker's
        exchange does not end.
        """
        with self._connect() as connection:
            before = self._lock(connection)
            if before is None:
                raise self._not_connected()
            stored = self._open(before)
            if stored.access_token != stale.access_token:
                return stored
            fresh = exchange(stored)
            fresh = replace(fresh, refresh_token=fresh.refresh_token or stored.refresh_token)
            return self._replace(connection, before, fresh)

    def connect(self, redeem: Callable[[], OAuthToken]) -> bool:
        """Keep the token that ``redeem`` brings; false: there is one already, and nobody asks.

        Of several who come back from the service at once, one redeems: a second token would live
        on there with nobody who knows it. Raises what ``redeem`` raises.
        """
        with self._connect() as connection:
            values = {**self._key, "before": _NOT_YET}
            if connection.execute(_RESERVE, values).rowcount == 0:
                return False
            token = redeem()
            try:
                connection.execute(_REPLACE, {**values, "sealed": self._sealed(token)})
                connection.commit()
            except psycopg.Error:
                with suppress(RunError):
                    self._withdraw(token)
                raise
        return True

    def discard(self, dead: OAuthToken) -> None:
        """Forget ``dead``; a token that replaced it stays."""
        with self._connect() as connection:
            before = self._lock(connection)
            if before and self._open(before).access_token == dead.access_token:
                connection.execute(_DELETE, {**self._key, "before": before})

    def remove(self) -> bool:
        """Withdraw the token at the service and forget it; false: there is none.

        Nobody can renew it meanwhile. Raises what ``withdraw`` raises, and then forgets nothing.
        """
        with self._connect() as connection:
            before = self._lock(connection)
            if before is None:
                return False
            self._withdraw(self._open(before))
            connection.execute(_DELETE, {**self._key, "before": before})
        return True

    def _replace(self, connection: Connection, before: bytes, fresh: OAuthToken) -> OAuthToken:
        """Store what replaces a token, and commit; gives what is stored then.

        The service may already refuse the old one. So a connection that is lost now is no reason
        to lose the token as well.
        """
        sealed = self._sealed(fresh)
        try:
            connection.execute(_REPLACE, {**self._key, "sealed": sealed, "before": before})
            connection.commit()
        except psycopg.OperationalError:
            return self._replace_later(before, sealed, fresh)
        return fresh

    def _replace_later(self, before: bytes, sealed: bytes, fresh: OAuthToken) -> OAuthToken:
        """The same once the database is back, without the lock that went with the connection.

        Without it others may have been faster: they renewed too, and theirs counts; or they
        disconnected, and then this one has to go as well.
        """
        deadline = time.monotonic() + _DATABASE_RETURNS_SECONDS
        while True:
            try:
                with self._connect() as another:
                    now = self._lock(another)
                    if now == before:
                        another.execute(_REPLACE, {**self._key, "sealed": sealed, "before": before})
                    break
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_LOOK_AGAIN_SECONDS)
        if now is None:
            with suppress(RunError):
                self._withdraw(fresh)
            raise self._not_connected()
        return fresh if now in (before, sealed) else self._open(now)

    def _lock(self, connection: Connection) -> bytes | None:
        """The row's content, once nobody else works on it."""
        return self._select(connection, for_update=True)

    def _select(self, connection: Connection, *, for_update: bool = False) -> bytes | None:
        lock = " FOR UPDATE" if for_update else ""
        row = connection.execute(_SELECT + lock, self._key).fetchone()
        return bytes(row["sealed"]) if row else None

    def _open(self, sealed: bytes) -> OAuthToken:
        return OAuthToken.from_json(self._load_keys().open(sealed))

    def _sealed(self, token: OAuthToken) -> bytes:
        return self._load_keys().seal(token.to_json())

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        """A transaction of its own, committed at the end of the block."""
        with _connected(self._database_url) as connection:
            try:
                connection.execute(_LOCK_TIMEOUT)
                connection.execute(_ENTER)
                yield connection
            except psycopg.errors.LockNotAvailable as error:
                message = f"The access to {self._title} is being renewed for too long."
                raise DatasourceConnectError(message) from error

    def _not_connected(self) -> NotConnectedError:
        return NotConnectedError(f"This account is not connected to {self._title}.")


def reseal_all(
    database_url: str, load_keys: Callable[[], Seal], *, forgets: Sequence[Unreadable] = ()
) -> Resealed:
    """Seal every token with the newest key.

    ``load_keys`` is called while nobody else reads or writes a token, so it may replace keys.
    Raises `ConfigurationError` where a token's key is missing, and changes nothing then. Those that
    it ``forgets`` are removed instead: their accounts have to be connected again.
    """
    lost = {one.sealed for one in forgets}
    forgotten_count = 0
    with _connected(database_url) as connection:
        connection.execute(_LOCK_TIMEOUT)
        connection.execute(_KEEP_OUT)
        keys = load_keys()
        rows = connection.execute(_SELECT_ALL).fetchall()
        for row in rows:
            before = bytes(row["sealed"])
            if before in lost:
                connection.execute(_DELETE, {**row, "before": before})
                forgotten_count += 1
            else:
                sealed = keys.reseal(before)
                connection.execute(_REPLACE, {**row, "sealed": sealed, "before": before})
    return Resealed(sealed_count=len(rows) - forgotten_count, forgotten_count=forgotten_count)


def find_unreadable(database_url: str, seal: Seal) -> list[Unreadable]:
    """The tokens that none of the keys opens, by account and service."""
    with _connected(database_url) as connection:
        rows = connection.execute(_SELECT_NAMED).fetchall()
    tokens = (
        Unreadable(account=row["name"], service=row["service"], sealed=bytes(row["sealed"]))
        for row in rows
    )
    return [token for token in tokens if not _opens(seal, token.sealed)]


def _opens(seal: Seal, sealed: bytes) -> bool:
    try:
        seal.open(sealed)
    except ConfigurationError:
        return False
    return True


@contextmanager
def _connected(database_url: str) -> Iterator[Connection]:
    with psycopg.connect(
        database_url, row_factory=dict_row, **connection_options("synctables tokens")
    ) as connection:
        yield connection
