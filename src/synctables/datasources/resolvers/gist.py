"""One file of a gist that has several: its page names it in the fragment, changed beyond repair."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from synctables.datasources.page_client import read_object
from synctables.datasources.translators.address import Address, Translated
from synctables.errors import FileNotFoundAtSourceError

if TYPE_CHECKING:
    from synctables.datasources.page_client import PageClient

_GIST = re.compile(r"/(?:[^/]+/)?([0-9a-f]{7,40})/?")
_API = "https://api.github.com/gists/"


async def resolve_gist_file(
    address: Address, client: PageClient, *, api: str = _API
) -> Translated | None:
    """``gist.github.com/…#file-NAME``, by GitHub's list of the gist's files."""
    match = _GIST.fullmatch(address.path)
    wanted = address.parts.fragment.removeprefix("file-").lower()
    if address.host != "gist.github.com" or not match or not wanted:
        return None
    page = await client.ask(f"{api}{match[1]}")
    if not page.is_ok:
        raise page.status_error()
    files = (await read_object(page)).get("files") or {}
    for name, file in files.items():
        if anchor(name) == wanted:
            return Translated(url=str(file["raw_url"]), file_name=None)
    raise FileNotFoundAtSourceError("The gist has no such file any more.")


def anchor(file_name: str) -> str:
    """How GitHub writes a file's name into an address: ``Two Cities.csv``: ``two-cities-csv``."""
    return re.sub(r"[^\w]+", "-", file_name.lower()).strip("-")
