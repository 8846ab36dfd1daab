"""Box: files of a user's account, by Box's own SDK, which is imported only when it is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from synctables.errors import ConfigurationError

if TYPE_CHECKING:
    from synctables.datasources.box.datasource import BoxDatasource
    from synctables.datasources.box.oauth import BoxOAuthClient
    from synctables.datasources.drives.model import Drive, Tokens
    from synctables.settings import Settings

_SDK = ("box_sdk_gen", "requests")


class BoxDrive:
    """Box as one of the cloud drives."""

    name = "box"
    title = "Box"

    def needs_consent(self, settings: Settings) -> bool:
        return True

    def oauth_client(self, settings: Settings) -> BoxOAuthClient:
        """Raises `ConfigurationError` that names the missing settings or the missing extra."""
        _check_settings(settings)
        with _sdk_wanted():
            from synctables.datasources.box.oauth import BoxOAuthClient
        return BoxOAuthClient(settings)

    def datasource(self, settings: Settings, tokens: Tokens) -> BoxDatasource:
        """The account that ``tokens`` are of. Raises `ConfigurationError` like `oauth_client`."""
        oauth = self.oauth_client(settings)
        with _sdk_wanted():
            from synctables.datasources.box.datasource import BoxDatasource
        return BoxDatasource(settings, tokens, oauth)


DRIVE: Drive = BoxDrive()


def _check_settings(settings: Settings) -> None:
    values = {
        "SYNCTABLES_BOX_CLIENT_ID": settings.box_client_id,
        "SYNCTABLES_BOX_CLIENT_SECRET": settings.box_client_secret,
    }
    missing = [name for name, value in values.items() if not value]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise ConfigurationError(
            f"Box cannot be used: {' and '.join(missing)} {verb} not set. "
            "docs/guides/box.md shows how to get them."
        )


@contextmanager
def _sdk_wanted() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _SDK:
            raise
        raise ConfigurationError(
            "Box cannot be used: its SDK is not installed. "
            "Install it with: pip install 'synctables[box]'"
        ) from error
