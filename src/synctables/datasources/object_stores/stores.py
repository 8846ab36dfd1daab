"""One bucket as ``obstore`` opens it, from the operator's settings and nothing else.

Secrets go in as providers: they then stand in no configuration, repr or pickle of the store, and a
store that has a provider asks nobody else, the machine's metadata service least of all.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from synctables.datasources._http import USER_AGENT
from synctables.datasources.object_stores.ambient import forget_ambient_settings
from synctables.errors import DatasourceConfigurationError
from synctables.object_address import ObjectAddress, Place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from obstore.store import (
        AzureAccessKey,
        AzureSASToken,
        AzureStore,
        ClientConfig,
        GCSCredential,
        GCSStore,
        RetryConfig,
        S3Credential,
        S3Store,
    )

    from synctables.settings import Settings

    BucketStore = AzureStore | GCSStore | S3Store

GUIDE = "docs/guides/object-stores.md"
SETTINGS_PREFIXES = {"s3": "SYNCTABLES_S3_", "gs": "SYNCTABLES_GCS_", "az": "SYNCTABLES_AZURE_"}

_WHOLE_REQUEST = timedelta(days=7)
"""The library's own cap of 30 seconds counts the body too. What stalls, the read timeout ends."""
_RETRY_FOR = timedelta(minutes=1)
_FIRST_BACKOFF = timedelta(milliseconds=200)
_NOBODY = "anonymous"


def open_store(where: ObjectAddress | Place, settings: Settings, *, retries: int) -> BucketStore:
    """The bucket of this address or place. Asks nothing yet.

    ``retries``: how often a request is repeated after a 5xx or a lost connection. Raises
    `DatasourceConfigurationError` that names what is missing or wrong.
    """
    forget_ambient_settings()
    try:
        from obstore.exceptions import BaseError  # an extra: imported when used
    except ImportError:
        message = "Object stores need an extra: pip install 'synctables[object-stores]'."
        raise DatasourceConfigurationError(message) from None
    openers: dict[str, Callable[[str, Settings, RetryConfig], BucketStore]] = {
        "s3": _open_s3,
        "gs": _open_gcs,
        "az": _open_azure,
    }
    retry_config: RetryConfig = {
        "max_retries": retries,
        "retry_timeout": _RETRY_FOR,
        "backoff": {"init_backoff": _FIRST_BACKOFF},
    }
    try:
        return openers[where.store](where.bucket, settings, retry_config)
    except (BaseError, ValueError):  # their texts may quote what they cannot read
        names = f"{SETTINGS_PREFIXES[where.store]}…"
        message = f"The settings {names} or SYNCTABLES_DRIVE_CA_FILE cannot be used; see {GUIDE}."
        raise DatasourceConfigurationError(message) from None


def _open_s3(bucket: str, settings: Settings, retry_config: RetryConfig) -> S3Store:
    from obstore.store import S3Store

    endpoint = settings.s3_endpoint
    is_path_style = settings.s3_path_style
    if is_path_style is None:
        is_path_style = endpoint is not None
    key_id, secret = settings.s3_access_key_id, settings.s3_secret_access_key
    config: dict[str, Any] = {
        "region": settings.s3_region,
        "virtual_hosted_style_request": not is_path_style,
        "skip_signature": key_id is None,
    }
    if endpoint:
        scheme, _, host = endpoint.partition("://")
        config["endpoint"] = endpoint if is_path_style else f"{scheme}://{bucket}.{host}"

    def credentials() -> S3Credential:
        return {
            "access_key_id": key_id or _NOBODY,
            "secret_access_key": secret.get_secret_value() if secret else _NOBODY,
            "expires_at": None,
        }

    return S3Store(
        bucket,
        config=config,  # type: ignore[arg-type]  # a dict of its keys
        credential_provider=credentials,
        client_options=_client_options(settings, endpoint),
        retry_config=retry_config,
    )


def _open_gcs(bucket: str, settings: Settings, retry_config: RetryConfig) -> GCSStore:
    from obstore.store import GCSStore

    endpoint, key_file = settings.gcs_endpoint, settings.gcs_service_account_file
    config: dict[str, Any] = {"skip_signature": key_file is None}
    if key_file:
        _check_readable(key_file, "SYNCTABLES_GCS_SERVICE_ACCOUNT_FILE")
        config["service_account"] = str(key_file)
    if endpoint:
        config["base_url"] = endpoint
    client_options = _client_options(settings, endpoint)
    # Else Google decompresses on the way what is stored compressed, and tells no size.
    client_options["default_headers"] = {"Accept-Encoding": "gzip"}

    def nobody() -> GCSCredential:
        """Never asked, as nothing is signed, but the metadata service would be in its place."""
        return {"token": _NOBODY, "expires_at": None}

    return GCSStore(
        bucket,
        config=config,  # type: ignore[arg-type]  # a dict of its keys
        credential_provider=None if key_file else nobody,
        client_options=client_options,
        retry_config=retry_config,
    )


def _open_azure(container: str, settings: Settings, retry_config: RetryConfig) -> AzureStore:
    from obstore.store import AzureStore

    if not settings.azure_account:
        raise DatasourceConfigurationError(f"SYNCTABLES_AZURE_ACCOUNT is not set; see {GUIDE}.")
    key, signature = settings.azure_account_key, settings.azure_sas_token
    config: dict[str, Any] = {
        "account_name": settings.azure_account,
        "skip_signature": not (key or signature),
    }
    if settings.azure_endpoint:
        config["endpoint"] = settings.azure_endpoint

    def credentials() -> AzureAccessKey | AzureSASToken:
        if signature:
            sas_token = signature.get_secret_value().removeprefix("?")
            return {"sas_token": sas_token, "expires_at": None}
        return {"access_key": key.get_secret_value() if key else "", "expires_at": None}

    return AzureStore(
        container,
        config=config,  # type: ignore[arg-type]  # a dict of its keys
        credential_provider=credentials,
        client_options=_client_options(settings, settings.azure_endpoint),
        retry_config=retry_config,
    )


def _client_options(settings: Settings, endpoint: str | None) -> ClientConfig:
    options: ClientConfig = {
        "allow_http": (endpoint or "").startswith("http://"),
        "connect_timeout": timedelta(seconds=settings.connect_timeout_seconds),
        "read_timeout": timedelta(seconds=settings.idle_timeout_seconds),
        "timeout": _WHOLE_REQUEST,
        "user_agent": USER_AGENT,
        # A proxy for nobody: where none is set, the library takes those of the environment.
        "proxy_url": "http://127.0.0.1:9",
        "proxy_excludes": "*",
    }
    if endpoint and settings.drive_ca_file:
        _check_readable(settings.drive_ca_file, "SYNCTABLES_DRIVE_CA_FILE")
        options["root_certificate"] = settings.drive_ca_file.read_bytes()
    return options


def _check_readable(path: Path, setting: str) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise DatasourceConfigurationError(f"The file of {setting}: {reason}.") from None
