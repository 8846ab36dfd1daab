"""Structured logs on stderr; secrets in addresses never reach them."""

from __future__ import annotations

import logging
import sys
from urllib.parse import urlsplit, urlunsplit

import structlog

from synctables.redaction import redact_event

_QUIET = (
    *("procrastinate", "uvicorn.access", "alembic"),
    # Libraries that speak HTTP: below WARNING they log addresses, headers and bodies whole.
    *("aiohttp", "asyncio", "box_sdk_gen", "boxsdk", "dropbox", "google", "googleapiclient"),
    *("google_auth_httplib2", "google_auth_oauthlib", "httpcore", "httplib2", "httpx", "oauthlib"),
    *("requests", "requests_oauthlib", "urllib3"),
)
"""Loggers that tell only what went wrong, whatever the level."""


def configure_logging(*, level: str = "INFO", as_json: bool = False) -> None:
    """Send structlog's and the standard library's records to stderr, one line each."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,  # before rendering, so that JSON has it too
        redact_event,  # last: it sees everything, tracebacks included
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # The default prints the local variables of every frame: API keys, addresses, rows.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def public_url(url: str) -> str:
    """The address without user, password, query and fragment: what may stand in a log."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    netloc = f"{host}:{parts.port}" if parts.port else host
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))
