"""The user's consent at Google, and the tokens that come of it (google-auth-oauthlib)."""

from __future__ import annotations

import functools
import logging
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import requests
from google.auth.exceptions import RefreshError, TransportError
from google.auth.transport.requests import Request
from google.oauth2.credentials import Credentials
from google_auth_oauthlib.flow import Flow
from oauthlib.oauth2 import OAuth2Error

from synctables.datasources.drives.model import OAuthToken
from synctables.datasources.drives.sessions import guard
from synctables.datasources.gdrive.installation import (
    GUIDE,
    SCOPE,
    Endpoints,
    endpoints,
    oauth_client,
)
from synctables.datasources.gdrive.refusals import GOOGLE, refresh_error, transport_error
from synctables.errors import (
    ConfigurationError,
    ConsentError,
    DatasourceConnectError,
    NotConnectedError,
)
from synctables.settings import Settings

# Their DEBUG records quote codes, tokens, headers.
for _talkative in ("requests_oauthlib", "oauthlib", "google.auth", "google.oauth2"):
    logging.getLogger(_talkative).setLevel(logging.INFO)

_LASTS = timedelta(hours=1)
"""An access token, where Google does not say."""


class GoogleOAuthClient:
    """This installation at Google's OAuth 2 endpoints; see `OAuthClient`."""

    def __init__(self, settings: Settings) -> None:
        self._client = oauth_client(settings)
        self._endpoints = endpoints(settings)
        self._timeout = (settings.connect_timeout_seconds, settings.idle_timeout_seconds)

    def authorization_url(self, *, state: str, code_verifier: str, redirect_uri: str) -> str:
        """``prompt=consent``: Google gives a refresh token only with a consent, not at a return."""
        flow = self._flow(code_verifier, redirect_uri)
        with flow.oauth2session:
            url, _ = flow.authorization_url(state=state, access_type="offline", prompt="consent")
        return str(url)

    def redeem(self, code: str, *, code_verifier: str, redirect_uri: str) -> OAuthToken:
        """The token for a code; raises `ConsentError` where Google gives none that lasts."""
        flow = self._flow(code_verifier, redirect_uri)
        try:
            with flow.oauth2session:
                answer: dict[str, Any] = flow.fetch_token(code=code, timeout=self._timeout)
        except OAuth2Error as error:
            raise _redeem_error(str(error.error)) from None
        except Warning:  # how oauthlib says that fewer scopes were granted; it holds the token
            message = f"The consent to read in {GOOGLE} was not given. Connect again, and allow it."
            raise ConsentError(message) from None
        except requests.RequestException as error:
            raise transport_error(error, item="the token") from error
        except ValueError:  # no JSON, or a number that is none
            raise DatasourceConnectError("Google's sign-in does not answer as it should.") from None
        if not answer.get("refresh_token"):
            message = (
                "Google gave no lasting permission. Remove this app from your Google account"
                " (Security, third-party connections), then connect again."
            )
            raise ConsentError(message)
        return OAuthToken(
            access_token=answer["access_token"],
            refresh_token=answer["refresh_token"],
            expires_at=_end(answer.get("expires_in")),
        )

    def refresh(self, token: OAuthToken) -> OAuthToken:
        """A new access token; the refresh token stays, as Google's do."""
        if not token.refresh_token:
            raise NotConnectedError(f"{GOOGLE} gave this account no permission that lasts.")
        credentials: Any = Credentials(
            token=None,
            refresh_token=token.refresh_token,
            token_uri=self._endpoints.token,
            client_id=self._client.id,
            client_secret=self._client.secret,
        )
        try:
            with plain_session(self._endpoints) as session:
                credentials.refresh(functools.partial(Request(session), timeout=self._timeout))
        except RefreshError as error:
            raise refresh_error(error) from None
        except TransportError as error:
            raise transport_error(error, item="the token") from error
        ends = credentials.expiry
        return OAuthToken(
            access_token=credentials.token,
            refresh_token=credentials.refresh_token,
            expires_at=ends.replace(tzinfo=UTC) if ends else _end(None),
        )

    def revoke(self, token: OAuthToken) -> None:
        """Withdraw the consent; a token that Google does not know is withdrawn already (400)."""
        try:
            with plain_session(self._endpoints) as session:
                answer = session.post(
                    self._endpoints.revocation,
                    data={"token": token.refresh_token or token.access_token},
                    timeout=self._timeout,
                )
        except requests.RequestException as error:
            raise transport_error(error, item="the token") from error
        if answer.status_code not in (HTTPStatus.OK, HTTPStatus.BAD_REQUEST):
            message = f"{GOOGLE} did not take the withdrawal of the consent. Try again."
            raise DatasourceConnectError(message, http_status=answer.status_code)

    def _flow(self, code_verifier: str, redirect_uri: str) -> Any:
        web = {
            "client_id": self._client.id,
            "client_secret": self._client.secret,
            "auth_uri": self._endpoints.consent,
            "token_uri": self._endpoints.token,
        }
        flow = Flow.from_client_config(
            {"web": web}, [SCOPE], redirect_uri=redirect_uri, code_verifier=code_verifier
        )
        prepare_session(flow.oauth2session, self._endpoints)
        return flow


def plain_session(at: Endpoints) -> requests.Session:
    """A session without anybody's token."""
    session = requests.Session()
    prepare_session(session, at)
    return session


def prepare_session(session: requests.Session, at: Endpoints) -> None:
    """Trust what the settings say."""
    guard(session)
    session.verify = at.ca_file or True


def _end(seconds: object) -> datetime:
    lasts = timedelta(seconds=seconds) if isinstance(seconds, int | float) else _LASTS
    return datetime.now(UTC) + lasts


def _redeem_error(code: str) -> Exception:
    if code in ("invalid_client", "unauthorized_client", "redirect_uri_mismatch"):
        message = (
            f"Google does not take this server ({code}): check SYNCTABLES_GDRIVE_CLIENT_ID,"
            f" SYNCTABLES_GDRIVE_CLIENT_SECRET and the redirect address. See {GUIDE}."
        )
        return ConfigurationError(message)
    return ConsentError("Google did not give a token for this code. Connect again.")
