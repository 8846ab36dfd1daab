"""What is taken out of texts and events, and what is left in them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from synctables.redaction import redact, redact_text

SECRET = "s3cretWORD"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"GET https://me:{SECRET}@example.org/a.csv", "GET https://example.org/a.csv"),
        (f"https://example.org/a.csv?api_key={SECRET}&b=c.", "https://example.org/a.csv?***."),
        (f"(see https://example.org/a#{SECRET})", "(see https://example.org/a?***)"),
        (f"postgresql://u:{SECRET}@[::1]:5432/db", "postgresql://[::1]:5432/db"),
        (f"postgresql://u:{SECRET}/x@host/db", "postgresql://host/db"),
        (f"S3://k:{SECRET}@bucket/key", "S3://bucket/key"),
        (f"Authorization: Bearer {SECRET}", "Authorization: ***"),
        (f"{{'authorization': 'Basic {SECRET}'}}", "{'authorization': '***'}"),
        (f"sent Bearer {SECRET}", "sent Bearer ***"),
        (f"Set-Cookie: a={SECRET}; Path=/", "Set-Cookie: ***"),
        (f"X-Api-Key: {SECRET}", "X-Api-Key: ***"),
        (f"api_key={SECRET}&interval=900", "api_key=***&interval=900"),
        (f"host=h password='{SECRET} {SECRET}' user=u", "host=h password=*** user=u"),
        (f"access_token: {SECRET}", "access_token: ***"),
        (f'{{"refresh_token": "{SECRET}", "a": 1}}', '{"refresh_token": "***", "a": 1}'),
        (f'{{"client_secret":"{SECRET}"}}', '{"client_secret":"***"}'),
        (f"box_client_secret={SECRET}", "box_client_secret=***"),
        (f"grant_type=authorization_code&code={SECRET}", "grant_type=authorization_code&code=***"),
        (f'{{"code": "{SECRET}"}}', '{"code": "***"}'),
        (f"/validate_code/{SECRET} failed", "/validate_code/*** failed"),
        (f"code_verifier={SECRET}", "code_verifier=***"),
        (f"X-Amz-Signature={SECRET}", "X-Amz-Signature=***"),
    ],
)
def test_a_secret_goes_and_the_rest_of_the_text_stays(text: str, left: str) -> None:
    assert redact_text(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "column token: bigint (every value is a number)",
        "column code: text (a value is longer than 18 digits)",
        "Basic information about 3 bearers of tokens.",
        "run_failed code=1100",
        "parks: 12 inserted (1,234 bytes, 0.2 s).",
        "https://example.org/a/b.csv answers 404.",
        "user@example.org wrote",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact_text(text) == text


def test_an_event_is_redacted_in_depth_and_error_codes_stay() -> None:
    event = {
        "code": 1100,
        "event": f"https://u:{SECRET}@h/",
        "api_key": SECRET,
        "deep": [{"refresh_token": SECRET, "urls": (f"https://h/?{SECRET}",)}],
        "error": ValueError(f"password={SECRET}"),
        "count": 3,
        "sync_id": None,
    }
    redacted = redact(event)
    assert SECRET not in repr(redacted)
    assert (redacted["code"], redacted["count"], redacted["sync_id"]) == (1100, 3, None)
    assert redact({"code": SECRET}) == {"code": "***"}


LOGGING = """
import logging, structlog
from synctables.log import configure_logging

configure_logging(level="DEBUG", as_json={as_json})
secret = "s3cret" + "WORD"
structlog.get_logger("a").info("asked", url=f"https://u:{{secret}}@h/a?k={{secret}}", token=secret)
logging.getLogger("any.library").error("POST %s", f"https://h/token?refresh_token={{secret}}")
for name in ("urllib3.connectionpool", "googleapiclient.http", "dropbox", "box_sdk_gen", "aiohttp"):
    logging.getLogger(name).info("headers of %s", name)
    logging.getLogger(name).warning("warned by %s", name)
try:
    raise ValueError(f"Authorization: Bearer {{secret}}")
except ValueError:
    structlog.get_logger("a").exception("failed")
    logging.getLogger("any.library").exception("failed too")
"""


@pytest.mark.parametrize("as_json", [True, False])
def test_no_logger_lets_a_secret_out_and_sdks_only_warn(as_json: bool) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOGGING.format(as_json=as_json)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "s3cret" not in ended.stderr
    assert "https://h/a?***" in ended.stderr
    assert "headers of" not in ended.stderr
    assert ended.stderr.count("warned by") == 5
    assert ended.stderr.count("ValueError") >= 2
