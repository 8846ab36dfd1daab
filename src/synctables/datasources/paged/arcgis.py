"""ArcGIS: a layer of a FeatureServer or MapServer, read by object id; a whole service as a zip.

All ids are asked for first, then the features block by block; every id must come back. What the
user's own ``…/query?…`` restricts stays restricted, but is read to its end.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from synctables.datasources.file_names import safe_file_name
from synctables.datasources.paged.arcgis_layer import Layer, check_version, feature_layers
from synctables.datasources.paged.arcgis_reader import (
    EVERY_ROW,
    LayerReader,
    Selection,
    read_answer,
)
from synctables.datasources.paged.source import FeatureFile
from synctables.datasources.paged.zipped import zip_together
from synctables.datasources.translators.address import Address
from synctables.errors import EmptyFileError

if TYPE_CHECKING:
    from pathlib import Path

    from synctables.datasources.base import Fetched
    from synctables.datasources.page_client import Page, PageClient

_PATH = re.compile(
    r"(?P<service>/(?:.*/)?rest/services/.+/(?:Feature|Map)Server)"
    r"(?:/(?P<layer>\d+)(?P<query>/query)?)?/?",
    re.IGNORECASE,
)
_FORMATS = (None, "", "html", "json", "pjson", "geojson")
_OURS = frozenset(
    ["f", "where", "outfields", "outsr", "objectids", "returnidsonly", "returnz", "returnm"]
)
_NO_ROWS_OF_A_LAYER = (
    *("returncountonly", "returnidsonly", "returnextentonly", "returndistinctvalues"),
    *("outstatistics", "resultoffset", "resultrecordcount", "objectids"),
)


@dataclass(frozen=True, kw_only=True)
class ArcgisSource:
    """A layer, or all feature layers of a service where ``layer`` is None."""

    service: str
    layer: int | None
    selection: Selection

    async def bring(self, client: PageClient, into: Path) -> Fetched | None:
        """See `PagedSource.bring`. Several layers come as a zip of GeoJSON files."""
        if self.layer is not None:
            return await self._bring_layer(client, self.layer, into)
        layers = await self._list_layers(client)
        if len(layers) == 1:
            return await self._bring_layer(client, layers[0][0], into)
        files = []
        for number, _ in layers:
            folder = into / str(number)
            folder.mkdir()
            files.append(await self._bring_layer(client, number, folder))
        name = self.service.split("/")[-2]
        return await asyncio.to_thread(zip_together, files, into / (safe_file_name(name) + ".zip"))

    async def _list_layers(self, client: PageClient) -> list[tuple[int, str]]:
        found, page = await _describe(client, self.service, self.selection)
        check_version(found, address=page.address.public)
        layers = feature_layers(found)
        if not layers:
            raise EmptyFileError(f"{page.address.public} has no feature layers.")
        return layers

    async def _bring_layer(self, client: PageClient, number: int, into: Path) -> Fetched:
        found, page = await _describe(client, f"{self.service}/{number}", self.selection)
        layer = Layer.of(found, address=page.address.public)
        reader = LayerReader(client, page.address, layer, self.selection)
        file = FeatureFile(into, name=layer.name or str(number), max_bytes=client.max_bytes)
        try:
            await reader.write_to(file)
            return await file.finish()
        finally:
            file.close()


def find_arcgis(url: str) -> ArcgisSource | None:
    """The layer, service or query at this address; None for any other, statistics among them."""
    address = Address.of(url)
    match = _PATH.fullmatch(address.path)
    if not match:
        return None
    asked = parse_qsl(address.parts.query, keep_blank_values=True)
    names = {name.lower(): value for name, value in asked if value}
    if names.get("f", "").lower() not in _FORMATS:
        return None
    if match["query"]:
        if any(names.get(name, "false").lower() != "false" for name in _NO_ROWS_OF_A_LAYER):
            return None
        further = tuple((name, value) for name, value in asked if name.lower() not in _OURS)
    else:
        further = tuple((name, value) for name, value in asked if name.lower() == "token")
    is_query = bool(match["query"])
    return ArcgisSource(
        service=address.at(match["service"]),
        layer=int(match["layer"]) if match["layer"] else None,
        selection=Selection(
            where=names.get("where", EVERY_ROW) if is_query else EVERY_ROW,
            fields=names.get("outfields", "*") if is_query else "*",
            further=further,
        ),
    )


async def _describe(
    client: PageClient, url: str, selection: Selection
) -> tuple[dict[str, Any], Page]:
    """What a layer or service says of itself, and the page that said it."""
    token = [(name, value) for name, value in selection.further if name.lower() == "token"]
    address = f"{url}?{urlencode([('f', 'json'), *token])}"

    async def ask() -> tuple[dict[str, Any], Page]:
        page = await client.ask(address)
        return await read_answer(page), page

    return await client.patiently(ask)
