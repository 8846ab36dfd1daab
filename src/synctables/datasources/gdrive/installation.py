"""What the operator's settings say of Google: where it is, and as whom this server comes."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from synctables.errors import ConfigurationError
from synctables.settings import Settings

GUIDE = "docs/guides/gdrive.md"
SCOPE = "https://www.googleapis.com/auth/drive.readonly"
"""The smallest that reads files which the user did not pick in a window of Google's own."""


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """Where Google's APIs are. ``ca_file``: whom to trust there; None: the usual authorities."""

    api: str = "https://www.googleapis.com/drive/v3/"
    consent: str = "https://accounts.google.com/o/oauth2/v2/auth"
    token: str = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address
    revocation: str = "https://oauth2.googleapis.com/revoke"
    ca_file: str | None = None

    def trusts(self, url: str) -> bool:
        """Whether the account's access token may be sent there."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        own = urlsplit(self.api)
        is_ours = (host, parts.port) == (own.hostname, own.port)
        return parts.scheme == "https" and (is_ours or host == "docs.google.com")


@dataclass(frozen=True, kw_only=True)
class Client:
    """This installation as Google knows it."""

    id: str
    secret: str = field(repr=False)


def endpoints(settings: Settings) -> Endpoints:
    """Google's own, or those of the one server in ``gdrive_endpoint``."""
    if settings.gdrive_endpoint is None:
        return Endpoints()
    base = settings.gdrive_endpoint.rstrip("/")
    return Endpoints(
        api=f"{base}/drive/v3/",
        consent=f"{base}/o/oauth2/v2/auth",
        token=f"{base}/token",
        revocation=f"{base}/revoke",
        ca_file=str(settings.drive_ca_file) if settings.drive_ca_file else None,
    )


def oauth_client(settings: Settings) -> Client:
    """Raises `ConfigurationError` that names what is missing."""
    secret = settings.gdrive_client_secret
    missing = [
        name
        for name, value in (
            ("SYNCTABLES_GDRIVE_CLIENT_ID", settings.gdrive_client_id),
            ("SYNCTABLES_GDRIVE_CLIENT_SECRET", secret and secret.get_secret_value()),
        )
        if not value
    ]
    if missing or not settings.gdrive_client_id or not secret:
        message = f"Google Drive is not set up: {' and '.join(missing)} missing. See {GUIDE}."
        raise ConfigurationError(message)
    return Client(id=settings.gdrive_client_id, secret=secret.get_secret_value())
