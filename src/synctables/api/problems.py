"""Errors on the wire: one table from error class to status, and one shape.

Every error is ``{"errors": "text"}``; below ``/api/v1/imports`` it is
``{"errors": {"imports": "text"}}``, as the documented clients expect.
"""

from __future__ import annotations

from uuid import uuid4

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from synctables.db.pool import UNAVAILABLE
from synctables.errors import (
    InvalidRequestError,
    NotInPlanError,
    PlanLimitError,
    TerminalError,
    TooManyCallsError,
    TooManyImportsError,
    TransientError,
    UnauthenticatedError,
    UnknownItemError,
)

log = structlog.stdlib.get_logger(__name__)

STATUS_BY_ERROR: dict[type[Exception], int] = {
    InvalidRequestError: 400,
    UnauthenticatedError: 401,
    NotInPlanError: 401,
    PlanLimitError: 403,
    UnknownItemError: 404,
    TooManyCallsError: 429,
    TooManyImportsError: 429,
    TerminalError: 400,  # an upload that is too big, say: known before a run exists
    TransientError: 503,
    **dict.fromkeys(UNAVAILABLE, 503),
}

_DATABASE_TEXT = "The database does not answer at the moment. Try again soon."
_NOWHERE_TEXT = "There is nothing at this address."
_FRAMEWORK_TEXTS = {
    404: _NOWHERE_TEXT,
    405: "This address does not take this method.",
}
_IMPORTS_PATH = "/api/v1/imports"

_HEADERS_BY_STATUS = {
    401: {"WWW-Authenticate": 'Basic realm="synctables", charset="UTF-8"'},
    503: {"Retry-After": "5"},
}


def problem_response(
    path: str, *, status: int, text: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """An error in the documented shape, for a call to this path."""
    is_import = path == _IMPORTS_PATH or path.startswith(f"{_IMPORTS_PATH}/")
    errors: str | dict[str, str] = {"imports": text} if is_import else text
    return JSONResponse(
        {"errors": errors},
        status_code=status,
        headers={**_HEADERS_BY_STATUS.get(status, {}), **(headers or {})},
    )


def install_problem_handlers(app: FastAPI) -> None:
    """Make ``app`` answer every error in the documented shape."""
    for error_class in STATUS_BY_ERROR:
        app.add_exception_handler(error_class, _answer_known)
    app.add_exception_handler(HTTPException, _answer_framework)
    app.add_exception_handler(RequestValidationError, _answer_invalid)


def _find_status(error: Exception) -> int:
    return next(STATUS_BY_ERROR[known] for known in type(error).__mro__ if known in STATUS_BY_ERROR)


async def _answer_known(request: Request, error: Exception) -> JSONResponse:
    text = str(error)
    if isinstance(error, UNAVAILABLE):
        log.warning("api.database_unavailable", error=type(error).__name__, detail=text)
        text = _DATABASE_TEXT
    return problem_response(
        request.scope["path"], status=_find_status(error), text=text, headers=_headers(error)
    )


def _headers(error: Exception) -> dict[str, str]:
    if isinstance(error, TooManyCallsError):
        return {"Retry-After": str(error.retry_after_seconds)}
    return {}


async def _answer_framework(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for it
    text = _FRAMEWORK_TEXTS.get(error.status_code, str(error.detail))
    headers = dict(error.headers or {})
    return problem_response(
        request.scope["path"], status=error.status_code, text=text, headers=headers
    )


async def _answer_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for it
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][1:]) or "request"
    return problem_response(
        request.scope["path"], status=400, text=f"Invalid {name}: {first['msg']}"
    )


class UnforeseenErrors:
    """Answers 500 for what nobody foresaw. The user gets a reference, the log the traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_started = False

        async def watch(message: Message) -> None:
            nonlocal has_started
            has_started = has_started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except ClientDisconnect:
            log.info("api.client_left", path=scope.get("path"))
        except Exception:
            if scope["type"] != "http":
                raise
            reference = uuid4().hex[:12]
            log.exception("api.unforeseen_error", reference=reference, path=scope["path"])
            if has_started:
                raise
            text = f"Something unforeseen happened. Tell the operator this reference: {reference}"
            await problem_response(scope["path"], status=500, text=text)(scope, receive, send)
