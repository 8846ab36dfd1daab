"""Box: share links, as the file itself."""

from __future__ import annotations

from urllib.parse import quote

from synctables.datasources.translators.address import Address, Translated


def box_file(address: Address) -> Translated | None:
    """``app.box.com/s/NAME`` (also ``/v/NAME``, company hosts, and one file of a folder)."""
    if not address.is_at("box.com"):
        return None
    match address.segments:
        case ("s" | "v", name):
            return Translated(url=address.at(f"/shared/static/{quote(name)}"))
        case ("s" | "v", name, "file", number) if number.isdecimal():
            query = f"rm=box_download_shared_file&shared_name={quote(name)}&file_id=f_{number}"
            return Translated(url=address.at("/index.php", query))
    return None
