"""Which way a refresh takes, whatever it would choose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import pytest

REFRESH = import_module("synctables.importer.apply.refresh")
"""The module; the package calls its function by the same name."""


def prefer_rewrite(patch: pytest.MonkeyPatch) -> None:
    """From now on a rewrite pays, however few rows differ."""
    patch.setattr(REFRESH, "FEWEST_ROWS_TO_REWRITE", 0)
    patch.setattr(REFRESH, "LARGE_SHARE", 0.0)


@contextmanager
def rewrite_preferred() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        prefer_rewrite(patch)
        yield
