"""sha256sum of the file: the least that anybody must do to know that it is the same."""

from __future__ import annotations

import subprocess

from comparison.contestants import Parts
from comparison.editions import Edition


class Sha256sum:
    """Reads the file from disk; touches no table."""

    name = "sha256sum"
    remark = "reads the file from disk; does nothing else"
    is_slow = False

    def create(self, edition: Edition) -> Parts:
        subprocess.run(["sha256sum", edition.path], check=True, stdout=subprocess.DEVNULL)
        return {}

    refresh = create

    def check(self, edition: Edition) -> None:
        """There is no table."""

    def drop(self) -> None:
        """There is no table."""
