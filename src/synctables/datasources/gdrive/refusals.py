"""What Google's answers and the troubles on the way mean, as our errors. Pure but for the clock.

The reasons and their shapes: "Resolve errors" in the guides of the Drive API. A 403 is anything
from "wait a second" to "never", and only its reason tells which. Google's own texts are not
repeated: some quote addresses.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import requests
from google.auth.exceptions import RefreshError, TransportError
from urllib3.exceptions import NameResolutionError, ReadTimeoutError

from synctables.datasources.gdrive.installation import GUIDE
from synctables.datasources.http_errors import describe_status, parse_retry_after
from synctables.errors import (
    DatasourceConfigurationError,
    DatasourceConnectError,
    DatasourceReadError,
    DownloadTimeoutError,
    DriveFileDeletedError,
    DriveForbiddenError,
    FileTooBigError,
    NotConnectedError,
    PartialFileError,
    RunError,
)

GOOGLE = "Google Drive"
_A_WHILE_SECONDS = 3600
"""Quotas that last for a day; Google does not say when they end."""


class ExportTooLargeError(FileTooBigError):
    """Google does not export a document as large as this; another form of it may do."""


_UNREADABLE = {
    "appNotAuthorizedToFile": "this app is not authorized to read {item}",
    "insufficientFilePermissions": "this account has no permission to read {item} any more",
    "insufficientParentPermissions": "this account has no permission to read {item} any more",
    "forbidden": "this account has no permission to read {item} any more",
    "teamDriveMembershipRequired": "this account is no member of the shared drive of {item}",
    "cannotDownloadFile": "the owner of {item} lets nobody download it",
    "cannotDownloadAbusiveFile": "Google takes {item} for malware or spam and does not give it out",
    "abuse": "Google takes {item} for malware or spam and does not give it out",
    "fileNotDownloadable": "{item} holds nothing that could be downloaded",
    "fileNotExportable": "{item} cannot be exported",
}
_BUSY = {
    "userRateLimitExceeded": "asks for fewer requests of this account",
    "rateLimitExceeded": "asks for fewer requests of this server",
}
_USED_UP = {
    "dailyLimitExceeded": "this server's requests of today are used up",
    "dailyLimitExceededUnreg": "this server's requests of today are used up",
    "quotaExceeded": "the quota for {item} is used up for today",
    "downloadQuotaExceeded": "{item} was downloaded so often that Google gives it out later only",
}
_NOT_SET_UP = ("accessNotConfigured", "SERVICE_DISABLED", "keyInvalid")
_NO_CONSENT = ("insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "insufficientScopes")


def refusal(
    status: int,
    body: bytes,
    *,
    item: str,
    retry_after: str | None = None,
    now: datetime | None = None,
) -> RunError:
    """The error for an answer other than 2xx to a request about ``item``, as a user calls it."""
    wait = parse_retry_after(retry_after, now=now or datetime.now(UTC))
    if status == HTTPStatus.FORBIDDEN:
        return _forbidden(reason_of(body), item=item, wait=wait)
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        message = f"There is no {item} in {GOOGLE} any more, or not for this account."
        return DriveFileDeletedError(message, http_status=status)
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return PartialFileError(f"{GOOGLE} has fewer bytes of {item} than before.")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in (401, 408, 429):
        message = f"{GOOGLE} answered {describe_status(status)} about {item}."
        return DatasourceConnectError(message, http_status=status, retry_after_seconds=wait)
    message = f"{GOOGLE} answered {describe_status(status)} about {item}."
    return DatasourceReadError(message, http_status=status)


def _forbidden(reason: str, *, item: str, wait: int | None) -> RunError:
    status = int(HTTPStatus.FORBIDDEN)
    if reason in _BUSY:
        message = f"{GOOGLE} {_BUSY[reason]}."
        return DatasourceConnectError(message, http_status=status, retry_after_seconds=wait)
    if reason in _USED_UP:
        message = f"{GOOGLE}: {_USED_UP[reason].format(item=item)}."
        seconds = wait or _A_WHILE_SECONDS
        return DatasourceConnectError(message, http_status=status, retry_after_seconds=seconds)
    if reason == "domainPolicy":
        message = f"The administrators of the Google domain forbid this app to read {item}."
        return DriveForbiddenError(message, http_status=status)
    if reason == "exportSizeLimitExceeded":
        message = f"{GOOGLE} does not export a document as large as {item}."
        return ExportTooLargeError(message, http_status=status)
    if reason in _NOT_SET_UP:
        message = f"The Drive API is not enabled in this server's Google project. See {GUIDE}."
        return DatasourceConfigurationError(message, http_status=status)
    if reason in _NO_CONSENT:
        message = f"The consent to read in {GOOGLE} was not given. Connect {GOOGLE} again."
        return NotConnectedError(message, http_status=status)
    sentence = _UNREADABLE.get(reason, "it refuses to give {item}" + f" ({reason or 'no reason'})")
    message = f"{GOOGLE}: {sentence.format(item=item)}."
    return DatasourceReadError(message, http_status=status)


def reason_of(body: bytes) -> str:
    """The machine-readable reason in an answer's body, of either of Google's two shapes."""
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return ""
    if not isinstance(error, dict):
        return ""
    known: list[Any] = [*(error.get("errors") or ()), *(error.get("details") or ())]
    reasons = (str(one.get("reason") or "") for one in known if isinstance(one, dict))
    return next((reason for reason in reasons if reason), str(error.get("status") or ""))[:80]


def transport_error(error: Exception, *, item: str) -> RunError:
    """The error for what requests, or google-auth around it, raised."""
    cause = error.args[0] if isinstance(error, TransportError) and error.args else error
    if isinstance(cause, requests.Timeout) or _is_caused_by(cause, ReadTimeoutError):
        return DownloadTimeoutError(f"{GOOGLE} sent nothing of {item} for too long.")
    if isinstance(cause, requests.exceptions.SSLError):
        return DatasourceConnectError(f"No secure connection to {GOOGLE} could be made.")
    if isinstance(
        cause, requests.exceptions.ChunkedEncodingError | requests.exceptions.ContentDecodingError
    ):
        return PartialFileError(f"{GOOGLE} broke the connection before all of {item} was here.")
    if _is_caused_by(cause, NameResolutionError):
        return DatasourceConnectError(f"The name of {GOOGLE}'s server does not resolve.")
    return DatasourceConnectError(f"{GOOGLE} does not answer, or broke the connection.")


def _is_caused_by(error: object, kind: type[Exception]) -> bool:
    """requests wraps urllib3's errors as its argument, those with retries once more."""
    wrapped = getattr(error, "args", ())
    return any(isinstance(getattr(one, "reason", one), kind) for one in wrapped)


