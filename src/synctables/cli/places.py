"""Where this machine keeps things: the data directory, the database, the server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from synctables.errors import ConfigurationError, InvalidRequestError

if TYPE_CHECKING:
    from synctables.cli.client import Client
    from synctables.settings import Settings


def read_settings(data_dir: Path | None) -> Settings:
    """The environment's settings; a ``--data-dir`` wins."""
    from synctables.settings import load_settings

    return load_settings(data_dir=data_dir)


def data_directory(settings: Settings) -> Path:
    """The data directory, absolute; it need not exist."""
    from synctables.localpg import default_data_dir

    return (settings.data_dir or default_data_dir()).expanduser().resolve()


def find_database_url(settings: Settings) -> str:
    """The database of ``SYNCTABLES_DATABASE_URL``, else that of the `serve` that runs here.

    Raises `ConfigurationError` when neither is there.
    """
    if settings.database_url:
        return settings.database_url
    from synctables.localpg import local_database_url

    return local_database_url(data_directory(settings))


def find_client(*, server: str | None, api_key: str | None, data_dir: Path | None) -> Client:
    """A client of the named server, else of the `serve` that runs on this machine.

    The local key only ever goes to the address it was written with.
    Raises `ConfigurationError` when an address or a key is missing.
    """
    from synctables.cli.client import Client
    from synctables.cli.local_access import read_local_access

    server = server.rstrip("/") if server else None
    key = _checked(api_key)
    if server and key:
        return Client(server=server, api_key=key)
    directory = data_directory(read_settings(data_dir))
    local = read_local_access(directory)
    if local is not None and server in (None, local.server):
        return Client(server=local.server, api_key=key or local.api_key)
    if server:
        raise ConfigurationError(f"No key for {server}: give --api-key or set SYNCTABLES_API_KEY.")
    raise ConfigurationError(
        f"No `synctables serve` runs on {directory}. Start one, or give --server and --api-key."
    )


def _checked(api_key: str | None) -> str | None:
    key = (api_key or "").strip()
    if key and not (key.isascii() and key.isprintable()):
        raise InvalidRequestError("The API key holds characters that no key has.")
    return key or None
