"""What went wrong with a request, as one of our errors. Pure but for the clock of Retry-After.

Messages name the address without query and userinfo, and never quote the HTTP library's own
texts, which hold the whole URL.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import aiohttp

from synctables.datasources._http import BlockedConnectionError
from synctables.errors import (
    BlockedAddressError,
    DownloadError,
    DownloadRefusedError,
    DownloadTimeoutError,
    FileNotFoundAtSourceError,
    ForbiddenSourceError,
    PartialFileError,
    RunError,
    UnknownServerError,
)

LONGEST_RETRY_AFTER_SECONDS = 86_400

_FORBIDDEN = (401, 403, 407)
_NOT_FOUND = (404, 410)
_TRANSIENT = (202, 408, 425, 429)
"""202: the file is still being made (several open-data portals answer so)."""


def status_error(status: int, *, address: str, retry_after: str | None, now: datetime) -> RunError:
    """The error for a final answer other than a file."""
    message = f"{address} answered {describe_status(status)}."
    if status in _FORBIDDEN:
        return ForbiddenSourceError(message, http_status=status)
    if status in _NOT_FOUND:
        return FileNotFoundAtSourceError(message, http_status=status)
    if status in _TRANSIENT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        seconds = parse_retry_after(retry_after, now=now)
        return DownloadError(message, http_status=status, retry_after_seconds=seconds)
    return DownloadRefusedError(message, http_status=status)


def describe_status(status: int) -> str:
    """``404 Not Found``."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def parse_retry_after(value: str | None, *, now: datetime) -> int | None:
    """Seconds of a Retry-After header (RFC 9110 section 10.2.3), from 0 to a day; None: unclear."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:9])
    else:
        moment = parse_http_date(text)
        if moment is None:
            return None
        seconds = (moment - now).total_seconds()
    return int(min(max(seconds, 0), LONGEST_RETRY_AFTER_SECONDS))


def parse_http_date(value: str | None) -> datetime | None:
    """A moment in UTC; None where the header is missing or is no date."""
    try:
        moment = parsedate_to_datetime(value or "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


@contextlib.contextmanager
def http_errors(address: str, *, http_status: int | None = None) -> Iterator[None]:
    """Turn whatever the HTTP library raises into a `RunError` about this public address.

    ``http_status``: that of the answer being read, where there is one already.
    """
    try:
        yield
    except aiohttp.ClientConnectorError as error:
        raise _connection_error(error, address) from error
    except TimeoutError as error:
        message = f"{address} sent nothing for too long."
        raise DownloadTimeoutError(message, http_status=http_status) from error
    except aiohttp.ClientPayloadError as error:
        message = f"{address} broke the connection before the whole file was here."
        raise PartialFileError(message, http_status=http_status) from error
    except aiohttp.InvalidURL as error:
        raise DownloadRefusedError(f"{address} is not a valid address.") from error
    except aiohttp.ClientResponseError as error:
        raise DownloadError(f"{address} does not speak HTTP correctly.") from error
    except (aiohttp.ClientError, ConnectionError) as error:
        message = f"{address} broke the connection."
        raise DownloadError(message, http_status=http_status) from error
    except UnicodeError as error:
        raise DownloadRefusedError(f"{address} has no valid host name.") from error


def _connection_error(error: aiohttp.ClientConnectorError, address: str) -> RunError:
    cause = error.os_error
    if isinstance(cause, BlockedConnectionError):
        message = f"{address} leads into a network that may not be fetched from ({cause.reason})."
        return BlockedAddressError(message)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return UnknownServerError(f"The name of the server in {address} does not resolve.")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        problem = _certificate_problem(error.certificate_error)
        return DownloadRefusedError(f"The certificate of {address} is not valid: {problem}.")
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return DownloadRefusedError(f"No secure connection to {address} could be made.")
    reason = os.strerror(cause.errno) if cause.errno else "no connection"
    return UnknownServerError(f"The server in {address} does not answer: {reason}.")


def _certificate_problem(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message.rstrip(".")
    return "it could not be verified"
