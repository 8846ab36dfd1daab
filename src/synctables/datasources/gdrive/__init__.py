"""Google Drive, on Google's own SDK (the extra ``gdrive``), which is imported only when used.

``installation``  which endpoints, client and key the operator's settings name
``oauth``         the user's consent, and the tokens that come of it
``readers``       as whom files are read
``client``        one reader's calls, by the SDK, over one session
``refusals``      what Google's answers mean, as our errors
``reference``     what ``service_item_id`` may be: an id, a path, a link
``drive_file``    one file as Google describes it
``paths``         from a path to a file       ``listing``   the files to choose from
``datasource``    probe, fetch, list          ``delivery``  the bytes of one file
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from synctables.errors import ConfigurationError

if TYPE_CHECKING:
    from synctables.datasources.base import Datasource
    from synctables.datasources.drives.model import OAuthClient, Tokens
    from synctables.settings import Settings


class GoogleDrive:
    """The drive as `Drive` wants it."""

    name = "gdrive"
    title = "Google Drive"

    def oauth_client(self, settings: Settings) -> OAuthClient:
        """Raises `ConfigurationError` without client id, secret, or the SDK."""
        _require_sdk()
        from synctables.datasources.gdrive.oauth import GoogleOAuthClient

        return GoogleOAuthClient(settings)

    def datasource(self, settings: Settings, tokens: Tokens) -> Datasource:
        """What the account's consent opens, or the operator's service account, where one is set.

        Raises `ConfigurationError` where neither is set up, or without the SDK.
        """
        _require_sdk()
        from synctables.datasources.gdrive.client import open_account
        from synctables.datasources.gdrive.datasource import GoogleDriveDatasource

        return GoogleDriveDatasource(settings, open_account(settings, tokens))

    def needs_consent(self, settings: Settings) -> bool:
        """Whether an account must connect first; a service account reads for all of them."""
        return settings.gdrive_service_account_file is None


DRIVE: Final = GoogleDrive()


def _require_sdk() -> None:
    try:
        import google_auth_oauthlib.flow  # noqa: F401
        import googleapiclient.discovery  # noqa: F401
    except ImportError as error:
        message = "Google Drive needs its SDK: pip install 'synctables[gdrive]'"
        raise ConfigurationError(message) from error
