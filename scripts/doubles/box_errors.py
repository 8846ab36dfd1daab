"""Errors as Box's API sends them.

https://developer.box.com/guides/api-calls/permissions-and-errors/common-errors/
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from aiohttp import web

_CHALLENGE = (
    'Bearer realm="Service", error="invalid_token", '
    'error_description="The access token provided is invalid."'
)


class BoxError(Exception):
    """An answer other than success."""

    def __init__(
        self, status: int, code: str, message: str, context: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.context = context

    def answer(self) -> web.Response:
        if self.status == 401:  # an empty body; all is in the header (RFC 6750 section 3)
            says = (
                'error="invalid_token", error_description="The access token provided is invalid."'
            )
            challenge = f'Bearer realm="Service", {says}'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        body = error_body(self.status, self.code, self.message, self.context)
        return web.json_response(body, status=self.status)


def error_body(
    status: int, code: str, message: str, context: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The client error of the API, as faults in tests send it, too."""
    body = {
        "type": "error",
        "status": status,
        "code": code,
        "help_url": "http://developers.box.com/docs/#errors",
        "message": message,
        "request_id": secrets.token_hex(8),
    }
    return {**body, "context_info": context} if context else body


@web.middleware
async def meet_errors(
    request: web.Request, handler: Callable[[web.Request], Any]
) -> web.StreamResponse:
    try:
        answer: web.StreamResponse = await handler(request)
    except BoxError as error:
        return error.answer()
    return answer


def not_found(what: str) -> BoxError:
    invalid = f"Invalid value '{what}'. 'item' with value '{what}' not found"
    error = {"reason": "invalid_parameter", "name": "item", "message": invalid}
    return BoxError(404, "not_found", "Not Found", {"errors": [error]})


def denied() -> BoxError:
    message = "Access denied - insufficient permission"
    return BoxError(403, "access_denied_insufficient_permissions", message)
