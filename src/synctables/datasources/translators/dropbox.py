"""Dropbox: share links, as the file itself (a shared folder comes as a zip)."""

from __future__ import annotations

from synctables.datasources.translators.address import Address, Translated

_SHARED = (("s",), ("sh",), ("scl", "fi"), ("scl", "fo"))


def dropbox_file(address: Address) -> Translated | None:
    """``/s/…``, ``/scl/fi/…`` and their folders; ``rlkey`` stays, it is the permission."""
    if address.host not in ("dropbox.com", "www.dropbox.com"):
        return None
    if not any(address.segments[: len(start)] == start for start in _SHARED):
        return None
    return Translated(url=address.with_parameters(dl="1", raw=None, preview=None))
