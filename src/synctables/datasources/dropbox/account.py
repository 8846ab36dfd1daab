"""One user's Dropbox: calls of the SDK with a token that is good, below the right root.

A member of a team with a space of its own has two roots; paths and listings begin at the team's,
as on the web, so that team folders are found. https://developers.dropbox.com/dbx-team-files-guide
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from synctables.datasources.dropbox.failures import TokenRefusedError, call_failures
from synctables.datasources.dropbox.session import open_client, open_session
from synctables.errors import DropboxPermissionError

if TYPE_CHECKING:
    from synctables.datasources.drives.model import OAuthClient, OAuthToken, Tokens
    from synctables.settings import Settings

Result = TypeVar("Result")
Request = Callable[[Any], Result]
"""What is asked of a client of the SDK (``dropbox.Dropbox``)."""


class Account:
    """One user at Dropbox. May be used from several threads, each on a visit of its own."""

    def __init__(self, settings: Settings, tokens: Tokens, oauth: OAuthClient) -> None:
        self._settings = settings
        self._tokens = tokens
        self._oauth = oauth
        self._root: str | None = None
        self._is_root_known = False

    @contextmanager
    def visit(self) -> Iterator[Visit]:
        """Ask Dropbox a few things over the same connections, which end with the block."""
        with open_session(self._settings) as session:
            yield Visit(self, session)

    def client(self, token: OAuthToken, session: Any) -> Any:
        return open_client(token.access_token, session, self._settings)

    def good_token(self) -> OAuthToken:
        """The current one, renewed where it has ended."""
        token = self._tokens.current()
        return self.renewed(token) if token.is_stale(datetime.now(UTC)) else token

    def renewed(self, token: OAuthToken) -> OAuthToken:
        try:
            return self._tokens.renew(token, self._oauth.refresh)
        except DropboxPermissionError:
            self._tokens.discard(token)
            raise

    def refused(self, token: OAuthToken, about: str) -> DropboxPermissionError:
        """A token that was renewed and is not taken either is dead."""
        self._tokens.discard(token)
        message = f"Dropbox takes the token no more: {about} cannot be read."
        return DropboxPermissionError(message, http_status=401)

    def rooted(self, client: Any) -> Any:
        """``client`` below the user's root, which is asked for once."""
        from dropbox.common import PathRoot

        if not self._is_root_known:
            self.learn_root(client.users_get_current_account().root_info)
        return client.with_path_root(PathRoot.root(self._root)) if self._root else client

    def learn_root(self, root_info: Any) -> None:
        is_apart = root_info.root_namespace_id != root_info.home_namespace_id
        self._root = root_info.root_namespace_id if is_apart else None
        self._is_root_known = True


class Visit:
    """Asks Dropbox as one user. Blocks."""

    def __init__(self, account: Account, session: Any) -> None:
        self._account = account
        self._session = session

    def call(self, request: Request[Result], *, about: str) -> Result:
        """What ``request`` returns; a token that has ended is renewed once, and it is repeated.

        ``about`` names in messages what is asked for. Raises a `RunError`; where the permission
        is gone, `DropboxPermissionError`, after the token was discarded.
        """
        token = self._account.good_token()
        try:
            return self._ask(request, token, about)
        except TokenRefusedError:
            token = self._account.renewed(token)
        try:
            return self._ask(request, token, about)
        except TokenRefusedError:
            raise self._account.refused(token, about) from None

    def _ask(self, request: Request[Result], token: OAuthToken, about: str) -> Result:
        """Below the user's root; where it has changed (422), below the new one."""
        from dropbox.exceptions import PathRootError

        client = self._account.client(token, self._session)
        with call_failures(about):
            try:
                return request(self._account.rooted(client))
            except PathRootError as error:
                if not (error.error and error.error.is_invalid_root()):
                    raise
                self._account.learn_root(error.error.get_invalid_root())
            return request(self._account.rooted(client))
