"""What all fault tests share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole processes start here, on machines that have other things to do."""
    monkeypatch.setattr("tests.support.workers.WAIT_SECONDS", 120.0)
