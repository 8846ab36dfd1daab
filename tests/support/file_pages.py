"""What `FileServer` answers: a page, and what HTTP makes of it for one request."""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Page:
    """What one path answers. Sizes are bytes of the body as it goes over the wire."""

    body: bytes = b""
    status: int = 200
    content_type: str | None = None
    etag: str | None = None
    """With its quotes, and ``W/`` if weak."""
    last_modified: str | None = None
    content_disposition: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers; they win over all others."""
    content_encoding: str | None = None
    """``gzip`` or ``deflate``: the body is compressed on the way, asked for or not."""
    is_conditional: bool = True
    """Answers 304 where If-None-Match or If-Modified-Since (compared as text) match."""
    accepts_ranges: bool = True
    """Answers 206 to ``Range: bytes=N-`` unless If-Range (compared as text) does not match."""
    is_chunked: bool = False
    is_until_close: bool = False
    """Neither a length nor chunks: the body ends where the connection does."""
    declared_bytes: int | None = None
    """The Content-Length to lie with; the connection is closed after the body."""
    cut_after_bytes: int | None = None
    """The connection is closed after this many bytes of the body."""
    hold_after_bytes: int | None = None
    """After this many bytes nothing is sent until `FileServer.release`."""
    holds_headers: bool = False
    """With ``hold_after_bytes=0``: not even the status line is sent."""


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    target: str
    """Path and query, as they came."""
    headers: Mapping[str, str]
    """Names in lower case."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A page's answer to one request: what goes over the wire, and where it stops."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_chunked: bool
    closes: bool
    page: Page


def path_of(target: str) -> str:
    return target.partition("?")[0]


def parse_request(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Request(method=method, target=target, headers=headers)


def answer_of(page: Page, request: Request) -> Answer:
    headers = _headers(page)
    plain = Answer(
        status=page.status,
        headers=headers,
        body=_encode(page),
        is_chunked=page.is_chunked,
        closes=page.is_until_close or page.declared_bytes is not None,
        page=page,
    )
    if page.status != HTTPStatus.OK:
        return _finish(plain)
    if page.is_conditional and _is_known(page, request):
        return replace(plain, status=304, body=b"", is_chunked=False)
    return _finish(_ranged(plain, request) if page.accepts_ranges else plain)


def _headers(page: Page) -> dict[str, str]:
    given = {
        "Content-Type": page.content_type,
        "ETag": page.etag,
        "Last-Modified": page.last_modified,
        "Content-Disposition": page.content_disposition,
        "Content-Encoding": page.content_encoding,
        "Accept-Ranges": "bytes" if page.accepts_ranges else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _encode(page: Page) -> bytes:
    if page.content_encoding == "gzip":
        return gzip.compress(page.body, mtime=0)
    if page.content_encoding == "deflate":
        return zlib.compress(page.body)
    return page.body


def _is_known(page: Page, request: Request) -> bool:
    """If-None-Match wins over If-Modified-Since (RFC 9110 section 13.2.2)."""
    etags = request.headers.get("if-none-match")
    if etags is not None:
        weak = {one.strip().removeprefix("W/") for one in etags.split(",")}
        return page.etag is not None and page.etag.removeprefix("W/") in weak
    since = request.headers.get("if-modified-since")
    return since is not None and since == page.last_modified


def _ranged(answer: Answer, request: Request) -> Answer:
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if_range = request.headers.get("if-range")
    page = answer.page
    if not found or (if_range and if_range not in (page.etag, page.last_modified)):
        return answer
    total = len(answer.body)
    first, last = int(found[1]), min(int(found[2] or total), total - 1)
    if first >= total:
        headers = answer.headers | {"Content-Range": f"bytes */{total}"}
        return replace(answer, status=416, headers=headers, body=b"")
    headers = answer.headers | {"Content-Range": f"bytes {first}-{last}/{total}"}
    return replace(answer, status=206, headers=headers, body=answer.body[first : last + 1])


def _finish(answer: Answer) -> Answer:
    """Say the length, and cut the body off where the page says so."""
    page, headers, body = answer.page, dict(answer.headers), answer.body
    if answer.is_chunked:
        headers["Transfer-Encoding"] = "chunked"
    elif not page.is_until_close:
        length = len(body) if page.declared_bytes is None else page.declared_bytes
        headers["Content-Length"] = str(length)
    if page.cut_after_bytes is not None:
        body = body[: page.cut_after_bytes]
    closes = answer.closes or page.cut_after_bytes is not None
    return replace(answer, headers=headers, body=body, closes=closes)


def head_of(answer: Answer) -> bytes:
    headers = {**answer.headers, **answer.page.headers}
    if answer.closes:
        headers["Connection"] = "close"
    phrase = HTTPStatus(answer.status).phrase
    lines = [f"HTTP/1.1 {answer.status} {phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")
