"""WFS: the features of a GetFeature request, page by page.

Sources: OGC 09-025r2, "Web Feature Service 2.0", sections 7.7.4.4 (response paging) and 7.5
(exceptions); GeoServer's guide for what servers before 2.0 understand. Only servers that speak
GeoJSON can be paged; from others the request is fetched as it is.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synctables.datasources.page_client import PageTooBigError, read_object
from synctables.datasources.paged.block_size import BlockSize
from synctables.datasources.paged.source import FeatureFile, Spool, check_features
from synctables.datasources.translators.address import Address
from synctables.errors import (
    DownloadError,
    DownloadRefusedError,
    FileNotFoundAtSourceError,
    ForbiddenSourceError,
    PartialFileError,
    RunError,
    TransientError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from synctables.datasources.base import Fetched
    from synctables.datasources.page_client import PageClient
    from synctables.datasources.paged.source import Feature

_FORMATS = ("application/json", "geojson", "application/geo+json", "application/vnd.geo+json")
_START = 1_000
_LONGEST_TEXT = 300
_EXCEPTION = re.compile(rb"<(?:\w+:)?(?:ExceptionReport|ServiceExceptionReport)\b")
_CODE = re.compile(r"""\b(?:exceptionCode|code)\s*=\s*["']([^"']*)["']""")
_LOCATOR = re.compile(r"""\blocator\s*=\s*["']([^"']*)["']""")
_TEXT = re.compile(
    r"<(?:\w+:)?(?:ExceptionText|ServiceException)\b[^>]*>(.*?)</(?:\w+:)?(?:Ex|Ser)", re.S
)
_GEOSERVER_WITHOUT_KEY = ".fid-"
"""GeoServer makes such ids up anew for every answer where a table has no primary key."""
_WGS84_NAMES = ("4326", "CRS84")


class _ExceptionReportError(DownloadRefusedError):
    """What the server says in an ExceptionReport; ``locator`` names the parameter it dislikes."""

    def __init__(self, message: str, *, locator: str, http_status: int) -> None:
        super().__init__(message, http_status=http_status)
        self.locator = locator.lower()


class _NoPagesError(Exception):
    """The server cannot start in the middle."""


@dataclass(frozen=True, kw_only=True)
class WfsSource:
    """All features of one GetFeature request."""

    address: Address
    name: str
    formats: tuple[str, ...]
    is_version_2: bool

    async def bring(self, client: PageClient, into: Path) -> Fetched | None:
        """See `PagedSource.bring`; None where the server speaks no GeoJSON."""
        for output_format in self.formats:
            try:
                return await self._bring_as(output_format, client, into)
            except _ExceptionReportError as error:
                if error.locator != "outputformat":
                    raise
        return None

    async def _bring_as(self, output_format: str, client: PageClient, into: Path) -> Fetched | None:
        reader = _Reader(client, self, output_format)
        for read in (reader.read_pages, reader.read_at_once):
            spool = Spool(into)
            try:
                await read(spool)
                return await self._write(spool, client, into, reader.crs)
            except _NoPagesError:
                continue
            finally:
                spool.close()
        return None

    async def _write(
        self, spool: Spool, client: PageClient, into: Path, crs: dict[str, Any] | None
    ) -> Fetched:
        file = FeatureFile(into, name=self.name, max_bytes=client.max_bytes, crs=crs)
        try:
            await spool.write_to(file)
            return await file.finish()
        finally:
            file.close()


def find_wfs(url: str) -> WfsSource | None:
    """A GetFeature request of one type, unless it asks for a format other than GeoJSON."""
    address = Address.of(url)
    if (address.parameter("service") or "").upper() != "WFS":
        return None
    if (address.parameter("request") or "GetFeature").lower() != "getfeature":
        return None
    name = address.parameter("typeNames") or address.parameter("typeName")
    asked = (address.parameter("outputFormat") or "").replace(" ", "+")
    if not name or "," in name or (asked and "json" not in asked.lower()):
        return None
    if (address.parameter("resultType") or "results").lower() != "results":
        return None
    return WfsSource(
        address=address,
        name=name.rpartition(":")[2],
        formats=(asked,) if asked else _FORMATS,
        is_version_2=(address.parameter("version") or "2.0.0").startswith("2"),
    )


class _Reader:
    """Reads one request in one format, in pages or at once."""

    def __init__(self, client: PageClient, source: WfsSource, output_format: str) -> None:
        self._client = client
        self._source = source
        self._format = output_format
        self.crs: dict[str, Any] | None = None
        """Where the answer says that it is in another one than was asked for."""

    async def read_pages(self, spool: Spool) -> None:
        """Raises `_NoPagesError` where the server ignores or refuses a start."""
        block = BlockSize(most=_START, start=_START)
        matched: int | None = None
        previous: list[Feature] = []
        while True:
            found = await self._block(spool.count, block)
            features = self._features(found)
            if features and features == previous:
                raise _NoPagesError
            now_matched = _number_matched(found)
            if spool.count and matched != now_matched:
                raise PartialFileError("The features changed while their pages came.")
            matched = now_matched
            try:
                await spool.add(features)
            except PartialFileError:
                raise _NoPagesError from None
            if not features or spool.count == matched:
                break
            previous = features
        self._check_all(spool, matched)

    async def read_at_once(self, spool: Spool) -> None:
        """Everything in one answer, whose own count must fit."""
        found = await self._client.patiently(self._ask)
        await spool.add(self._features(found))
        self._check_all(spool, _number_matched(found))

    async def _block(self, start: int, block: BlockSize) -> dict[str, Any]:
        """One page, with a smaller block after each failure."""
        while True:
            try:
                found = await self._ask(start, block.size)
            except _ExceptionReportError as error:
                if error.locator == "outputformat" or not start:
                    raise
                raise _NoPagesError from error
            except (TransientError, PageTooBigError) as error:
                if not block.shrink():
                    raise
                await self._client.wait_after(error, attempt=min(block.failures_in_a_row, 4))
            else:
                return found

    async def _ask(self, start: int | None = None, count: int | None = None) -> dict[str, Any]:
        source = self._source
        counting = "count" if source.is_version_2 else "maxFeatures"
        changes: dict[str, str | int | None] = {
            "version": source.address.parameter("version") or "2.0.0",
            "request": "GetFeature",
            "outputFormat": self._format,
            "srsName": source.address.parameter("srsName") or "EPSG:4326",
            "count": None,
            "maxFeatures": None,
            "startIndex": start or None,
            counting: count,
        }
        page = await self._client.ask(source.address.with_parameters(**changes))
        if _EXCEPTION.search(page.body[:2_000]):
            raise exception_report(page.body, address=page.address.public, status=page.status)
        if not page.is_ok:
            raise page.status_error()
        if page.body.lstrip().startswith(b"<"):
            # Some servers ignore a format that they do not know, and send GML.
            raise _ExceptionReportError(
                f"{page.address.public} did not answer with GeoJSON.",
                locator="outputFormat",
                http_status=page.status,
            )
        return await read_object(page)

    def _features(self, found: dict[str, Any]) -> list[Feature]:
        features = check_features(found)
        crs = found.get("crs")
        name = str(((crs or {}).get("properties") or {}).get("name") or "")
        if crs and not name.endswith(_WGS84_NAMES):
            self.crs = crs
        return [_without_made_up_id(feature) for feature in features]

    def _check_all(self, spool: Spool, matched: int | None) -> None:
        if matched is not None and matched != spool.count:
            raise PartialFileError(
                f"The server brought {spool.count:,} features of {matched:,}, and no more."
            )


def exception_report(body: bytes, *, address: str, status: int) -> RunError:
    """The error in an ExceptionReport (OWS 1.1) or ServiceExceptionReport (before)."""
    text = body.decode("utf-8", "replace")
    code = _first(_CODE, text)
    said = " ".join(html.unescape(re.sub(r"<!\[CDATA\[|\]\]>", "", _first(_TEXT, text))).split())
    locator = _first(_LOCATOR, text)
    message = f"{address} answered: {said[:_LONGEST_TEXT] or 'an exception'} ({code or 'no code'})."
    about = f"{locator} {said}".lower()
    if "outputformat" in about or "output format" in about:
        return _ExceptionReportError(message, locator="outputFormat", http_status=status)
    if "typename" in locator.lower() or ("unknown" in about and "type" in about):
        return FileNotFoundAtSourceError(message, http_status=status)
    if status in (401, 403):
        return ForbiddenSourceError(message, http_status=status)
    is_about_paging = "startindex" in about or "natural order" in about
    if not is_about_paging and code in ("NoApplicableCode", "OperationProcessingFailed"):
        return DownloadError(message, http_status=status)
    return _ExceptionReportError(message, locator=locator, http_status=status)


def _number_matched(found: dict[str, Any]) -> int | None:
    """WFS 2.0's ``numberMatched`` (or "unknown"), GeoServer's older ``totalFeatures``."""
    given = (found.get(name) for name in ("numberMatched", "totalFeatures"))
    return next((one for one in given if isinstance(one, int)), None)


def _without_made_up_id(feature: Feature) -> Feature:
    if _GEOSERVER_WITHOUT_KEY in str(feature.get("id") or ""):
        return {name: value for name, value in feature.items() if name != "id"}
    return feature


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1] if match else ""
