"""How many examples a promise is tried on: 100, or 1,000 in the profile ``full``.

``pytest tests/properties --hypothesis-profile=full`` or, wherever pytest is started from,
``SYNCTABLES_HYPOTHESIS_PROFILE=full``.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

for _name, _count in {"some": 100, "full": 1_000}.items():
    settings.register_profile(
        _name,
        max_examples=_count,
        deadline=None,  # the machine is shared, and no promise here is about speed
        suppress_health_check=[HealthCheck.too_slow],
    )


def pytest_configure(config: pytest.Config) -> None:
    chosen = config.getoption("--hypothesis-profile", default=None)
    settings.load_profile(chosen or os.environ.get("SYNCTABLES_HYPOTHESIS_PROFILE", "some"))
