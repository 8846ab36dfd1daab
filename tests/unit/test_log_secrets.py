"""What a log may say, and what it never does."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAILING = """
import structlog
from synctables.log import configure_logging

configure_logging(as_json={as_json})

def call(api_key):
    raise ValueError("boom")

try:
    call("very" + "secret")
except ValueError:
    structlog.stdlib.get_logger("a").exception("api.failed", reference="r1")
"""


@pytest.mark.parametrize("as_json", [True, False])
def test_a_logged_error_shows_its_traceback_but_no_variables(as_json: bool) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", FAILING.format(as_json=as_json)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert ended.stdout == ""
    assert "api.failed" in ended.stderr
    assert "ValueError: boom" in ended.stderr
    assert "verysecret" not in ended.stderr
