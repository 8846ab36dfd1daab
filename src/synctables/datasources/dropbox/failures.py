"""What Dropbox answers instead of what it was asked for, as one of our errors.

An answer about the route (409) is the SDK's to read. The others are taken from it by a hook of its
session: it reads a 403 as if the route had said it, repeats after a 401 that it cannot mend, and
drops the Retry-After of a 5xx. Texts of the SDK and of requests stay out of messages and causes:
Dropbox quotes what it was sent, the token included.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from synctables.datasources.http_errors import (
    LONGEST_RETRY_AFTER_SECONDS,
    describe_status,
    parse_retry_after,
)
from synctables.errors import (
    DatasourceConfigurationError,
    DatasourceConnectError,
    DatasourceReadError,
    DownloadTimeoutError,
    DriveFileDeletedError,
    DriveForbiddenError,
    DropboxPermissionError,
    PartialFileError,
    RunError,
    UnsupportedFileError,
)

_SCOPE_IN_WORDS = re.compile(r"required scope '([\w.]+)'")
_MALFORMED_TOKEN = "access token is malformed"  # noqa: S105  # what Dropbox says of one
_OTHER = re.compile(r'"\.tag": *"other"')
"""What stands for every error without a name of its own, and what the SDK cannot read."""
_BAD_TOKENS = ("invalid_access_token", "expired_access_token", None)

_REFUSALS: dict[str, tuple[type[RunError], str]] = {
    "not_found": (
        DriveFileDeletedError,
        "{about} is not in Dropbox any more: deleted, or not shared with this account any more.",
    ),
    "shared_link_not_found": (
        DriveFileDeletedError,
        "{about} leads nowhere any more: the link has ended, or its file was deleted.",
    ),
    "shared_link_access_denied": (
        DatasourceReadError,
        "{about} may not be read by this account, or asks for a password.",
    ),
    "restricted_content": (
        DatasourceReadError,
        "Dropbox does not hand out {about}, for example for legal reasons.",
    ),
    "malformed_path": (DatasourceReadError, "{about} is no path, ID or link of Dropbox."),
    "invalid_argument": (DatasourceReadError, "Dropbox does not understand the search {about}."),
    "not_file": (DatasourceReadError, "{about} is a folder. Choose a file in it."),
    "shared_link_is_directory": (DatasourceReadError, "{about} is a folder. Choose a file in it."),
    "not_folder": (DatasourceReadError, "{about} is a file, not a folder."),
    "unsupported_link_type": (DatasourceReadError, "Dropbox does not hand out {about} to apps."),
    "unsupported_content_type": (
        UnsupportedFileError,
        "Dropbox cannot hand out {about} as a file.",
    ),
    "unsupported_file": (UnsupportedFileError, "Dropbox cannot hand out {about} as a file."),
    "non_exportable": (UnsupportedFileError, "Dropbox cannot hand out {about} as a file."),
    "invalid_export_format": (UnsupportedFileError, "Dropbox cannot hand out {about} as a table."),
    "locked": (DatasourceConnectError, "{about} is locked in Dropbox for now."),
    "retry_error": (DatasourceConnectError, "Dropbox cannot give {about} for now."),
    "internal_error": (DatasourceConnectError, "Dropbox cannot search for {about} for now."),
}
"""By the tag of the route's error, or of the lookup in it."""


class TokenRefusedError(Exception):
    """The access token is no good any more; a renewed one may be."""


class CursorResetError(Exception):
    """A listing has changed so much that it must be begun anew."""


