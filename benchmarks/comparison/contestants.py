"""The seam at which we and every peer are measured alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from comparison.editions import Edition

Parts = Mapping[str, float]
"""Seconds of the parts of a measured time, for context only."""


class Contestant(Protocol):
    """Somebody who keeps one table equal to a file."""

    @property
    def name(self) -> str:
        """As the table of results has it."""
        ...

    @property
    def remark(self) -> str:
        """What a reader must know to judge the figure; may be empty."""
        ...

    @property
    def is_slow(self) -> bool:
        """Measured once only."""
        ...

    def create(self, edition: Edition) -> Parts:
        """Make the table of a file that is there for the first time."""
        ...

    def refresh(self, edition: Edition) -> Parts:
        """Make the existing table equal to the file's next version."""
        ...

    def check(self, edition: Edition) -> None:
        """Raises `digests.UnequalTableError` where the table is not what it must be."""
        ...

    def drop(self) -> None:
        """Remove the table, if there is one."""
        ...
