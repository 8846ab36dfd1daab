"""Parameters of a call: query and body merged, whatever way the client chose to send them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.requests import Request

from synctables.api.multipart import FieldRead, FileData, MultipartReader, is_multipart
from synctables.errors import InvalidRequestError

MAX_BODY_BYTES = 1_048_576

FORM_TYPE = "application/x-www-form-urlencoded"


async def read_parameters(request: Request) -> dict[str, Any]:
    """Query and body as one dictionary; the body wins. Raises `InvalidRequestError`.

    A body is a JSON object, a form or a multipart form without files. JSON is also taken where
    the client forgot to say so (``curl -d '{…}'`` calls it a form); an empty body is no parameters.
    """
    body = await read_body(request, limit=MAX_BODY_BYTES)
    parameters = {**read_query(request), **parse_body(request.headers, body)}
    check_texts(parameters)
    return parameters


def read_query(request: Request) -> dict[str, Any]:
    """The query's parameters; of equal names the last counts."""
    return dict(request.query_params.multi_items())


async def read_body(request: Request, *, limit: int) -> bytes:
    """The whole body, which may be ``limit`` bytes long. Raises `InvalidRequestError`."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise InvalidRequestError(f"The body is longer than {limit:,} bytes.")
    return bytes(body)


def parse_body(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The parameters in a body. Raises `InvalidRequestError`."""
    content_type = Headers(headers).get("content-type", "").partition(";")[0].strip().lower()
    if not body.strip():
        return {}
    if is_multipart(content_type):
        return _parse_multipart(Headers(headers)["content-type"], body)
    looks_like_json = body.lstrip().startswith((b"{", b"[", b"\xef\xbb\xbf{"))
    if content_type == FORM_TYPE and not looks_like_json:
        return dict(parse_qsl(_decode(body), keep_blank_values=True))
    if content_type.endswith("json") or looks_like_json or not content_type:
        return _parse_json(body)
    raise InvalidRequestError(
        f"A body of type {content_type[:80]!r} cannot be read: send application/json or a form."
    )


def _decode(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequestError("The body is not valid UTF-8.") from error


def _parse_json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(_decode(body), parse_constant=_refuse_constant)
    except RecursionError as error:
        raise InvalidRequestError("The body is not valid JSON: it is nested too deeply.") from error
    except json.JSONDecodeError as error:
        raise InvalidRequestError(f"The body is not valid JSON: {error}.") from error
    except ValueError as error:  # a number of thousands of digits
        raise InvalidRequestError("The body is not valid JSON: a number is too long.") from error
    if not isinstance(value, dict):
        raise InvalidRequestError("The body must be a JSON object.")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidRequestError(f"The body is not valid JSON: {name} is no JSON number.")


def _parse_multipart(content_type: str, body: bytes) -> dict[str, Any]:
    reader = MultipartReader(content_type, max_fields_bytes=MAX_BODY_BYTES)
    events = reader.feed(body)
    reader.finish()
    if any(isinstance(event, FileData) for event in events):
        raise InvalidRequestError("Files are taken by /api/v1/imports only.")
    return {event.name: event.value for event in events if isinstance(event, FieldRead)}


def check_texts(value: object) -> None:
    """Raise `InvalidRequestError` if a text inside ``value`` cannot be stored in PostgreSQL.

    Those are NUL, and halves of surrogate pairs, which JSON can spell but UTF-8 cannot hold.
    """
    try:
        _check_texts(value)
    except RecursionError as error:
        raise InvalidRequestError("The body is not valid JSON: it is nested too deeply.") from error


def _check_texts(value: object) -> None:
    match value:
        case str():
            if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
                raise InvalidRequestError("A text holds characters that no text can hold (NUL).")
        case dict():
            for key, item in value.items():
                _check_texts(key)
                _check_texts(item)
        case list():
            for item in value:
                _check_texts(item)
