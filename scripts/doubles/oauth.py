"""The OAuth 2 side of a double: consent, codes with PKCE, tokens that end, rotate and die.

Rules from RFC 6749 (code grant, refresh), RFC 7636 (S256) and RFC 7009 (revocation). A service
differs in a few switches and in the shape of its errors, which its double writes itself.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

ACCESS_LASTS = timedelta(hours=1)


class RefusedError(Exception):
    """An answer of the token endpoint; ``error`` is the code of RFC 6749 section 5.2."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


@dataclass(frozen=True, kw_only=True)
class Issued:
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int


@dataclass(kw_only=True)
class Grant:
    """One consent of the user, until it is revoked."""

    refresh_token: str
    access_tokens: dict[str, datetime] = field(default_factory=dict)
    """Each with its end."""
    used_refresh_tokens: set[str] = field(default_factory=set)
    unused: tuple[str, Issued] | None = None
    """The refresh token that worked last and what it gave, until that is used."""


@dataclass(kw_only=True)
class _Code:
    challenge: str
    redirect_uri: str


def _now() -> datetime:
    return datetime.now(UTC)


class Authority:
    """Who may do what at a double. Thread-safe.

    ``rotates``: a refresh token works once, as Box's do. ``repeats_unused``: a used one gives the
    same pair again until somebody uses that pair, which also ends the access tokens before it.
    ``now`` is the clock: `advance` it in a test, and access tokens end.
    """

    def __init__(
        self,
        *,
        client_id: str = "client-id",
        client_secret: str = "client-secret",  # noqa: S107  # the double's own
        rotates: bool = False,
        repeats_unused: bool = False,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.refresh_count = 0
        self._rotates = rotates
        self._repeats_unused = repeats_unused
        self._now = now
        self._ahead = timedelta()
        self._lock = threading.Lock()
        self._codes: dict[str, _Code] = {}
        self._grants: list[Grant] = []

    def advance(self, by: timedelta) -> None:
        """Let time pass, for tokens only."""
        with self._lock:
            self._ahead += by

    def consent(self, *, client_id: str, challenge: str, method: str, redirect_uri: str) -> str:
        """The user agrees on the consent page. Returns the code for the redirect."""
        if client_id != self.client_id:
            raise RefusedError("invalid_client", "Unknown client.")
        if method != "S256" or not challenge:
            raise RefusedError("invalid_request", "PKCE with S256 is wanted here.")
        code = secrets.token_urlsafe(16)
        with self._lock:
            self._codes[code] = _Code(challenge=challenge, redirect_uri=redirect_uri)
        return code

    def redeem(
        self, code: str, *, verifier: str, redirect_uri: str, client_id: str, client_secret: str
    ) -> Issued:
        """``grant_type=authorization_code``."""
        self._check_client(client_id, client_secret)
        with self._lock:
            known = self._codes.pop(code, None)
            if known is None:
                raise RefusedError("invalid_grant", "The code is unknown, used, or has ended.")
            if known.redirect_uri != redirect_uri:
                raise RefusedError("invalid_grant", "The redirect_uri is not that of the request.")
            digest = hashlib.sha256(verifier.encode()).digest()
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != known.challenge:
                raise RefusedError("invalid_grant", "The code_verifier does not fit.")
        return self.grant()

    def grant(self) -> Issued:
        """A consent that was given without the page: to a service account, or before a test."""
        with self._lock:
            grant = Grant(refresh_token=_new_token("refresh"))
            self._grants.append(grant)
            return self._issue(grant)

    def refresh(self, refresh_token: str, *, client_id: str, client_secret: str) -> Issued:
        """``grant_type=refresh_token``. A used single-use token is refused, and changes nothing."""
        self._check_client(client_id, client_secret)
        with self._lock:
            for grant in self._grants:
                if grant.refresh_token == refresh_token:
                    self.refresh_count += 1
                    return self._replace(grant)
                if self._repeats_unused and grant.unused and grant.unused[0] == refresh_token:
                    return grant.unused[1]
        raise RefusedError("invalid_grant", "The refresh token is unknown, used, or revoked.")

    def revoke(self, token: str) -> bool:
        """Withdraw the consent that either kind of token stands for; false: there is none."""
        with self._lock:
            for grant in self._grants:
                if token == grant.refresh_token or token in grant.access_tokens:
                    self._grants.remove(grant)
                    return True
        return False

    def revoke_everything(self) -> None:
        """As a user does on the service's own page of connected apps."""
        with self._lock:
            self._grants.clear()

    def is_valid(self, access_token: str) -> bool:
        """Whether a call with this token is let in; it counts as the token's use."""
        with self._lock:
            now = self._now() + self._ahead
            for grant in self._grants:
                if access_token in grant.access_tokens:
                    if grant.unused and grant.unused[1].access_token == access_token:
                        grant.unused = None
                        self._end_others(grant, access_token)
                    return grant.access_tokens[access_token] > now
        return False

    def tokens_ever(self) -> set[str]:
        """Every secret of the grants that stand now, for tests that look for leaks."""
        with self._lock:
            return {
                token
                for grant in self._grants
                for token in (
                    grant.refresh_token,
                    *grant.access_tokens,
                    *grant.used_refresh_tokens,
                )
            }

    def _check_client(self, client_id: str, client_secret: str) -> None:
        if (client_id, client_secret) != (self.client_id, self.client_secret):
            raise RefusedError("invalid_client", "Unknown client, or a wrong secret.")

    def _replace(self, grant: Grant) -> Issued:
        used = grant.refresh_token
        if self._rotates:
            grant.used_refresh_tokens.add(used)
            grant.refresh_token = _new_token("refresh")
        issued = self._issue(grant)
        grant.unused = (used, issued)
        return issued

    def _end_others(self, grant: Grant, access_token: str) -> None:
        if self._repeats_unused:
            ended = datetime.min.replace(tzinfo=UTC)
            for other in grant.access_tokens.keys() - {access_token}:
                grant.access_tokens[other] = ended

    def _issue(self, grant: Grant) -> Issued:
        access = _new_token("access")
        grant.access_tokens[access] = self._now() + self._ahead + ACCESS_LASTS
        return Issued(
            access_token=access,
            refresh_token=grant.refresh_token,
            expires_in=int(ACCESS_LASTS.total_seconds()),
        )


def _new_token(kind: str) -> str:
    return f"secret-{kind}-{secrets.token_urlsafe(24)}"
