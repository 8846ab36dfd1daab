"""What the HTTP server does beside serving."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from synctables.cli.http_server import open_listener, serving


@pytest.fixture
def unfrozen() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("unfrozen")
async def test_the_collector_passes_over_what_was_loaded_before_the_first_call() -> None:
    with contextlib.closing(open_listener("127.0.0.1", 0)) as listener:
        async with serving(FastAPI(), listener):
            assert gc.get_freeze_count() > 10_000  # a service's modules and functions
            assert len(gc.get_objects(generation=2)) < gc.get_freeze_count() / 10