class RefusedAnswerError(Exception):
    """An answer that is not about the route: what matters of it, and nothing that was sent."""

    def __init__(
        self,
        status: int,
        *,
        tag: str | None = None,
        scope: str | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(f"{status} {tag}")
        self.status = status
        self.tag = tag
        self.scope = scope
        self.retry_after_seconds = retry_after_seconds


def check_answer(response: Any, *_: Any, **__: Any) -> None:
    """A hook of requests: raise `RefusedAnswerError` before the SDK sees the answer."""
    status = response.status_code
    if status == HTTPStatus.CONFLICT and _OTHER.search(_text_of(response)):
        raise RefusedAnswerError(status, tag="other")
    if status in (401, 403, 429) or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _refused(response)
    if status == HTTPStatus.BAD_REQUEST:
        text = _text_of(response)
        if scope := _SCOPE_IN_WORDS.search(text):
            raise RefusedAnswerError(401, tag="missing_scope", scope=scope[1])
        if _MALFORMED_TOKEN in text:
            raise RefusedAnswerError(401, tag="invalid_access_token")


def _refused(response: Any) -> RefusedAnswerError:
    error = _error_of(response)
    seconds = parse_retry_after(response.headers.get("Retry-After"), now=datetime.now(UTC))
    told = error.get("retry_after")
    if seconds is None and isinstance(told, int):
        seconds = min(max(told, 0), LONGEST_RETRY_AFTER_SECONDS)
    reason = error.get("reason")
    tag = reason.get(".tag") if isinstance(reason, dict) else error.get(".tag")
    return RefusedAnswerError(
        response.status_code,
        tag=str(tag) if tag else None,
        scope=str(error.get("required_scope") or "") or None,
        retry_after_seconds=seconds,
    )


def _error_of(response: Any) -> dict[str, Any]:
    """What stands under ``error``; a bare tag counts as a union. Lets go of the connection."""
    text = _text_of(response)
    try:
        error = response.json().get("error")
    except (ValueError, AttributeError):
        return {"text": text}
    return error if isinstance(error, dict) else {".tag": error}


def _text_of(response: Any) -> str:
    try:
        return str(response.text)
    finally:
        response.close()


def answer_error(refused: RefusedAnswerError, about: str) -> RunError | TokenRefusedError:
    """The error for an answer that is not about the route."""
    status = refused.status
    if status == HTTPStatus.UNAUTHORIZED:
        return _unauthorized(refused, about)
    if status == HTTPStatus.FORBIDDEN:
        message = f"The rules of the Dropbox team forbid {about} ({refused.tag or 'forbidden'})."
        return DriveForbiddenError(message, http_status=status)
    if status == HTTPStatus.CONFLICT:
        return DatasourceReadError(f"Dropbox does not give {about}.", http_status=status)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        message = f"Dropbox asks for fewer requests ({refused.tag or 'too_many_requests'})."
    else:
        message = f"Dropbox answered {describe_status(status)} for {about}."
    seconds = refused.retry_after_seconds
    return DatasourceConnectError(message, http_status=status, retry_after_seconds=seconds)


def _unauthorized(refused: RefusedAnswerError, about: str) -> RunError | TokenRefusedError:
    if refused.tag in _BAD_TOKENS:
        return TokenRefusedError()
    if refused.tag == "missing_scope":
        return DatasourceConfigurationError(
            f"The app at Dropbox lacks the permission {refused.scope or 'for this'}: tick it in "
            "the App Console, then connect Dropbox again.",
            http_status=refused.status,
        )
    message = f"Dropbox does not let this account read {about} ({refused.tag})."
    return DropboxPermissionError(message, http_status=refused.status)


def route_error(error: Any, about: str) -> RunError | CursorResetError:
    """The error for what a route says by a union of the SDK (409)."""
    if _is(error, "reset"):
        return CursorResetError()
    lookup = error.get_path() if _is(error, "path") else error
    for tag, (kind, sentence) in _REFUSALS.items():
        if _is(lookup, tag):
            return kind(sentence.format(about=about), http_status=HTTPStatus.CONFLICT)
    return DatasourceReadError(f"Dropbox does not give {about}.", http_status=HTTPStatus.CONFLICT)


def _is(union: Any, tag: str) -> bool:
    predicate = getattr(union, f"is_{tag}", None)
    return bool(predicate and predicate())


@contextlib.contextmanager
def call_failures(about: str) -> Iterator[None]:
    """Turn whatever a call of the SDK raises into a `RunError` about this item.

    `TokenRefusedError` and `CursorResetError` are raised for whoever can mend them.
    """
    import requests
    from dropbox import exceptions
    from dropbox.stone_validators import ValidationError

    try:
        yield
    except RefusedAnswerError as refused:
        raise answer_error(refused, about) from None
    except exceptions.ApiError as error:
        raise route_error(error.error, about) from None
    except exceptions.PathRootError as error:
        message = f"This account may not enter the space of the Dropbox team where {about} is."
        raise DatasourceReadError(message, http_status=error.status_code) from None
    except exceptions.BadInputError as error:
        message = f"Dropbox does not understand what was asked about {about}."
        raise DatasourceReadError(message, http_status=error.status_code) from None
    except exceptions.HttpError as error:
        message = f"Dropbox answered {describe_status(error.status_code)} for {about}."
        raise DatasourceConnectError(message, http_status=error.status_code) from None
    except requests.RequestException as error:
        raise _transport_error(error, about) from None
    except (AssertionError, ValueError, KeyError, TypeError, ValidationError):
        message = f"What answered for {about} does not speak as Dropbox does."
        raise DatasourceConnectError(message) from None


@contextlib.contextmanager
def body_failures(about: str) -> Iterator[None]:
    """The same for a body on its way, which goes on after it broke."""
    import requests

    try:
        yield
    except requests.RequestException as error:
        if _is_timeout(error):
            raise _transport_error(error, about) from None
        message = f"The connection to Dropbox broke before the whole of {about} was here."
        raise PartialFileError(message) from None


def _transport_error(error: Exception, about: str) -> RunError:
    import requests

    if _is_timeout(error):
        return DownloadTimeoutError(f"Dropbox sent nothing of {about} for too long.")
    if isinstance(error, requests.exceptions.SSLError):
        return DatasourceConnectError("No secure connection to Dropbox could be made.")
    if isinstance(error, requests.exceptions.ConnectionError):
        return DatasourceConnectError("Dropbox does not answer: no connection could be made.")
    return DatasourceConnectError(f"Dropbox did not answer correctly for {about}.")


def _is_timeout(error: Exception) -> bool:
    """A timeout within a body comes as a ConnectionError around urllib3's own."""
    import requests
    from urllib3.exceptions import ReadTimeoutError

    if isinstance(error, requests.exceptions.Timeout):
        return True
    return bool(error.args) and isinstance(error.args[0], ReadTimeoutError)
