"""CKAN portals (on any host): a resource's page, as its download."""

from __future__ import annotations

import re

from synctables.datasources.translators.address import Address, Translated

_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_RESOURCE = re.compile(rf"(.*/dataset/[^/]+/resource/{_UUID})(?:/view/{_UUID})?/?")


def ckan_resource(address: Address) -> Translated | None:
    """``…/dataset/NAME/resource/UUID``: CKAN redirects ``/download`` to wherever the file is."""
    match = _RESOURCE.fullmatch(address.path)
    return Translated(url=address.at(f"{match[1]}/download")) if match else None