def refresh_error(error: RefreshError, *, is_service_account: bool = False) -> RunError:
    """The error for a token that Google did not renew; `NotConnectedError`: it is dead for good."""
    answer = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], dict) else {}
    code = str(answer.get("error") or "")
    needs_login = str(error.args[0] if error.args else "").startswith("Reauthentication")
    if is_service_account and code in ("invalid_grant", "invalid_client", "unauthorized_client"):
        message = f"Google refuses the key in SYNCTABLES_GDRIVE_SERVICE_ACCOUNT_FILE. See {GUIDE}."
        return DatasourceConfigurationError(message)
    if code in ("invalid_client", "unauthorized_client", "deleted_client", "disabled_client"):
        message = (
            "Google refuses SYNCTABLES_GDRIVE_CLIENT_ID or SYNCTABLES_GDRIVE_CLIENT_SECRET."
            f" See {GUIDE}."
        )
        return DatasourceConfigurationError(message)
    if code in ("admin_policy_enforced", "org_internal", "access_denied"):
        return DriveForbiddenError("The administrators of the Google domain forbid this app.")
    if code == "invalid_grant" or needs_login:
        message = f"The permission to read was withdrawn in {GOOGLE}, or has ended."
        return NotConnectedError(message)
    return DatasourceConnectError("Google's sign-in does not answer as it should.")
