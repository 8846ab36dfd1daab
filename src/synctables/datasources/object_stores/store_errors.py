"""What went wrong at an object store, as one of our errors.

``obstore`` tells the kind by few classes and the rest in its text: the status, the store's own
code in the body, and how a connection failed. That text is read and never quoted: it may hold
addresses signed with a SAS token, and bodies that echo keys. It does not hold headers, so that a
store's ``Retry-After`` is unknown here.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from http import HTTPStatus

from synctables.datasources.http_errors import describe_status
from synctables.datasources.object_stores.stores import GUIDE, SETTINGS_PREFIXES
from synctables.errors import (
    DatasourceConfigurationError,
    DatasourceConnectError,
    DatasourceReadError,
    DownloadTimeoutError,
    FileNotFoundAtSourceError,
    PartialFileError,
    RunError,
)
from synctables.object_address import ObjectAddress, Place

_STATUS = re.compile(r"Server returned non-2xx status code: (\d{3})")
_CODE = re.compile(r"<Code>\s*(\w{1,100})\s*</Code>")
_KIND = re.compile(r"HttpError \{\s*kind: (\w+)")
_WRONG_PATH = re.compile(r"empty path segment|Error parsing Path|[Ii]nvalid path")
_UNKNOWN_CREDENTIALS = re.compile(r"Server failed to authenticate the request")
"""Azure's words, under several codes."""

_CREDENTIAL_CODES = frozenset(
    [
        *("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"),
        *("RequestTimeTooSkewed", "RequestExpired", "InvalidSecurity", "AccountProblem"),
        *("AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation"),
    ]
)
_ELSEWHERE_CODES = frozenset(
    ["PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed"]
)
_NO_BUCKET_CODES = frozenset(["NoSuchBucket", "ContainerNotFound"])
_ARCHIVED_CODES = frozenset(["InvalidObjectState", "BlobArchived"])
_NOT_FOUND = (404, 410)
_FORBIDDEN = 403
_REDIRECTS = (301, 302, 303, 307, 308)
_TRANSIENT_STATUSES = (408, 425, 429)


class ChangedError(Exception):
    """The object is not, or no more, the version that was asked for."""


@contextlib.contextmanager
def store_errors(where: ObjectAddress | Place, *, in_body: bool = False) -> Iterator[None]:
    """Turn what ``obstore`` raises into a `RunError` about this address, or `ChangedError`.

    Not modified passes as it is. ``in_body``: the answer has begun, what breaks is its body.
    """
    from obstore import exceptions  # an extra: imported when used

    try:
        yield
    except exceptions.NotModifiedError:
        raise
    except exceptions.PreconditionError:
        raise ChangedError from None
    except FileNotFoundError as error:
        raise _not_found(str(error), where) from None
    except (exceptions.InvalidPathError, ValueError):
        raise _unnameable(where) from None
    except exceptions.UnauthenticatedError as error:
        raise _wrong_credentials(where, http_status=_status(str(error))) from None
    except exceptions.BaseError as error:
        raise _by_text(str(error), where, in_body=in_body) from None


def _not_found(text: str, where: ObjectAddress | Place) -> RunError:
    if _code(text) in _NO_BUCKET_CODES:
        message = f"There is no {where.store}://{where.bucket}."
    else:
        message = f"There is nothing at {where}."
    return FileNotFoundAtSourceError(message, http_status=_status(text))


def _unnameable(where: ObjectAddress | Place) -> RunError:
    """The library lists nothing at all where one key has no path that it can hold."""
    message = (
        f"{where} cannot be listed: a key in it has an empty segment (//) or one that is . or .."
    )
    return DatasourceReadError(f"{message}.")


def _wrong_credentials(where: ObjectAddress | Place, *, http_status: int | None) -> RunError:
    message = (
        f"{where.store}://{where.bucket} does not take the credentials of this server"
        f" ({SETTINGS_PREFIXES[where.store]}…; see {GUIDE}), or their clocks differ."
    )
    return DatasourceConfigurationError(message, http_status=http_status)


def _elsewhere(where: ObjectAddress | Place, *, http_status: int | None) -> RunError:
    message = (
        f"{where.store}://{where.bucket} is in another region, or at another endpoint, than"
        f" {SETTINGS_PREFIXES[where.store]}… say; see {GUIDE}."
    )
    return DatasourceConfigurationError(message, http_status=http_status)


def _by_text(text: str, where: ObjectAddress | Place, *, in_body: bool) -> RunError:
    status, code = _status(text), _code(text)
    if status is None:
        return _broken(text, where, in_body=in_body)
    if code in _NO_BUCKET_CODES or status in _NOT_FOUND:
        return _not_found(text, where)
    if code in _ELSEWHERE_CODES or status in _REDIRECTS:
        return _elsewhere(where, http_status=status)
    if code in _CREDENTIAL_CODES or _UNKNOWN_CREDENTIALS.search(text):
        return _wrong_credentials(where, http_status=status)
    return _answered(status, code, where)


def _answered(status: int, code: str, where: ObjectAddress | Place) -> RunError:
    if code in _ARCHIVED_CODES:
        message = f"{where} is archived. It can be read when its owner has restored it."
    elif status == _FORBIDDEN:
        # Stores say so of a missing object too, to whoever may not list the bucket.
        message = f"{where} may not be read by this server, or is not there."
    else:
        answer = " ".join((describe_status(status), code)).strip()
        message = f"The store of {where} answered {answer}."
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRANSIENT_STATUSES:
        return DatasourceConnectError(message, http_status=status)
    return DatasourceReadError(message, http_status=status)


def _broken(text: str, where: ObjectAddress | Place, *, in_body: bool) -> RunError:
    """No answer, or half of one."""
    kind = found[1] if (found := _KIND.search(text)) else ""
    if kind == "Timeout" or "operation timed out" in text:
        return DownloadTimeoutError(f"The store of {where} sent nothing for too long.")
    if in_body:
        return PartialFileError(f"The store of {where} broke the connection before its end.")
    if _WRONG_PATH.search(text):
        return _unnameable(where)
    if "redirect" in text.lower():
        return _elsewhere(where, http_status=None)
    if kind == "Connect":
        return DatasourceConnectError(f"No connection to the store of {where} could be made.")
    return DatasourceConnectError(f"The store of {where} did not answer properly.")


def _status(text: str) -> int | None:
    found = _STATUS.search(text)
    return int(found[1]) if found else None


def _code(text: str) -> str:
    found = _CODE.search(text)
    return found[1] if found else ""
