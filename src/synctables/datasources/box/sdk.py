"""Box's SDK, told to leave to us what is ours: tokens, retries, certificates and waits.

All of it by the SDK's own extension points: a `RetryStrategy`, an `Authentication`, and the
`requests` session of its network client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import requests
from box_sdk_gen import (
    AccessToken,
    Authentication,
    BaseUrls,
    BoxNetworkClient,
    NetworkSession,
    RetryStrategy,
    TimeoutConfig,
)

from synctables.datasources.drives.sessions import guard
from synctables.errors import BoxPermissionError

if TYPE_CHECKING:
    from box_sdk_gen import FetchOptions, FetchResponse

    from synctables.datasources.drives.model import OAuthToken, Tokens
    from synctables.settings import Settings

_UNAUTHORIZED = 401
_CHUNK_BYTES = 1 << 16


class LastAnswer:
    """The newest answer; each is closed at the next one, or at the end.

    The SDK gives the bytes of an answer in pieces of 1 KB, at half the speed, and no way to close
    it: one that is not read to its end would hold its connection until it is garbage.
    """

    def __init__(self) -> None:
        self._answer: requests.Response | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._answer is not None:
            self._answer.close()

    def replace(self, answer: requests.Response, *_: object, **__: object) -> None:
        """A hook of requests' for answers."""
        if self._answer is not None:
            self._answer.close()
        self._answer = answer

    def chunks(self) -> Iterator[bytes]:
        """Its body, which nobody has begun to read."""
        return self._answer.iter_content(_CHUNK_BYTES) if self._answer is not None else iter(())


@dataclass(frozen=True, kw_only=True)
class Network:
    """What an SDK's client is made of, and what it answered last."""

    session: NetworkSession
    last: LastAnswer


@contextmanager
def open_network(settings: Settings) -> Iterator[Network]:
    """How requests travel to Box, or to the endpoint of the settings, while the block runs."""
    with requests.Session() as session, LastAnswer() as last:
        guard(session)
        session.hooks["response"].append(last.replace)
        if settings.box_endpoint and settings.drive_ca_file:
            session.verify = str(settings.drive_ca_file)
        yield Network(session=_network_session(settings, session), last=last)


def _network_session(settings: Settings, session: requests.Session) -> NetworkSession:
    return NetworkSession(
        network_client=BoxNetworkClient(requests_session=session),
        retry_strategy=_OneRenewal(),
        base_urls=_base_urls(settings),
        timeout_config=TimeoutConfig(
            connection_timeout_ms=int(settings.connect_timeout_seconds * 1000),
            read_timeout_ms=int(settings.idle_timeout_seconds * 1000),
        ),
    )


def _base_urls(settings: Settings) -> BaseUrls:
    if not settings.box_endpoint:
        return BaseUrls()
    endpoint = settings.box_endpoint.rstrip("/")
    return BaseUrls(base_url=endpoint, upload_url=f"{endpoint}/api", oauth_2_url=endpoint)


class _OneRenewal(RetryStrategy):
    """Repeats a request only with a renewed token, once. All else is for the run to decide."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def should_retry(
        self, fetch_options: FetchOptions, fetch_response: FetchResponse, attempt_number: int
    ) -> bool:
        if fetch_response.status != _UNAUTHORIZED or not fetch_options.auth or attempt_number > 1:
            return False
        fetch_options.auth.refresh_token(network_session=fetch_options.network_session)
        return True

    def retry_after(
        self, fetch_options: FetchOptions, fetch_response: FetchResponse, attempt_number: int
    ) -> float:
        return 0.0


class StoredToken(Authentication):
    """Signs requests with the account's token as all workers share it. For one thread.

    ``refresh`` asks Box for the next one; it is called by `Tokens.renew` alone, which stores what
    it gives before anything here uses it.
    """

    def __init__(self, tokens: Tokens, refresh: Callable[[OAuthToken], OAuthToken]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._tokens = tokens
        self._refresh = refresh
        self._last: OAuthToken | None = None

    def retrieve_token(self, *, network_session: NetworkSession | None = None) -> AccessToken:
        """The stored token, renewed first where it is about to end."""
        token = self._tokens.current()
        if token.is_stale(datetime.now(UTC)):
            token = self._renew(token)
        self._last = token
        return AccessToken(access_token=token.access_token)

    def refresh_token(self, *, network_session: NetworkSession | None = None) -> AccessToken:
        """A token that replaces the one that Box has just refused."""
        token = self._renew(self._last or self._tokens.current())
        return AccessToken(access_token=token.access_token)

    def retrieve_authorization_header(
        self, *, network_session: NetworkSession | None = None
    ) -> str:
        return f"Bearer {self.retrieve_token().access_token}"

    def revoke_token(self, *, network_session: NetworkSession | None = None) -> None:
        raise NotImplementedError("disconnecting is the account's business")

    def downscope_token(
        self,
        scopes: list[str],
        *,
        resource: str | None = None,
        shared_link: str | None = None,
        network_session: NetworkSession | None = None,
    ) -> AccessToken:
        raise NotImplementedError("nothing here hands tokens on")

    def _renew(self, stale: OAuthToken) -> OAuthToken:
        try:
            return self._tokens.renew(stale, self._refresh)
        except BoxPermissionError:
            self._tokens.discard(stale)
            raise
