"""Which cloud drives there are. Their packages, and the SDKs behind them, are loaded when used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from synctables.errors import InvalidRequestError

if TYPE_CHECKING:
    from synctables.datasources.drives.model import Drive

DRIVE_NAMES = ("gdrive", "dropbox", "box")
"""The API's ``service_name`` of each; its package below `datasources` bears the same name."""


def find_drive(name: str) -> Drive:
    """The drive of this name. Raises `InvalidRequestError`."""
    if name not in DRIVE_NAMES:
        known = ", ".join(DRIVE_NAMES)
        raise InvalidRequestError(f"There is no service {name[:80]!r}. Known are {known}.")
    package = importlib.import_module(f"synctables.datasources.{name}")
    return cast("Drive", package.DRIVE)
