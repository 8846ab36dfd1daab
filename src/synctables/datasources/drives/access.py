"""An account's way to its cloud drives: connecting, looking round, reading, disconnecting.

No call holds a database connection while it waits for a service.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from synctables.accounts.seal import Seal, load_seal
from synctables.datasources.drives.consents import (
    Consent,
    begin_consent,
    forget_consents,
    take_consent,
    take_newest_consent,
)
from synctables.datasources.drives.known import find_drive
from synctables.datasources.drives.stored_tokens import StoredTokens
from synctables.datasources.drives.transfer import CallOff, in_thread
from synctables.errors import (
    ConsentError,
    DatasourceConfigurationError,
    InvalidRequestError,
    TerminalError,
)

if TYPE_CHECKING:
    from synctables.datasources.base import Datasource
    from synctables.datasources.drives.model import OAuthToken
    from synctables.settings import Settings

log = structlog.get_logger(__name__)


class DriveAccess:
    """What the API and the workers do with cloud drives."""

    def __init__(
        self,
        settings: Settings,
        pool: AsyncConnectionPool[AsyncConnection[DictRow]],
        *,
        database_url: str,
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._database_url = database_url

    def limited(self, max_file_bytes: int) -> DriveAccess:
        """The same for files that are no larger than this."""
        settings = self._settings.model_copy(update={"max_file_bytes": max_file_bytes})
        return DriveAccess(settings, self._pool, database_url=self._database_url)

    def datasource(self, service: str, *, account_id: UUID) -> Datasource:
        """The account's drive. Raises `ConfigurationError`, `InvalidRequestError`."""
        tokens = self._tokens(service, account_id=account_id)
        return find_drive(service).datasource(self._settings, tokens)

    async def begin(self, service: str, *, account_id: UUID, redirect_uri: str) -> str:
        """Where the user consents. Raises `InvalidRequestError` where that was done already."""
        drive = find_drive(service)
        client = drive.oauth_client(self._settings)
        tokens = self._tokens(service, account_id=account_id)
        if await in_thread(lambda _: tokens.find()):
            raise InvalidRequestError(f"OAuth already set for service {service}.")
        async with self._pool.connection() as connection:
            state, verifier = await begin_consent(
                connection,
                self._load_keys(),
                account_id=account_id,
                service=service,
                redirect_uri=redirect_uri,
                now=datetime.now(UTC),
            )
        return client.authorization_url(
            state=state, code_verifier=verifier, redirect_uri=redirect_uri
        )

    async def come_back(self, service: str, *, state: str, code: str) -> str:
        """Redeem the code with which a browser returns; for the account of this name.

        Raises `ConsentError`.
        """
        async with self._pool.connection() as connection:
            consent = await take_consent(
                connection, self._load_keys(), state=state, service=service, now=datetime.now(UTC)
            )
        if consent is None:
            raise ConsentError(
                "This way back is over, or was used already. Connect the service again."
            )
        await self._redeem(service, consent, code)
        return consent.account_name

    async def redeem_by_hand(self, service: str, *, account_id: UUID, code: str) -> None:
        """Redeem a code that the user copied. Raises `ConsentError`."""
        find_drive(service).oauth_client(self._settings)  # raises where it is not set up
        tokens = self._tokens(service, account_id=account_id)
        if await in_thread(lambda _: tokens.find()):
            raise InvalidRequestError(f"OAuth already set for service {service}.")
        async with self._pool.connection() as connection:
            consent = await take_newest_consent(
                connection,
                self._load_keys(),
                account_id=account_id,
                service=service,
                now=datetime.now(UTC),
            )
        if consent is None:
            raise ConsentError("Nobody was sent to the service lately: ask for auth_url first.")
        await self._redeem(service, consent, code)

    async def may_read(self, service: str, *, account_id: UUID) -> bool:
        """Whether a token is stored, or none is needed; the service is not asked.

        Raises `ConfigurationError` where the service is not set up, `InvalidRequestError` where
        there is none of this name.
        """
        drive = find_drive(service)
        tokens = self._tokens(service, account_id=account_id)

        def look(_: CallOff) -> bool:
            drive.datasource(self._settings, tokens)
            return not drive.needs_consent(self._settings) or tokens.find() is not None

        return await in_thread(look)

    async def has_valid_token(self, service: str, *, account_id: UUID) -> bool:
        """Whether the service still takes the stored token, which is discarded if not.

        True where the operator's own login reads for everybody. Raises a transient `RunError` where
        the service does not answer.
        """
        drive = find_drive(service)
        if not drive.needs_consent(self._settings):
            return True
        client = drive.oauth_client(self._settings)
        tokens = self._tokens(service, account_id=account_id)

        def renew(_: CallOff) -> bool:
            token = tokens.find()
            if token is None:
                return False
            try:
                tokens.renew(token, client.refresh)
            except DatasourceConfigurationError:
                raise  # the operator's fault: the token may be good
            except TerminalError:
                tokens.discard(token)
                return False
            return True

        return await in_thread(renew)

    async def disconnect(self, service: str, *, account_id: UUID) -> bool:
        """Withdraw the consent at the service, then forget the token; false: there is none."""
        find_drive(service).oauth_client(self._settings)  # raises where it is not set up
        async with self._pool.connection() as connection:
            await forget_consents(connection, account_id=account_id, service=service)
        tokens = self._tokens(service, account_id=account_id)
        return await in_thread(lambda _: tokens.remove())

    async def _redeem(self, service: str, consent: Consent, code: str) -> None:
        client = find_drive(service).oauth_client(self._settings)
        tokens = self._tokens(service, account_id=consent.account_id)

        def redeem() -> OAuthToken:
            return client.redeem(
                code, code_verifier=consent.code_verifier, redirect_uri=consent.redirect_uri
            )

        if not await in_thread(lambda _: tokens.connect(redeem)):  # another consent was faster
            raise InvalidRequestError(f"OAuth already set for service {service}.")
        log.info("drive_connected", service=service, account_id=str(consent.account_id))

    def _tokens(self, service: str, *, account_id: UUID) -> StoredTokens:
        drive = find_drive(service)
        return StoredTokens(
            self._database_url,
            self._load_keys,
            account_id=account_id,
            service=service,
            title=drive.title,
            withdraw=lambda token: drive.oauth_client(self._settings).revoke(token),
        )

    def _load_keys(self) -> Seal:
        """Read anew each time: a rotation replaces them under running processes."""
        return load_seal(self._settings)
