"""The consent page and the OAuth 2 endpoints of the double of Box.

Box itself knows no PKCE; the double insists on it, so that a test would miss it.
"""

from __future__ import annotations

import html
from urllib.parse import urlencode

from aiohttp import web

from doubles.oauth import Authority, RefusedError


class OAuthPages:
    """What ``authority`` decides, in Box's words."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/oauth2/authorize", self._authorize),
            web.post("/oauth2/token", self._token),
            web.post("/oauth2/revoke", self._revoke),
        ]

    async def _authorize(self, request: web.Request) -> web.Response:
        """The page where a user consents; ``approve=1`` is the press of its button."""
        query = request.query
        target = query.get("redirect_uri", "")
        if "approve" not in query:
            return web.Response(text=_consent_page(request), content_type="text/html")
        if query["approve"] != "1":
            raise web.HTTPFound(_with(target, error="access_denied", state=query.get("state", "")))
        try:
            code = self.authority.consent(
                client_id=query.get("client_id", ""),
                challenge=query.get("code_challenge", ""),
                method=query.get("code_challenge_method", ""),
                redirect_uri=target,
            )
        except RefusedError as refused:
            return _oauth_error(refused)
        raise web.HTTPFound(_with(target, code=code, state=query.get("state", "")))

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        app = {name: form.get(name, "") for name in ("client_id", "client_secret")}
        try:
            if form.get("grant_type") == "refresh_token":
                issued = self.authority.refresh(form.get("refresh_token", ""), **app)
            else:
                issued = self.authority.redeem(
                    form.get("code", ""),
                    verifier=form.get("code_verifier", ""),
                    redirect_uri=form.get("redirect_uri", ""),
                    **app,
                )
        except RefusedError as refused:
            return _oauth_error(refused)
        return web.json_response(
            {
                "access_token": issued.access_token,
                "expires_in": issued.expires_in,
                "token_type": "bearer",
                "restricted_to": [],
                "refresh_token": issued.refresh_token,
            }
        )

    async def _revoke(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("client_id") != self.authority.client_id:
            return _oauth_error(
                RefusedError("invalid_client", "The client credentials are invalid")
            )
        if not self.authority.revoke(str(form.get("token", ""))):
            return _oauth_error(RefusedError("invalid_token", "The token provided is invalid"))
        return web.Response()


def _oauth_error(refused: RefusedError) -> web.Response:
    body = {"error": refused.error, "error_description": str(refused)}
    return web.json_response(body, status=401 if refused.error == "invalid_client" else 400)


def _with(address: str, **query: str) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"


def _consent_page(request: web.Request) -> str:
    links = "".join(
        f'<p><a href="{html.escape(_with(str(request.rel_url), approve=value))}">{text}</a></p>'
        for value, text in (("1", "Grant access to Box"), ("0", "Deny access to Box"))
    )
    return f"<!doctype html><title>Box</title><h1>Box (a double)</h1>{links}"
