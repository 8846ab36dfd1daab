"""What Box's SDK raises, as our errors.

Nothing is chained (``from None``): the SDK's errors hold the whole request, token and form
included, and their texts would print parts of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TypeVar

import requests
from box_sdk_gen import BoxAPIError, BoxSDKError
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import ReadTimeoutError

from synctables.datasources.http_errors import describe_status, parse_retry_after
from synctables.errors import (
    DatasourceConfigurationError,
    DatasourceConnectError,
    DatasourceReadError,
    DownloadTimeoutError,
    DriveFileDeletedError,
    DriveForbiddenError,
    PartialFileError,
    RunError,
)

Answer = TypeVar("Answer")

_GONE = (404, 410)
_TRANSIENT = (401, 408, 409, 412, 416, 425, 429)
"""401: of a token that Box has just given (its servers do not all know it yet); 409: the item is
being moved; 412 and 416: the file changed between two requests."""

_BY_CODE: dict[str, tuple[type[RunError], str]] = {
    "trashed": (DriveFileDeletedError, "{what} is in Box's trash."),
    "forbidden_by_policy": (DriveForbiddenError, "Box refuses {what}: {says}"),
    "access_from_location_blocked": (
        DriveForbiddenError,
        "Box refuses {what}: its administrators do not allow access from this server's location.",
    ),
    "terms_of_service_required": (
        DriveForbiddenError,
        "Box refuses {what} until the terms of service of its owner's company are accepted there.",
    ),
    "incorrect_shared_item_password": (
        DatasourceReadError,
        "The shared link {what} wants a password. Share the file without one.",
    ),
    "insufficient_scope": (
        DatasourceConfigurationError,
        "The app of this server lacks a scope to read {what}: docs/guides/box.md lists them.",
    ),
    "access_denied_insufficient_permissions": (
        DatasourceReadError,
        "The connected account may not read {what} in Box.",
    ),
}
"""By Box's own code of the error:
https://developer.box.com/guides/api-calls/permissions-and-errors/common-errors/"""


def ask(what: str, call: Callable[[], Answer]) -> Answer:
    """What one call of the SDK gives. Raises a `RunError` about ``what``."""
    try:
        return call()
    except BoxAPIError as error:
        raise answer_error(error, what) from None
    except (BoxSDKError, requests.RequestException) as error:
        raise _transport_error(error, what) from None
    except (TypeError, AttributeError):
        # The SDK builds its objects without looking: at a proxy's page, or at half a JSON.
        raise DatasourceConnectError(f"What came for {what} is no answer of Box's.") from None


def stream(what: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks of a body; a break in the middle is a `PartialFileError` about ``what``."""
    try:
        yield from chunks
    except requests.RequestException as error:
        if _is_timeout(error):
            raise _timed_out(what) from None
        message = f"The connection to Box broke before {what} was whole."
        raise PartialFileError(message) from None


def answer_error(error: BoxAPIError, what: str) -> RunError:
    """The error for an answer other than success."""
    status, code = error.response_info.status_code, error.response_info.code or ""
    if code in _BY_CODE:
        kind, text = _BY_CODE[code]
        return kind(text.format(what=what, says=says(error)), http_status=status)
    if status in _GONE:
        message = f"{what} is not in Box any more, or not shared with the connected account."
        return DriveFileDeletedError(message, http_status=status)
    message = f"Box answered {describe_status(status)} for {what}."
    if status in _TRANSIENT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return DatasourceConnectError(
            message, http_status=status, retry_after_seconds=retry_after(error)
        )
    return DatasourceReadError(message, http_status=status)


def says(error: BoxAPIError) -> str:
    """Box's own sentence, on one line and not for ever."""
    body = error.response_info.body or {}
    return (
        " ".join(str(body.get("message") or "no reason is given").split())[:200].rstrip(".") + "."
    )


def retry_after(error: BoxAPIError) -> int | None:
    """How long Box asks to be left alone, in seconds."""
    return header_seconds(error.response_info.headers)


def header_seconds(headers: dict[str, str]) -> int | None:
    """The header Retry-After, in seconds."""
    value = CaseInsensitiveDict(headers).get("retry-after")
    return parse_retry_after(value, now=datetime.now(UTC))


def is_lost(error: RunError) -> bool:
    """Whether nobody can say if Box carried the request out: no answer of its own came."""
    return isinstance(error, DatasourceConnectError | DownloadTimeoutError) and not (
        error.http_status and error.http_status < HTTPStatus.INTERNAL_SERVER_ERROR
    )


def _transport_error(error: BoxSDKError | requests.RequestException, what: str) -> RunError:
    cause = getattr(error, "error", None) or error
    if _is_timeout(cause):
        return _timed_out(what)
    if isinstance(cause, requests.exceptions.SSLError):
        return DatasourceConnectError("No secure connection to Box could be made.")
    return DatasourceConnectError(f"Box does not answer for {what}, or broke the connection.")


def _is_timeout(error: object) -> bool:
    """While a body comes, requests calls a timeout a broken connection."""
    wrapped = error.args[0] if isinstance(error, Exception) and error.args else None
    return isinstance(error, requests.Timeout) or isinstance(wrapped, ReadTimeoutError)


def _timed_out(what: str) -> DownloadTimeoutError:
    return DownloadTimeoutError(f"Box sent nothing for too long while asked for {what}.")
