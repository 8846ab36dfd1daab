"""JSONP: a successful answer as a call of the function that the client names (reference 1.1)."""

import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

_CALLBACK = re.compile(r"[$a-z_][0-9a-z_$]*", re.ASCII | re.IGNORECASE)
_WRONG = {"errors": {"callback": "Invalid callback format"}}

# Left as they are, these end a line inside a JavaScript text of old browsers.
_LINE_SEPARATORS = ((b"\xe2\x80\xa8", rb"\u2028"), (b"\xe2\x80\xa9", rb"\u2029"))


class JsonpRoute(APIRoute):
    """A route whose answer is wrapped where the query asks for a ``callback``."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answer_wrapped(request: Request) -> Response:
            callback = request.query_params.get("callback")
            if callback is None:
                return await answer(request)
            if not _CALLBACK.fullmatch(callback):
                return JSONResponse(_WRONG, status_code=400)
            return wrap(await answer(request), callback)

        return answer_wrapped


def wrap(response: Response, callback: str) -> Response:
    """The response as JavaScript; an empty one and a page are left alone."""
    if not response.body or response.media_type == "text/html":
        return response
    body = bytes(response.body)
    for separator, escaped in _LINE_SEPARATORS:
        body = body.replace(separator, escaped)
    # The comment keeps the file from being taken for another format (the "Rosetta Flash" attack).
    return Response(
        b"/**/" + callback.encode() + b"(" + body + b");",
        status_code=response.status_code,
        media_type="text/javascript",
    )
