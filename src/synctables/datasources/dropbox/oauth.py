"""This installation at Dropbox's OAuth 2 endpoints: code flow with PKCE, refresh tokens.

The two token requests go over the SDK's session, but not through its flow, which makes up a state
and a verifier of its own, and keeps in private what it refreshed. With PKCE no app secret is sent,
as in the SDK. https://developers.dropbox.com/oauth-guide
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from synctables.datasources.drives.code_grant import consent_parameters, redemption_form
from synctables.datasources.drives.model import OAuthToken
from synctables.datasources.dropbox.failures import (
    RefusedAnswerError,
    TokenRefusedError,
    call_failures,
)
from synctables.datasources.dropbox.session import API, WEB, open_client, open_session, timeouts
from synctables.errors import (
    ConsentError,
    DatasourceConfigurationError,
    DatasourceConnectError,
    DropboxPermissionError,
)

if TYPE_CHECKING:
    from synctables.settings import Settings

SCOPES = ("account_info.read", "files.metadata.read", "files.content.read", "sharing.read")
"""In order: where a team's space begins; versions and folders; files; files behind links."""


class _GrantRefusedError(Exception):
    """Dropbox does not take a code or a refresh token."""


class DropboxOAuthClient:
    """See `OAuthClient`. The settings hold an app key."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app_key = settings.dropbox_client_id or ""

    def authorization_url(self, *, state: str, code_verifier: str, redirect_uri: str) -> str:
        parameters = consent_parameters(
            client_id=self._app_key,
            state=state,
            code_verifier=code_verifier,
            redirect_uri=redirect_uri,
        ) | {
            "token_access_type": "offline",
            "scope": " ".join(SCOPES),
            # Else whoever agreed once is sent back without a question, and a link that somebody
            # else began would connect his Dropbox to that other account.
            "force_reapprove": "true",
        }
        base = (self._settings.dropbox_endpoint or WEB).rstrip("/")
        return f"{base}/oauth2/authorize?{urlencode(parameters)}"

    def redeem(self, code: str, *, code_verifier: str, redirect_uri: str) -> OAuthToken:
        form = redemption_form(code, code_verifier=code_verifier, redirect_uri=redirect_uri)
        try:
            return _token_of(self._ask(form), refresh_token=None)
        except _GrantRefusedError:
            message = "Dropbox does not take the code: it was used, or has ended. Connect again."
            raise ConsentError(message) from None

    def refresh(self, token: OAuthToken) -> OAuthToken:
        """The refresh token stays the same. `DropboxPermissionError`: it is dead for good."""
        if not token.refresh_token:
            raise DropboxPermissionError("The permission to read Dropbox has ended.")
        form = {"grant_type": "refresh_token", "refresh_token": token.refresh_token}
        try:
            return _token_of(self._ask(form), refresh_token=token.refresh_token)
        except _GrantRefusedError:
            message = "The permission to read was withdrawn in Dropbox, or has ended."
            raise DropboxPermissionError(message) from None

    def revoke(self, token: OAuthToken) -> None:
        """Withdraw the refresh token, and with it every access token that came from it."""
        try:
            if token.is_stale(datetime.now(UTC)) or not self._is_withdrawn(token):
                self._is_withdrawn(self.refresh(token))
        except DropboxPermissionError:
            return

    def _is_withdrawn(self, token: OAuthToken) -> bool:
        """Ask for it; false where this access token is no good for asking."""
        with open_session(self._settings) as session:
            client = open_client(token.access_token, session, self._settings)
            try:
                with call_failures("the withdrawal"):
                    client.auth_token_revoke()
            except TokenRefusedError:
                return False
            return True

    def _ask(self, form: Mapping[str, str]) -> dict[str, Any]:
        """One request to the token endpoint; what it answered. Raises `_GrantRefusedError`."""
        with open_session(self._settings) as session:
            with call_failures("a token"):
                try:
                    response = session.post(
                        f"{API}/oauth2/token",
                        data={**form, "client_id": self._app_key},
                        timeout=timeouts(self._settings),
                    )
                except RefusedAnswerError as refused:
                    if refused.status == HTTPStatus.UNAUTHORIZED:
                        raise self._wrong_app() from None
                    raise
                answer = dict(response.json())
            if response.status_code == HTTPStatus.OK:
                return answer
            raise self._refusal(str(answer.get("error")), status=response.status_code)

    def _refusal(self, error: str, *, status: int) -> Exception:
        """RFC 6749 section 5.2; Dropbox puts its description behind some of the codes."""
        if error == "invalid_grant":
            return _GrantRefusedError()
        if error.startswith(("invalid_client", "unauthorized_client")):
            return self._wrong_app()
        return DatasourceConnectError("Dropbox did not give a token.", http_status=status)

    def _wrong_app(self) -> DatasourceConfigurationError:
        return DatasourceConfigurationError(
            "Dropbox does not know the app key in SYNCTABLES_DROPBOX_CLIENT_ID."
        )


def _token_of(answer: Mapping[str, Any], *, refresh_token: str | None) -> OAuthToken:
    """A token that is renewed has no new refresh token: the one that was used goes on."""
    try:
        lasts = timedelta(seconds=int(answer["expires_in"])) if "expires_in" in answer else None
        return OAuthToken(
            access_token=str(answer["access_token"]),
            refresh_token=answer.get("refresh_token") or refresh_token,
            expires_at=datetime.now(UTC) + lasts if lasts else None,
        )
    except (KeyError, TypeError, ValueError):
        raise DatasourceConnectError("Dropbox did not give a token.") from None
