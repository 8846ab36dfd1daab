"""Collections that come in pages, brought as one GeoJSON file.

One module per protocol; each reads all pages, or raises: what ends up on disk is the whole
collection, in an order that does not depend on the server's, so that an unchanged one has an
unchanged hash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synctables.datasources.paged.arcgis import find_arcgis
from synctables.datasources.paged.ogc_features import find_ogc_features
from synctables.datasources.paged.wfs import find_wfs

if TYPE_CHECKING:
    from synctables.datasources.paged.source import PagedSource

__all__ = ["find_paged_source"]


def find_paged_source(url: str) -> PagedSource | None:
    """What brings the collection at this address; None: it is a file like any other."""
    return find_arcgis(url) or find_ogc_features(url) or find_wfs(url)
