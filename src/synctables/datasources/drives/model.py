"""What a cloud drive is to the rest of the program: who may read it, and as which datasource.

The official SDKs block, so everything here that talks to a service blocks too, and is called in a
thread; `Datasource` itself is asynchronous.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from synctables.datasources.base import Datasource
    from synctables.settings import Settings

RENEW_BEFORE = timedelta(minutes=2)
"""A token that ends sooner is renewed first: a request must not outlive it on its way."""


@dataclass(frozen=True, kw_only=True)
class OAuthToken:
    """What a service gave for a user's consent (RFC 6749 section 5.1).

    ``expires_at``: of the access token, in UTC; None: it does not say.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None

    def is_stale(self, now: datetime) -> bool:
        """Whether the access token has ended, or is about to."""
        return self.expires_at is not None and self.expires_at - now < RENEW_BEFORE

    def to_json(self) -> str:
        """For storing it, sealed."""
        ends = self.expires_at.isoformat() if self.expires_at else None
        return json.dumps({**asdict(self), "expires_at": ends})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` wrote."""
        stored = json.loads(text)
        ends = stored.pop("expires_at")
        return cls(**stored, expires_at=datetime.fromisoformat(ends) if ends else None)


class Tokens(Protocol):
    """One account's token at one service, as all workers share it. Blocking; from a thread only."""

    def current(self) -> OAuthToken:
        """The stored token. Raises `NotConnectedError` where there is none."""
        ...

    def renew(self, stale: OAuthToken, exchange: Callable[[OAuthToken], OAuthToken]) -> OAuthToken:
        """A token that replaces ``stale``: one that another worker stored meanwhile, or a new one.

        ``exchange`` asks the service, while every other worker that would waits. What it returns
        is stored, and committed, before anybody uses it: a refresh token may work only once.
        Raises what ``exchange`` raises.
        """
        ...

    def discard(self, dead: OAuthToken) -> None:
        """Forget ``dead``, which the service takes no more; a token that replaced it stays."""
        ...


class OAuthClient(Protocol):
    """This installation at one service's OAuth 2 endpoints. Every method but the first blocks."""

    def authorization_url(self, *, state: str, code_verifier: str, redirect_uri: str) -> str:
        """Where the user consents: code flow with PKCE (RFC 7636, S256), smallest scopes."""
        ...

    def redeem(self, code: str, *, code_verifier: str, redirect_uri: str) -> OAuthToken:
        """The token for a code. Raises `ConsentError` where the service does not take it."""
        ...

    def refresh(self, token: OAuthToken) -> OAuthToken:
        """A new token for an old one. Raises a terminal `RunError` where it is dead for good."""
        ...

    def revoke(self, token: OAuthToken) -> None:
        """Withdraw the consent at the service; one that is withdrawn already is no error."""
        ...


class Drive(Protocol):
    """One kind of cloud drive. A package below `drives` has one as ``DRIVE``."""

    @property
    def name(self) -> str:
        """The API's ``service_name``."""
        ...

    @property
    def title(self) -> str:
        """As people call it."""
        ...

    def needs_consent(self, settings: Settings) -> bool:
        """Whether an account must connect first; else a login of the operator's reads for all."""
        ...

    def oauth_client(self, settings: Settings) -> OAuthClient:
        """Raises `ConfigurationError` that names the missing settings and the page about them."""
        ...

    def datasource(self, settings: Settings, tokens: Tokens) -> Datasource:
        """The drive of one account. Raises `ConfigurationError` like `oauth_client`."""
        ...
