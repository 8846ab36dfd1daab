"""Every setting, declared once; read once at start and passed in."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from synctables.errors import ConfigurationError
from synctables.object_address import Place

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK: tuple[Network, ...] = (
    ipaddress.IPv4Network("127.0.0.0/8"),
    ipaddress.IPv6Network("::1/128"),
)

_PREFIX = "SYNCTABLES_"


class Settings(BaseSettings):
    """Settings of one process. Each is read from ``SYNCTABLES_<NAME>``; empty means unset."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_ignore_empty=True, frozen=True)

    database_url: str | None = Field(
        default=None,
        description="libpq URL of a PostgreSQL >= 14 with PostGIS >= 3.2; unset: a private cluster",
    )
    data_dir: Path | None = Field(
        default=None, description="where the private cluster, workspaces and local keys live"
    )
    domain: str | None = Field(
        default=None, description="below this domain the sub-domain names the account"
    )
    allowed_networks: Annotated[tuple[Network, ...], NoDecode] = Field(
        default=(),
        description="comma-separated CIDRs that may be fetched from although private",
    )
    minimum_interval_seconds: int = Field(
        default=900, ge=1, description="the shortest interval a sync may have"
    )
    sync_now_seconds: int = Field(
        default=900, ge=0, description="how long after an attempt a run cannot be forced"
    )
    max_file_bytes: int = Field(
        default=20_000_000_000, gt=0, description="largest file, fetched or unpacked"
    )
    connect_timeout_seconds: float = Field(
        default=60.0, gt=0, description="how long a connection to a source may take"
    )
    idle_timeout_seconds: float = Field(
        default=60.0, gt=0, description="how long a source may send nothing"
    )
    read_timeout_seconds: float = Field(
        default=3600.0, gt=0, description="how long unpack, read and infer may take together"
    )
    sandbox_memory_bytes: int = Field(
        default=4_000_000_000, gt=0, description="memory of the child that reads files"
    )
    run_concurrency: int = Field(default=2, ge=1, description="runs at once in one worker")
    preview_concurrency: int = Field(
        default=1, ge=1, description="previews at once in one worker, beside its runs"
    )
    runs_per_account: int = Field(
        default=3,
        ge=1,
        description="runs of one account at once, over all workers, where its plan does not say; "
        "others wait",
    )
    check_concurrency: int = Field(
        default=4, ge=1, description="batches of checks at once in one worker, beside its runs"
    )
    check_timeout_seconds: float = Field(
        default=30.0, gt=0, description="how long a source may take to say whether it changed"
    )
    connections: int = Field(
        default=100,
        ge=1,
        description="connections to sources at once, for runs and for checks each",
    )
    connections_per_host: int = Field(
        default=6, ge=1, description="of these, connections to one host and port"
    )
    preview_wait_seconds: float = Field(
        default=55.0, ge=0, description="how long the call for a preview may wait for its result"
    )
    api_calls_per_minute: int | None = Field(
        default=None,
        gt=0,
        description="calls that one account may make of one API process; unset: any number",
    )
    public_url: str | None = Field(
        default=None,
        description="where browsers reach this server, for the way back from a cloud service; "
        "unset: drives can be connected on this machine only",
    )
    token_keys: SecretStr | None = Field(
        default=None,
        description="keys that seal tokens of cloud services, newest first, separated by commas",
    )
    gdrive_client_id: str | None = Field(default=None, description="OAuth client of Google Drive")
    gdrive_client_secret: SecretStr | None = Field(default=None, description="its secret")
    gdrive_service_account_file: Path | None = Field(
        default=None, description="key of a Google service account that reads for every account"
    )
    gdrive_endpoint: str | None = Field(
        default=None, description="another server that speaks Google's APIs"
    )
    dropbox_client_id: str | None = Field(default=None, description="app key at Dropbox")
    dropbox_client_secret: SecretStr | None = Field(
        default=None, description="its secret, which is not needed: consent goes by PKCE"
    )
    dropbox_endpoint: str | None = Field(
        default=None, description="another server that speaks Dropbox's APIs"
    )
    box_client_id: str | None = Field(default=None, description="OAuth client of Box")
    box_client_secret: SecretStr | None = Field(default=None, description="its secret")
    box_endpoint: str | None = Field(
        default=None, description="another server that speaks Box's APIs"
    )
    drive_ca_file: Path | None = Field(
        default=None, description="certificates (PEM) to trust at the endpoints set here"
    )
    object_store_places: Annotated[tuple[Place, ...], NoDecode] = Field(
        default=(),
        description="comma-separated places in object stores that accounts may read, such as "
        "s3://bucket/prefix, gs://bucket or az://container; unset: none",
    )
    s3_endpoint: str | None = Field(
        default=None, description="another server that speaks S3; unset: Amazon's"
    )
    s3_region: str = Field(default="us-east-1", description="region of the S3 buckets")
    s3_access_key_id: str | None = Field(
        default=None, description="key that reads at S3; unset: requests are not signed"
    )
    s3_secret_access_key: SecretStr | None = Field(default=None, description="its secret")
    s3_path_style: bool | None = Field(
        default=None,
        description="buckets in the path of S3's addresses, not in the host name; unset: where "
        "another server is set",
    )
    gcs_service_account_file: Path | None = Field(
        default=None,
        description="key of a Google service account that reads gs://; unset: requests are not "
        "signed",
    )
    gcs_endpoint: str | None = Field(
        default=None, description="another server that speaks Google Cloud Storage's XML API"
    )
    azure_account: str | None = Field(
        default=None, description="storage account that az:// addresses are in"
    )
    azure_account_key: SecretStr | None = Field(
        default=None, description="one of its access keys; unset, and no SAS token: not signed"
    )
    azure_sas_token: SecretStr | None = Field(
        default=None, description="a shared access signature instead of an access key"
    )
    azure_endpoint: str | None = Field(
        default=None, description="another server that speaks Azure Blob Storage"
    )
    metrics_networks: Annotated[tuple[Network, ...], NoDecode] = Field(
        default=LOOPBACK,
        description="comma-separated CIDRs that may read /metrics without a token",
    )
    metrics_token: SecretStr | None = Field(
        default=None, description="Bearer token that may read /metrics from anywhere"
    )
    metrics_accounts: bool = Field(
        default=False, description="metrics of each account, by its name, as well"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="DEBUG, INFO, WARNING or ERROR"
    )
    log_json: bool = Field(default=False, description="logs as JSON lines")

    @field_validator("database_url")
    @classmethod
    def _check_address(cls, value: str | None) -> str | None:
        try:
            conninfo_to_dict(value or "")
        except ProgrammingError:  # its text would quote the address, password included
            raise ValueError(
                "it must be a libpq address such as postgresql://user:password@host:5432/database"
            ) from None
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _raise_case(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("allowed_networks", "metrics_networks", mode="before")
    @classmethod
    def _split_networks(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(
            ipaddress.ip_network(part.strip(), strict=False)
            for part in value.split(",")
            if part.strip()
        )

    @field_validator("object_store_places", mode="before")
    @classmethod
    def _split_places(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(_parse_place(part.strip()) for part in value.split(",") if part.strip())

    @field_validator("gdrive_endpoint", "dropbox_endpoint", "box_endpoint")
    @classmethod
    def _check_drive_endpoint(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).scheme != "https":
            raise ValueError("it must begin with https://, as tokens go there")
        return value

    @field_validator(
        "public_url",
        *("gdrive_endpoint", "dropbox_endpoint", "box_endpoint"),
        *("s3_endpoint", "gcs_endpoint", "azure_endpoint"),
    )
    @classmethod
    def _check_endpoint(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        is_plain = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
        if not is_plain or parts.query or parts.fragment:
            raise ValueError("it must be an address such as https://storage.example.org")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _check_object_stores(self) -> Self:
        if (self.s3_access_key_id is None) != (self.s3_secret_access_key is None):
            raise ValueError(
                f"{_PREFIX}S3_ACCESS_KEY_ID and {_PREFIX}S3_SECRET_ACCESS_KEY belong together"
            )
        if self.azure_account_key and self.azure_sas_token:
            raise ValueError(
                f"{_PREFIX}AZURE_ACCOUNT_KEY and {_PREFIX}AZURE_SAS_TOKEN exclude each other"
            )
        if not self.azure_account and any(one.store == "az" for one in self.object_store_places):
            raise ValueError(
                f"{_PREFIX}OBJECT_STORE_PLACES lists az://, which needs {_PREFIX}AZURE_ACCOUNT"
            )
        return self


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment; ``overrides`` (command-line options) win where not None.

    Raises `ConfigurationError` that names each wrong variable.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        problems = "; ".join(
            _variable(item["loc"]) + item["msg"].removeprefix("Value error, ")
            for item in error.errors()
        )
        raise ConfigurationError(f"Wrong settings: {problems}") from error


def _variable(location: tuple[int | str, ...]) -> str:
    """Empty where several variables do not fit together: the message names them."""
    name = ".".join(str(part) for part in location).upper()
    return f"{_PREFIX}{name}: " if name else ""


def _parse_place(text: str) -> Place:
    try:
        return Place.parse(text)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None
