"""ArcGIS: the rows of one layer, ids first, then block by block."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import yarl

from synctables.datasources.page_client import PageTooBigError, read_object
from synctables.datasources.paged.arcgis_layer import Layer, arcgis_error, check_projection
from synctables.datasources.paged.block_size import BlockSize
from synctables.datasources.paged.esri_json import has_only_numbers, iso_date, to_geojson
from synctables.datasources.paged.source import Feature, FeatureFile, as_text, check_features
from synctables.errors import (
    DownloadError,
    DownloadRefusedError,
    PartialFileError,
    TransientError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synctables.datasources.page_client import Page, PageClient
    from synctables.datasources.web_address import WebAddress

EVERY_ROW = "1=1"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which rows and columns of a layer; everything else of a query goes along in ``further``."""

    where: str = EVERY_ROW
    fields: str = "*"
    further: tuple[tuple[str, str], ...] = ()


class LayerReader:
    """Reads all features of one layer, in the order of their object ids."""

    def __init__(
        self, client: PageClient, address: WebAddress, layer: Layer, selection: Selection
    ) -> None:
        self._client = client
        self._address = _query_address(address)
        self._layer = layer
        self._selection = selection
        self._format = "geojson" if layer.speaks_geojson else "json"
        self._id_field = ""

    async def write_to(self, file: FeatureFile) -> None:
        """Raises `PartialFileError` where an id does not come back."""
        ids = await self._list_ids()
        await self._check_count(ids)
        block = BlockSize(most=self._layer.most_features)
        position = 0
        while position < len(ids):
            wanted = ids[position : position + block.size]
            try:
                features = await self._ask_for(wanted)
            except (TransientError, DownloadRefusedError) as error:
                await self._go_on_after(error, block)
                continue
            await file.write(features)
            position += len(wanted)
            block.grow()

    async def _go_on_after(
        self, error: TransientError | DownloadRefusedError, block: BlockSize
    ) -> None:
        """Make ready for another attempt, or raise ``error``."""
        refuses_format = isinstance(error, DownloadRefusedError) and self._format == "geojson"
        if refuses_format and not isinstance(error, PageTooBigError):
            # Announced by some servers that then answer 400 to it.
            self._format = "json"
            return
        if not block.shrink():
            raise error
        await self._client.wait_after(error, attempt=min(block.failures_in_a_row, 4))

    async def _list_ids(self) -> list[int]:
        """Ascending. A server that lists only some at once is asked for those beyond."""
        ids: set[int] = set()
        while True:
            where = self._selection.where
            if ids:
                where = f"({where}) AND {self._id_field} > {max(ids)}"
            parameters = {"where": where, "returnIdsOnly": "true", "f": "json"}
            found = await self._client.patiently(partial(self._query, parameters))
            self._id_field = str(found.get("objectIdFieldName") or self._id_field)
            more = set(_whole_numbers(found.get("objectIds")))
            if not found.get("exceededTransferLimit") or not more - ids or not self._id_field:
                return sorted(ids | more)
            ids |= more

    async def _check_count(self, ids: Sequence[int]) -> None:
        """Some servers list only as many ids as features at once, and do not say so."""
        parameters = {"where": self._selection.where, "returnCountOnly": "true", "f": "json"}
        found = await self._client.patiently(partial(self._query, parameters))
        count = found.get("count")
        if isinstance(count, int) and count != len(ids):
            raise PartialFileError(
                f"{self._address.public} lists {len(ids):,} ids for {count:,} features."
            )

    async def _ask_for(self, wanted: Sequence[int]) -> list[str]:
        fields = self._selection.fields
        has_ids = fields == "*" or self._id_field.lower() in fields.lower().split(",")
        found = await self._query(
            {
                "objectIds": ",".join(str(one) for one in wanted),
                "outFields": fields if has_ids else f"{fields},{self._id_field}",
                "outSR": "4326",
                "f": self._format,
            }
        )
        check_projection(found, address=self._address.public)
        return await asyncio.to_thread(self._convert, found, wanted)

    async def _query(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        page = await self._client.ask(
            self._address, form={**dict(self._selection.further), **parameters}
        )
        return await read_answer(page)

    def _convert(self, found: dict[str, Any], wanted: Sequence[int]) -> list[str]:
        """The features as JSON text, in the order of the ids that were asked for."""
        features = check_features(found)
        if self._format == "json":
            features = [to_geojson(feature) for feature in features]
        by_id = {self._id_of(feature): feature for feature in features}
        if len(by_id) != len(features) or by_id.keys() != set(wanted):
            raise PartialFileError(
                f"{self._address.public} answered {len(features)} features for {len(wanted)} ids:"
                " it has a limit of its own, or the data changed."
            )
        return [as_text(self._clean(by_id[one])) for one in wanted]

    def _id_of(self, feature: Feature) -> int | None:
        properties = feature.get("properties") or {}
        found = properties.get(self._id_field, feature.get("id"))
        return next(iter(_whole_numbers([found])), None)

    def _clean(self, feature: Feature) -> Feature:
        properties = feature.get("properties") or {}
        geometry = feature.get("geometry")
        if (
            geometry
            and "coordinates" in geometry
            and not has_only_numbers(geometry.get("coordinates"))
        ):
            geometry = None
        return {
            "type": "Feature",
            "properties": {
                name: iso_date(value) if name in self._layer.date_fields else value
                for name, value in properties.items()
            },
            "geometry": geometry,
        }


async def read_answer(page: Page) -> dict[str, Any]:
    """The object in an answer, unless it is an error in one of the ways that ArcGIS has."""
    try:
        found = await read_object(page)
    except DownloadError:
        if not page.is_ok:
            raise page.status_error() from None
        raise
    if found.get("error"):
        raise arcgis_error(
            found["error"],
            address=page.address.public,
            status=page.status,
            retry_after=page.retry_after,
            now=datetime.now(UTC),
        )
    if not page.is_ok:
        raise page.status_error()
    return found


def _query_address(layer: WebAddress) -> WebAddress:
    path = str(layer.url).partition("?")[0].rstrip("/")
    return replace(layer, url=yarl.URL(f"{path}/query", encoded=True))


def _whole_numbers(values: object) -> list[int]:
    if not isinstance(values, list):
        return []
    return [int(one) for one in values if isinstance(one, int) or _is_digits(one)]


def _is_digits(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit()
