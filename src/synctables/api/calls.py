"""One call = one account, one transaction, committed before the answer leaves."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request
from procrastinate import App as JobsApp
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool
from starlette.requests import HTTPConnection

from synctables.accounts.model import Account
from synctables.api.auth import authenticate_request, require_credentials
from synctables.api.bodies import read_parameters
from synctables.api.rate_limits import RateLimits
from synctables.datasources.drives.access import DriveAccess
from synctables.settings import Settings
from synctables.syncs.service import SyncLimits

CONNECTION_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Services:
    """What every call may use; made once per process, kept in ``app.state.services``."""

    settings: Settings
    pool: AsyncConnectionPool[AsyncConnection[DictRow]]
    jobs_app: JobsApp
    drives: DriveAccess
    rate_limits: RateLimits

    @property
    def upload_dir(self) -> Path | None:
        """Where uploads wait while they arrive; None: the system's folder for such files."""
        return self.settings.data_dir

    @asynccontextmanager
    async def transaction(
        self, *, timeout_seconds: float | None = None
    ) -> AsyncIterator[AsyncConnection[DictRow]]:
        """A connection in a transaction: committed at the end, rolled back on an error."""
        async with (
            self.pool.connection(
                timeout=timeout_seconds or CONNECTION_TIMEOUT_SECONDS
            ) as connection,
            connection.transaction(),
        ):
            yield connection


@dataclass(frozen=True, kw_only=True)
class Call:
    """An authenticated call, inside its transaction."""

    account: Account
    connection: AsyncConnection[DictRow]
    services: Services
    parameters: Mapping[str, Any] = field(repr=False)

    @property
    def limits(self) -> SyncLimits:
        """What the server and the account's plan allow."""
        return SyncLimits.of(self.services.settings, self.account.plan)


def services_of(request: HTTPConnection) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)  # noqa: S101  # create_app put it there
    return services


@asynccontextmanager
async def open_call(request: Request, parameters: Mapping[str, Any]) -> AsyncIterator[Call]:
    """Authenticate the call in a new transaction, which ends with the block.

    Raises `UnauthenticatedError` or `TooManyCallsError`; a call that shows no key costs no
    connection.
    """
    require_credentials(request, parameters)
    services = services_of(request)
    async with services.transaction() as connection:
        account = await identify(request, connection, parameters)
        yield Call(account=account, connection=connection, services=services, parameters=parameters)


async def identify(
    request: Request, connection: AsyncConnection[DictRow], parameters: Mapping[str, Any]
) -> Account:
    """The account that calls, its call counted; once, however often its key is looked at.

    Raises `UnauthenticatedError` or `TooManyCallsError`.
    """
    account = await authenticate_request(request, connection, parameters)
    if not getattr(request.state, "is_counted", False):
        services_of(request).rate_limits.take(account.id)
        request.state.is_counted = True
    return account


async def _open_call(request: Request) -> AsyncIterator[Call]:
    parameters = await read_parameters(request)
    async with open_call(request, parameters) as call:
        yield call


# The scope matters: with FastAPI's default the block would end, and so COMMIT, only after the
# answer was sent, and a client could be told of a sync that was never stored.
CurrentCall = Annotated[Call, Depends(_open_call, scope="function")]
