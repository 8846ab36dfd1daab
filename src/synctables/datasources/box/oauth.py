"""This installation at Box's OAuth 2 endpoints.

Scopes are those of the app at Box, so none is asked for here: docs/guides/box.md says which to
choose. Box documents no PKCE; its parameters are sent all the same, since a server ignores what it
does not know (RFC 6749 section 3.1), and one day it may look.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlencode

from box_sdk_gen import AccessToken, BoxAPIError, FetchOptions, ResponseFormat
from box_sdk_gen.serialization.json import deserialize

from synctables.datasources.box.answers import answer_error, ask, is_lost
from synctables.datasources.box.sdk import open_network
from synctables.datasources.drives.code_grant import consent_parameters, redemption_form
from synctables.datasources.drives.model import OAuthToken
from synctables.errors import (
    BoxPermissionError,
    ConsentError,
    DatasourceConfigurationError,
    DatasourceConnectError,
    DriveForbiddenError,
    RunError,
)

if TYPE_CHECKING:
    from synctables.settings import Settings

_AUTHORIZE = "https://account.box.com"
_MOST_REFRESHES = 3


class _RefusedError(Exception):
    """Box's token endpoint said no; ``error`` is the code of RFC 6749 section 5.2."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class BoxOAuthClient:
    """See `OAuthClient`. ``settings`` hold the app's id and secret."""

    def __init__(self, settings: Settings) -> None:
        secret = settings.box_client_secret
        self._settings = settings
        self._client_id = settings.box_client_id or ""
        self._client_secret = secret.get_secret_value() if secret else ""

    def authorization_url(self, *, state: str, code_verifier: str, redirect_uri: str) -> str:
        """Where the user consents."""
        query = consent_parameters(
            client_id=self._client_id,
            state=state,
            code_verifier=code_verifier,
            redirect_uri=redirect_uri,
        )
        server = (self._settings.box_endpoint or _AUTHORIZE).rstrip("/")
        return f"{server}/api/oauth2/authorize?{urlencode(query)}"

    def redeem(self, code: str, *, code_verifier: str, redirect_uri: str) -> OAuthToken:
        """The token for a code, which Box takes once and for 30 seconds only.

        Raises `ConsentError` where Box does not take it.
        """
        form = redemption_form(code, code_verifier=code_verifier, redirect_uri=redirect_uri)
        try:
            return self._ask_token(form)
        except _RefusedError as refused:
            if refused.error == "invalid_grant":
                message = "Box did not take the code: it lasts for 30 seconds, and once. Try again."
                raise ConsentError(message) from None
            _raise_app_trouble(refused)

    def refresh(self, token: OAuthToken) -> OAuthToken:
        """The next token, after which the old one is worth nothing.

        Where the answer was lost, Box is asked again at once: as long as nobody has used what it
        gave, it gives the same pair again for the same old token
        (https://support.box.com/hc/en-us/community/posts/15765421154323). Raises
        `BoxPermissionError` where the old one is dead.
        """
        if not token.refresh_token:
            raise _dead()
        form = {"grant_type": "refresh_token", "refresh_token": token.refresh_token}
        attempts = 0
        while True:
            attempts += 1
            try:
                return self._ask_token(form)
            except _RefusedError as refused:
                if refused.error == "invalid_grant":
                    raise _dead() from None
                _raise_app_trouble(refused)
            except RunError as error:
                has_to_wait = getattr(error, "retry_after_seconds", None)
                if has_to_wait or not is_lost(error) or attempts == _MOST_REFRESHES:
                    raise

    def revoke(self, token: OAuthToken) -> None:
        """Withdraw the consent. Either token stands for it, and the access token may have ended."""
        for one in (token.refresh_token, token.access_token):
            if one:
                self._revoke_one(one)

    def _revoke_one(self, token: str) -> None:
        try:
            self._post("/oauth2/revoke", {"token": token}, ResponseFormat.NO_CONTENT)
        except _RefusedError as refused:
            if refused.error == "invalid_client":
                _raise_app_trouble(refused)

    def _ask_token(self, form: Mapping[str, str]) -> OAuthToken:
        asked_at = datetime.now(UTC)
        answer = self._post("/oauth2/token", form, ResponseFormat.JSON)
        if not answer.access_token:
            raise DatasourceConnectError("Box answered without a token.")
        lasts = timedelta(seconds=answer.expires_in) if answer.expires_in else None
        return OAuthToken(
            access_token=answer.access_token,
            refresh_token=answer.refresh_token,
            expires_at=asked_at + lasts if lasts else None,
        )

    def _post(self, path: str, form: Mapping[str, str], shape: ResponseFormat) -> AccessToken:
        """Not by the SDK's own methods for tokens, which know neither PKCE nor redirect_uri."""
        app = {"client_id": self._client_id, "client_secret": self._client_secret}

        def call() -> AccessToken:
            with open_network(self._settings) as network:
                session = network.session
                options = FetchOptions(
                    url=session.base_urls.base_url + path,
                    method="POST",
                    data={**form, **app},
                    content_type="application/x-www-form-urlencoded",
                    response_format=shape,
                    network_session=session,
                )
                try:
                    answer = session.network_client.fetch(options)
                except BoxAPIError as error:
                    raise _refusal(error) from None
            return deserialize(answer.data or {}, AccessToken)

        return ask("a token", call)


def _refusal(error: BoxAPIError) -> Exception:
    """Box's token endpoint answers like RFC 6749 section 5.2, its outages like the rest."""
    code = (error.response_info.body or {}).get("error")
    return _RefusedError(code) if isinstance(code, str) else answer_error(error, "a token")


def _raise_app_trouble(refused: _RefusedError) -> NoReturn:
    """Refusals that are none of the user's; the code is Box's, shortened in case it is not."""
    if refused.error == "unauthorized_client":
        message = "The administrators of this Box account do not allow the app of this server."
        raise DriveForbiddenError(message) from None
    raise DatasourceConfigurationError(
        f"Box does not accept the app of this server ({refused.error[:40]}). Check "
        "SYNCTABLES_BOX_CLIENT_ID and SYNCTABLES_BOX_CLIENT_SECRET: docs/guides/box.md."
    ) from None


def _dead() -> BoxPermissionError:
    return BoxPermissionError(
        "Box takes this account's permission no more: it was withdrawn, or not used for 60 days."
    )
