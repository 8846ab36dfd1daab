"""Pages about data of which only their server can say where the data is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synctables.datasources.resolvers.arcgis_hub import resolve_arcgis_hub
from synctables.datasources.resolvers.ckan import resolve_ckan
from synctables.datasources.resolvers.gist import resolve_gist_file
from synctables.datasources.translators.address import Address, Translated

if TYPE_CHECKING:
    from synctables.datasources.page_client import PageClient

__all__ = ["resolve"]

_RESOLVERS = (resolve_arcgis_hub, resolve_gist_file, resolve_ckan)


async def resolve(url: str, client: PageClient) -> Translated | None:
    """Where the data of a page is; None: it is no such page, and no request was wasted on it.

    Raises a `RunError` where it is one, and its server does not say.
    """
    address = Address.of(url)
    for resolver in _RESOLVERS:
        found = await resolver(address, client)
        if found:
            return found
    return None
