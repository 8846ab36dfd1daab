"""One user's Dropbox: calls of the SDK with a token that is good, below the right root.

A member of a team with a space of its own has two roots; paths and listings begin at the team's,
as on the web, so that team folders are found. https://developers.dropbox.com/dbx-team-files-guide
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from synctables.datasources.dropbox.failures import TokenRefusedError, call_failures
from synctables.datasources.dropbox.session import open_session, timeouts
from synctables.errors import DropboxPermissionError

if TYPE_CHECKING:
    from synctables.datasources.drives.model import OAuthClient, OAuthToken, Tokens
    from synctables.settings import Settings

Result = TypeVar("Result")
Request = Callable[[Any], Result]
"""What is asked of a client of the SDK (``dropbox.Dropbox``)."""


class Account:
    """Asks Dropbox as one user. Blocks; may be used from several threads."""

    def __init__(self, settings: Settings, tokens: Tokens, oauth: OAuthClient) -> None:
        self._settings = settings
        self._tokens = tokens
        self._oauth = oauth
        self._session: Any = None
        self._root: str | None = None
        self._is_root_known = False

    def call(self, request: Request[Result], *, about: str) -> Result:
        """What ``request`` returns; a token that has ended is renewed once, and it is repeated.

        ``about`` names in messages what is asked for. Raises a `RunError`; where the permission
        is gone, `DropboxPermissionError`, after the token was discarded.
        """
        token = self._tokens.current()
        if token.is_stale(datetime.now(UTC)):
            token = self._renewed(token)
        try:
            return self._below_root(request, token, about)
        except TokenRefusedError:
            token = self._renewed(token)
        try:
            return self._below_root(request, token, about)
        except TokenRefusedError:
            self._tokens.discard(token)
            message = f"Dropbox takes the token no more: {about} cannot be read."
            raise DropboxPermissionError(message, http_status=401) from None

    def _renewed(self, token: OAuthToken) -> OAuthToken:
        try:
            return self._tokens.renew(token, self._oauth.refresh)
        except DropboxPermissionError:
            self._tokens.discard(token)
            raise

    def _below_root(self, request: Request[Result], token: OAuthToken, about: str) -> Result:
        """Ask below the user's root; where it has changed (422), below the new one."""
        from dropbox.exceptions import PathRootError

        client = self._client(token)
        with call_failures(about):
            if not self._is_root_known:
                self._learn_root(client.users_get_current_account().root_info)
            try:
                return request(self._rooted(client))
            except PathRootError as error:
                if not (error.error and error.error.is_invalid_root()):
                    raise
                self._learn_root(error.error.get_invalid_root())
            return request(self._rooted(client))

    def _client(self, token: OAuthToken) -> Any:
        """The SDK, which neither renews tokens nor tries again: both are decided elsewhere."""
        from dropbox import Dropbox

        self._session = self._session or open_session(self._settings)
        return Dropbox(
            token.access_token,
            session=self._session,
            timeout=timeouts(self._settings),
            max_retries_on_error=0,
            max_retries_on_rate_limit=0,
        )

    def _learn_root(self, root_info: Any) -> None:
        is_apart = root_info.root_namespace_id != root_info.home_namespace_id
        self._root = root_info.root_namespace_id if is_apart else None
        self._is_root_known = True

    def _rooted(self, client: Any) -> Any:
        from dropbox.common import PathRoot

        return client.with_path_root(PathRoot.root(self._root)) if self._root else client
