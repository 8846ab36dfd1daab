"""The first page: what runs, which sync tables there are, and how they are.

Whoever signs in with an account's key sees its sync tables; anybody else learns only that
Synctables runs. The table renews itself: htmx asks for the fragment every two seconds.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from synctables import __version__
from synctables.accounts.model import Account
from synctables.accounts.sessions import SESSION_LASTS, find_session_account, open_session
from synctables.db.pool import UNAVAILABLE
from synctables.web.overview import read_overview
from synctables.web.rendering import render

COOKIE = "synctables_session"
CONNECTION_TIMEOUT_SECONDS = 5.0
_MAX_FORM_BYTES = 4_096
_SEE_OTHER = 303

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    # With `no-referrer` browsers send `Origin: null`, and the check below could not tell anything.
    "Referrer-Policy": "same-origin",
}

router = APIRouter(include_in_schema=False)


class Services(Protocol):
    """What the pages need of ``app.state.services``."""

    pool: AsyncConnectionPool[AsyncConnection[DictRow]]


@asynccontextmanager
async def transaction(request: Request) -> AsyncIterator[AsyncConnection[DictRow]]:
    """A connection in a transaction that ends with the block."""
    services: Services = request.app.state.services
    async with (
        services.pool.connection(timeout=CONNECTION_TIMEOUT_SECONDS) as connection,
        connection.transaction(),
    ):
        yield connection


@router.get("/")
async def show_first_page(request: Request) -> Response:
    """The page, whole. ``?api_key=`` signs in, as it does in every call of the API."""
    api_key = request.query_params.get("api_key")
    if not api_key or not _is_from_our_page(request):
        return await _answer(request, template="first_page.html")
    return await _sign_in(request, api_key)


@router.get("/fragments/syncs")
async def show_syncs(request: Request) -> Response:
    """The part that changes. Without a session the browser is told to load the page anew."""
    answer = await _answer(request, template="_syncs.html")
    if answer.status_code == 200 and request.state.account is None:
        return Response(status_code=401, headers=_HEADERS | {"HX-Refresh": "true"})
    return answer


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Open a session for whoever shows a key."""
    if not _is_from_our_page(request):
        return _page(request, status_code=403, problem="This form was not sent from this page.")
    return await _sign_in(request, (await _read_form(request)).get("api_key", ""))


async def _sign_in(request: Request, api_key: str) -> Response:
    try:
        async with transaction(request) as connection:
            session = await open_session(connection, api_key=api_key.strip(), now=datetime.now(UTC))
    except UNAVAILABLE:
        return _page(request, status_code=503, is_reachable=False)
    if session is None:
        return _page(request, status_code=401, problem="No account has this key.")
    return _go_home(request, session=session)


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """Forget the session in this browser."""
    if not _is_from_our_page(request):
        return _page(request, status_code=403, problem="This form was not sent from this page.")
    return _go_home(request, session=None)


async def _answer(request: Request, *, template: str) -> HTMLResponse:
    now = datetime.now(UTC)
    request.state.account = None
    try:
        async with transaction(request) as connection:
            account = await find_session_account(
                connection, session=request.cookies.get(COOKIE, ""), now=now
            )
            overview = account and await read_overview(connection, account_id=account.id, now=now)
    except UNAVAILABLE:
        return _page(request, status_code=503, is_reachable=False)
    request.state.account = account
    return _page(request, template=template, account=account, overview=overview)


def _page(
    request: Request,
    *,
    template: str = "first_page.html",
    status_code: int = 200,
    account: Account | None = None,
    is_reachable: bool = True,
    **values: Any,
) -> HTMLResponse:
    content = render(
        template,
        version=__version__,
        account=account,
        is_reachable=is_reachable,
        address=str(request.base_url).rstrip("/"),
        **({"overview": None, "problem": None} | values),
    )
    return HTMLResponse(content, status_code=status_code, headers=_HEADERS)


def _go_home(request: Request, *, session: str | None) -> RedirectResponse:
    """303, so that a reload asks for the page and not for the form again (RFC 9110, 15.4.4)."""
    answer = RedirectResponse("/", status_code=_SEE_OTHER, headers=_HEADERS)
    answer.set_cookie(
        COOKIE,
        session or "",
        max_age=int(SESSION_LASTS.total_seconds()) if session else 0,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


def _is_from_our_page(request: Request) -> bool:
    """Whether a form was sent from this very site, by what the browser says of its origin.

    ``SameSite=Strict`` already keeps the cookie from foreign forms; this keeps a foreign page
    from signing somebody in. Old browsers, and plain http off localhost, send ``Origin`` only.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


async def _read_form(request: Request) -> dict[str, str]:
    """The first value of each field; empty when the body is larger than any form of ours."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MAX_FORM_BYTES:
            return {}
    fields = parse_qs(body.decode("utf-8", errors="replace"))
    return {name: values[0] for name, values in fields.items()}
