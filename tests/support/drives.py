"""The fixture ``drive``: a test that takes it runs once for each service's double."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from doubles.drives import RUNNERS, DriveDouble
from tests.support.clouds import CloudAuthority


@pytest.fixture(params=sorted(RUNNERS))
def drive(request: pytest.FixtureRequest, cloud_authority: CloudAuthority) -> Iterator[DriveDouble]:
    with RUNNERS[request.param](cloud_authority.ca, cloud_authority.ca_file) as running:
        yield running
