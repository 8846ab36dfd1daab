"""Dropbox, through its official SDK, which is imported only once something is asked of it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from synctables.datasources.drives.model import Drive, OAuthClient, Tokens
from synctables.errors import ConfigurationError

if TYPE_CHECKING:
    from synctables.datasources.base import Datasource
    from synctables.datasources.drives.model import Drive, OAuthClient, Tokens
    from synctables.settings import Settings

__all__ = ["DRIVE"]

_GUIDE = "docs/guides/dropbox.md"


class _Dropbox:
    """Dropbox as a `Drive`."""

    name = "dropbox"
    title = "Dropbox"

    def needs_consent(self, settings: Settings) -> bool:
        return True

    def oauth_client(self, settings: Settings) -> OAuthClient:
        _check(settings)
        from synctables.datasources.dropbox.oauth import DropboxOAuthClient

        return DropboxOAuthClient(settings)

    def datasource(self, settings: Settings, tokens: Tokens) -> Datasource:
        _check(settings)
        from synctables.datasources.dropbox.account import Account
        from synctables.datasources.dropbox.datasource import DropboxDatasource
        from synctables.datasources.dropbox.oauth import DropboxOAuthClient

        account = Account(settings, tokens, DropboxOAuthClient(settings))
        return DropboxDatasource(account, max_bytes=settings.max_file_bytes)


def _check(settings: Settings) -> None:
    if not settings.dropbox_client_id:
        raise ConfigurationError(
            "Dropbox is not set up on this server: SYNCTABLES_DROPBOX_CLIENT_ID is missing. "
            f"{_GUIDE} shows how to get it."
        )
    if not _is_installed():
        raise ConfigurationError(
            f"The SDK of Dropbox is not installed: pip install 'synctables[dropbox]' ({_GUIDE})."
        )


def _is_installed() -> bool:
    """Found, not imported: the SDK takes a second to import."""
    try:
        return find_spec("dropbox") is not None
    except ValueError:  # what the interpreter says where a None stands for the module
        return False


DRIVE: Drive = _Dropbox()
