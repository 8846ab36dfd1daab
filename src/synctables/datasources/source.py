"""Where a file comes from, as it is stored with syncs, runs and previews."""

from __future__ import annotations

from dataclasses import dataclass

PUBLIC_URL = "public_url"
"""The ``service_name`` that means an address."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """An address, or an item of a cloud service; neither: a file that was uploaded.

    ``url`` of an item is its page for people, where that is known.
    """

    url: str | None = None
    service_name: str | None = None
    service_item_id: str | None = None

    @property
    def is_item(self) -> bool:
        return self.service_name is not None

    @property
    def item(self) -> str:
        """What its datasource calls it."""
        return (self.service_item_id if self.is_item else self.url) or ""

    @property
    def is_upload(self) -> bool:
        return self.url is None and not self.is_item
