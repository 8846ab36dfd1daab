"""As whom files are read: an account by its consent, or the operator's service account."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import google.oauth2.credentials
import google.oauth2.service_account
from google.auth.exceptions import GoogleAuthError

from synctables.datasources.drives.model import Tokens
from synctables.datasources.gdrive.installation import SCOPE
from synctables.datasources.gdrive.oauth import GoogleOAuthClient
from synctables.errors import ConfigurationError, NotConnectedError

_KEPT = timedelta(minutes=4)
"""google-auth takes no renewed token that ends sooner (3 minutes 45 seconds)."""


class Reader(Protocol):
    """As whom files are read."""

    is_service_account: bool

    def credentials(self) -> Any:
        """For google-auth."""
        ...

    def disconnect(self) -> None:
        """Its permission is of no use any more."""
        ...


class ServiceAccount:
    """The operator's, for every account alike."""

    is_service_account = True

    def __init__(self, key_file: str) -> None:
        """Raises `ConfigurationError` where the file is no key."""
        try:
            self._credentials = google.oauth2.service_account.Credentials.from_service_account_file(
                key_file, scopes=[SCOPE]
            )
        except (OSError, ValueError, GoogleAuthError) as error:
            message = (
                "SYNCTABLES_GDRIVE_SERVICE_ACCOUNT_FILE is not the readable key (JSON) of a Google"
                f" service account: {type(error).__name__}."
            )
            raise ConfigurationError(message) from None

    def credentials(self) -> Any:
        return self._credentials

    def disconnect(self) -> None:
        """There is nothing to forget."""


class ConnectedAccount:
    """An account by its consent; google-auth never renews by itself: it asks `Tokens`."""

    is_service_account = False

    def __init__(self, tokens: Tokens, oauth: GoogleOAuthClient) -> None:
        self._tokens = tokens
        self._oauth = oauth
        self._held = tokens.current()

    def credentials(self) -> Any:
        return google.oauth2.credentials.Credentials(
            token=self._held.access_token,
            expiry=_naive(self._held.expires_at),
            refresh_handler=self._renew,
        )

    def disconnect(self) -> None:
        self._tokens.discard(self._held)

    def _renew(self, _request: object, scopes: object) -> tuple[str, datetime]:
        """What another worker stored may be about to end as well; then that is renewed."""
        del scopes  # those of the consent
        try:
            self._held = self._tokens.renew(self._held, self._oauth.refresh)
            if _naive(self._held.expires_at) - _naive(datetime.now(UTC)) < _KEPT:
                self._held = self._tokens.renew(self._held, self._oauth.refresh)
        except NotConnectedError:
            self.disconnect()
            raise
        return self._held.access_token, _naive(self._held.expires_at)


def _naive(moment: datetime | None) -> datetime:
    """google-auth wants UTC without saying so; a token that does not say ends is tried."""
    known = moment or datetime.now(UTC) + timedelta(hours=1)
    return known.astimezone(UTC).replace(tzinfo=None)
