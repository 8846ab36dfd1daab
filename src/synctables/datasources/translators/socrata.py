"""Socrata portals (on any host): a dataset's page, as the export of all its rows.

A dataset is known by its "four by four", of an alphabet without 0, 1, l and o.
"""

from __future__ import annotations

import re

from synctables.datasources.translators.address import Address, Translated

_FOUR = r"[2-9a-kmnp-z]{4}"
_ID = re.compile(rf"{_FOUR}-{_FOUR}")
_RESOURCE = re.compile(
    rf"/resource/(?P<id>{_FOUR}-{_FOUR})(?P<extension>\.(?:csv|json|geojson))?/?"
)
_VIEWS = frozenset(["data", "about_data", "data_preview", "explore", "about", "visualization"])
_EVERY_ROW = 1_000_000_000
_NAMED_PAGE_SEGMENTS = 3


def socrata_page(address: Address) -> Translated | None:
    """``/d/ID``, ``/dataset/NAME/ID`` and ``/CATEGORY/NAME/ID``."""
    segments = address.segments
    if len(segments) > 1 and segments[-1] in _VIEWS:
        segments = segments[:-1]
    if not segments or not _ID.fullmatch(segments[-1]) or not _is_page(segments):
        return None
    return Translated(url=address.at(*_export(segments[-1])))


def socrata_resource(address: Address) -> Translated | None:
    """``/resource/ID…`` answers 1,000 rows unless told; without further conditions, the export."""
    match = _RESOURCE.fullmatch(address.path)
    if not match:
        return None
    if address.parameter("$limit") or address.parameter("$query"):
        return None
    if not address.parts.query and match["extension"] != ".geojson":
        return Translated(url=address.at(*_export(match["id"])))
    whole = Address.of(
        address.at(f"/resource/{match['id']}{match['extension'] or '.csv'}", address.parts.query)
    )
    return Translated(url=whole.with_parameters(**{"$limit": _EVERY_ROW}))


def _is_page(segments: tuple[str, ...]) -> bool:
    if segments[0] == "d":
        return len(segments) == len(("d", "ID"))
    if len(segments) != _NAMED_PAGE_SEGMENTS or segments[0] == "resource":
        return False
    # "/region/maps/west-east" has the same form; a digit tells, unless the word does.
    return segments[0] == "dataset" or any(one.isdecimal() for one in segments[-1])


def _export(dataset_id: str) -> tuple[str, str]:
    return f"/api/views/{dataset_id}/rows.csv", "accessType=DOWNLOAD"
