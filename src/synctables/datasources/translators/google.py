"""Google: Sheets as CSV, Drive files as themselves, My Maps as KML."""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode

from synctables.datasources.translators.address import Address, Translated

_OWNERS = r"(?:/a/[^/]+)?/(?:u/\d+/)?"
_SHEET = re.compile(
    _OWNERS + r"spreadsheets/(?:u/\d+/)?d/(?P<id>[\w-]{10,})(?:/(?P<view>[\w-]*))?/?"
)
_PUBLISHED_SHEET = re.compile(
    _OWNERS + r"spreadsheets/(?:u/\d+/)?d/e/(?P<id>[\w-]{10,})/(?P<view>pub|pubhtml|pubchart)/?"
)
_SHEET_VIEWS = (None, "", "edit", "view", "preview", "htmlview", "htmlembed", "copy", "pubhtml")
_DRIVE_FILE = re.compile(_OWNERS + r"file/(?:u/\d+/)?d/(?P<id>[\w-]{10,})(?:/[\w-]*)?/?")
_DRIVE_ID = re.compile(r"[\w-]{10,}")
_MY_MAP = re.compile(r"/maps/d/(?:u/\d+/)?(?:viewer|edit|embed|view)?/?")
_GOOGLE = re.compile(r"(?:www\.|maps\.)?google\.[a-z]{2,3}(?:\.[a-z]{2})?")


def google_sheet(address: Address) -> Translated | None:
    """A share link or published page of a spreadsheet; its sheet (``gid``) is kept."""
    if address.host != "docs.google.com":
        return None
    published = _PUBLISHED_SHEET.fullmatch(address.path)
    if published:
        # ``pub?output=xlsx`` already is a file.
        return None if address.parameter("output") else _published_sheet(address, published["id"])
    match = _SHEET.fullmatch(address.path)
    if not match or match["view"] not in _SHEET_VIEWS:
        return None
    query = _query(format="csv", gid=_gid(address), resourcekey=address.parameter("resourcekey"))
    return Translated(url=f"https://docs.google.com/spreadsheets/d/{match['id']}/export?{query}")


def google_sheet_of_old(address: Address) -> Translated | None:
    """``docs.google.com/spreadsheet/ccc?key=…``: still answered, by a redirect."""
    if not re.fullmatch(r"docs\.google\.[a-z.]+", address.host):
        return None
    if not re.fullmatch(r"(?:/a/[^/]+)?/spreadsheet/(?:ccc|pub)", address.path):
        return None
    if not address.parameter("key") or address.parameter("output") == "csv":
        return None
    return Translated(url=address.with_parameters(gid=_gid(address), output="csv"))


def google_drive_file(address: Address) -> Translated | None:
    """A file's share link. ``confirm`` answers the question whether to skip the virus scan."""
    if address.host not in ("drive.google.com", "docs.google.com"):
        return None
    match = _DRIVE_FILE.fullmatch(address.path)
    file_id = match["id"] if match else None
    if re.fullmatch(_OWNERS + r"(?:open|uc)/?", address.path):
        file_id = address.parameter("id")
    if not file_id or not _DRIVE_ID.fullmatch(file_id):
        return None
    key = address.parameter("resourcekey")
    query = _query(id=file_id, export="download", confirm="t", resourcekey=key)
    return Translated(url=f"https://drive.usercontent.google.com/download?{query}")


def google_my_map(address: Address) -> Translated | None:
    """A My Maps page; ``forcekml`` asks for the places themselves, not for a link to them."""
    if not _GOOGLE.fullmatch(address.host) or not _MY_MAP.fullmatch(address.path):
        return None
    map_id = address.parameter("mid")
    if not map_id:
        return None
    query = _query(mid=map_id, lid=address.parameter("lid"), forcekml="1")
    return Translated(url=f"https://www.google.com/maps/d/kml?{query}")


def _published_sheet(address: Address, sheet_id: str) -> Translated:
    gid = _gid(address)
    query = _query(output="csv", gid=gid, single="true" if gid else None)
    return Translated(url=f"https://docs.google.com/spreadsheets/d/e/{sheet_id}/pub?{query}")


def _gid(address: Address) -> str | None:
    gid = address.fragment_parameter("gid") or address.parameter("gid")
    return gid if gid and gid.isdecimal() else None


def _query(**parameters: str | None) -> str:
    given = {name: value for name, value in parameters.items() if value}
    return urlencode(given, quote_via=quote)
