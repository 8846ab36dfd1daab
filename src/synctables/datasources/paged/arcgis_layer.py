"""What an ArcGIS server says of its layers and of its errors: pure.

Source: the ArcGIS REST API's "Layer (Feature Service)", "Layer / Table (Map Service)" and
"Error response".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synctables.datasources.http_errors import parse_retry_after
from synctables.errors import (
    ArcgisQueryError,
    ArcgisVersionError,
    DownloadError,
    DownloadRefusedError,
    FileNotFoundAtSourceError,
    ForbiddenSourceError,
    RunError,
    UnknownSridError,
)

if TYPE_CHECKING:
    from datetime import datetime

_FIRST_VERSION = 10.1
_FORBIDDEN = (401, 403, 498, 499)
_NOT_FOUND = 404
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_UNSUPPORTED = ("operation is not supported", "capability is not supported")
_LONGEST_TEXT = 300
_WGS84 = (4326, None)
_WGS84_NAMES = ("4326", "CRS84")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What has to be known of a layer to read it."""

    name: str
    date_fields: frozenset[str]
    """Their values are epoch milliseconds."""
    most_features: int | None
    """That one answer may hold (``maxRecordCount``)."""
    speaks_geojson: bool

    @classmethod
    def of(cls, found: dict[str, Any], *, address: str) -> Layer:
        """Raises `ArcgisVersionError`, or `ArcgisQueryError` where the layer cannot be asked."""
        check_version(found, address=address)
        capabilities = found.get("capabilities")
        if isinstance(capabilities, str) and "query" not in _words(capabilities):
            raise ArcgisQueryError(f"{address} does not offer queries.")
        fields = [field for field in found.get("fields") or [] if isinstance(field, dict)]
        most = found.get("maxRecordCount")
        return cls(
            name=str(found.get("name") or ""),
            date_fields=frozenset(
                str(field.get("name"))
                for field in fields
                if field.get("type") == "esriFieldTypeDate"
            ),
            most_features=most if isinstance(most, int) and most > 0 else None,
            speaks_geojson="geojson" in _words(str(found.get("supportedQueryFormats") or "")),
        )


def check_version(found: dict[str, Any], *, address: str) -> None:
    """Raise `ArcgisVersionError` unless the server says that it is 10.1 or newer."""
    version = found.get("currentVersion")
    if not isinstance(version, int | float) or version < _FIRST_VERSION:
        said = f"is version {version}" if version is not None else "does not say its version"
        raise ArcgisVersionError(f"The ArcGIS server of {address} {said}; 10.1 is needed.")


def feature_layers(found: dict[str, Any]) -> list[tuple[int, str]]:
    """Number and name of a service's feature layers; groups and rasters are none."""
    layers = [layer for layer in found.get("layers") or [] if isinstance(layer, dict)]
    return [
        (layer["id"], str(layer.get("name") or layer["id"]))
        for layer in layers
        if isinstance(layer.get("id"), int)
        and layer.get("type", "Feature Layer") == "Feature Layer"
        and not layer.get("subLayerIds")
    ]


def check_projection(found: dict[str, Any], *, address: str) -> None:
    """Raise `UnknownSridError` where an answer is not in EPSG:4326 although it was asked for."""
    reference = found.get("spatialReference") or {}
    crs = ((found.get("crs") or {}).get("properties") or {}).get("name") or ""
    is_wgs84 = reference.get("wkid") in _WGS84 or reference.get("latestWkid") == _WGS84[0]
    if not is_wgs84 or (crs and not str(crs).endswith(_WGS84_NAMES)):
        raise UnknownSridError(f"{address} does not bring its coordinates to EPSG:4326.")


def arcgis_error(
    error: object, *, address: str, status: int, retry_after: str | None, now: datetime
) -> RunError:
    """The error inside an answer, which often is a 200: ``{"error": {"code": …}}``."""
    given = error if isinstance(error, dict) else {"message": str(error)}
    given_code = given.get("code")
    code = given_code if isinstance(given_code, int) else None
    details = given.get("details") or []
    said = [given.get("message"), *(details if isinstance(details, list) else [details])]
    text = " ".join(dict.fromkeys(str(one).strip() for one in said if one))[:_LONGEST_TEXT]
    message = f"{address} answered: {text or 'an error without a text'} (code {code})."
    if any(words in text.lower() for words in _UNSUPPORTED):
        return ArcgisQueryError(message, http_status=status)
    if code in _FORBIDDEN:
        return ForbiddenSourceError(message, http_status=status)
    if code == _NOT_FOUND or "invalid url" in text.lower():
        return FileNotFoundAtSourceError(message, http_status=status)
    if code is None or code == _TOO_MANY_REQUESTS or code >= _SERVER_ERROR:
        seconds = parse_retry_after(retry_after, now=now)
        return DownloadError(message, http_status=status, retry_after_seconds=seconds)
    return DownloadRefusedError(message, http_status=status)


def _words(text: str) -> set[str]:
    return {word.strip().lower() for word in text.split(",")}
