"""What a user names an item of Box by: its id, its path, or a link."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import urlsplit

from synctables.errors import DatasourceReadError
from synctables.log import public_url

ROOT_ID = "0"
"""Box's own id of the folder "All Files"."""

_ID = re.compile(r"[0-9]{1,20}")
_PLAIN = re.compile(r"[!-~]+")


@dataclass(frozen=True, kw_only=True)
class Address:
    """An ``id``, or a ``path`` from the root, or a ``shared_link`` and perhaps an id behind it."""

    id: str | None = None
    path: tuple[str, ...] | None = None
    shared_link: str | None = None


def parse_address(text: str, *, own_host: str | None = None) -> Address:
    """Read ``12345``, ``/Data/cities.csv``, or a link of Box's as people copy it.

    Links: ``…/file/12345``, ``…/folder/12345``, ``…/s/NAME`` and ``…/v/NAME``, each also with
    ``/file/12345`` or ``/folder/12345`` behind it, ``…/shared/static/NAME.csv``. ``own_host``: a
    host that counts as Box's besides ``box.com``. Raises `DatasourceReadError`.
    """
    text = text.strip()
    if _ID.fullmatch(text):
        return Address(id=text)
    if text.startswith("/"):
        return Address(path=tuple(same_name(part) for part in text.split("/") if part))
    address = _parse_link(text, own_host)
    if address is None:
        raise DatasourceReadError(
            f"{_shown(text)} is no item of Box. Give the file's id, its path from the root (/…), "
            "or its link."
        )
    return address


def same_name(name: str) -> str:
    """The name in the form in which names are compared: uploads from macOS are decomposed."""
    return unicodedata.normalize("NFC", name)


def _shown(text: str) -> str:
    """Without what may be a key, where it is an address of anything."""
    try:
        return f"'{public_url(text) if '://' in text else text}'"
    except ValueError:
        return "This"


def _parse_link(text: str, own_host: str | None) -> Address | None:
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").lower()
    except ValueError:
        return None
    # The link goes into a header: nothing that could end one, or that it cannot hold.
    if not _PLAIN.fullmatch(text):
        return None
    if parts.scheme != "https" or not (f".{host}".endswith(".box.com") or host == own_host):
        return None
    link = f"https://{parts.netloc.rpartition('@')[2]}"
    match [part for part in parts.path.split("/") if part]:
        case ["file" | "folder", number] if _ID.fullmatch(number):
            return Address(id=number)
        case ["s" | "v" as kind, name]:
            return Address(shared_link=f"{link}/{kind}/{name}")
        case ["s" | "v" as kind, name, "file" | "folder", number] if _ID.fullmatch(number):
            return Address(shared_link=f"{link}/{kind}/{name}", id=number)
        case ["shared", "static", name]:
            return Address(shared_link=f"{link}/s/{name.partition('.')[0]}")
    return None
