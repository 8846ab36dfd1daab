"""What the tests of cloud services share: whom to trust, whose token, at the double or for real.

A conformance test takes the fixture ``where`` (through its service's own fixtures) and so runs
twice: at the local double, and, marked ``live``, at the service itself, with credentials from
variables ``SYNCTABLES_TEST_<SERVICE>_<NAME>``, skipped where one is missing. What needs a fault on
command takes the double alone.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import trustme

from doubles.server import write_authority
from synctables.datasources.drives.model import OAuthToken
from synctables.errors import NotConnectedError

Where = Literal["double", "live"]


@dataclass(frozen=True, kw_only=True)
class CloudAuthority:
    """Who vouches for the doubles: what `run_double` takes, and the file for the settings."""

    ca: trustme.CA
    ca_file: Path


class MemoryTokens:
    """One account's token, kept by the rules of `Tokens`: locked, re-read, stored before use."""

    def __init__(self, token: OAuthToken | None) -> None:
        self.token = token
        self.stored: list[OAuthToken] = []
        """Every token that a renewal brought, in order."""
        self.discarded: list[OAuthToken] = []
        self._lock = threading.Lock()

    def current(self) -> OAuthToken:
        if self.token is None:
            raise NotConnectedError("This account is not connected.")
        return self.token

    def renew(self, stale: OAuthToken, exchange: Callable[[OAuthToken], OAuthToken]) -> OAuthToken:
        with self._lock:
            if (current := self.current()) == stale:
                self.token = current = exchange(stale)
                self.stored.append(current)
            return current

    def discard(self, dead: OAuthToken) -> None:
        self.discarded.append(dead)
        if self.token == dead:
            self.token = None


@pytest.fixture(scope="session")
def cloud_authority(tmp_path_factory: pytest.TempPathFactory) -> CloudAuthority:
    """A certificate authority of the tests' own; trusted only by what is told to."""
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("authority") / "authority.pem"
    return CloudAuthority(ca=ca, ca_file=write_authority(ca, path))


@pytest.fixture(params=["double", pytest.param("live", marks=pytest.mark.live)])
def where(request: pytest.FixtureRequest) -> Where:
    """Where a conformance test runs."""
    chosen: Where = request.param
    return chosen


def live_credentials(service: str, *names: str) -> Mapping[str, str]:
    """The values of ``SYNCTABLES_TEST_<SERVICE>_<NAME>`` by name; skips where one is missing."""
    variables = {name: f"SYNCTABLES_TEST_{service.upper()}_{name}" for name in names}
    missing = [variable for variable in variables.values() if not os.environ.get(variable)]
    if missing:
        pytest.skip(f"no credentials for {service}: {', '.join(missing)}")
    return {name: os.environ[variable] for name, variable in variables.items()}
