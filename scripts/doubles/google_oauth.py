"""Google's OAuth 2 endpoints, as its double has them.

From "Using OAuth 2.0 for Web Server Applications" and "for Server to Server Applications": consent
page, codes with PKCE, refresh tokens for offline access only, service accounts by signed JWT.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import threading
import time
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from doubles.oauth import Authority, Issued, RefusedError

SCOPE = "https://www.googleapis.com/auth/drive.readonly"
_AUDIENCE = "https://oauth2.googleapis.com/token"
_JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_STATUS = {"invalid_client": 401}


class GoogleAuthority:
    """Routes around an `Authority`.

    ``granted_scope``: what the user leaves ticked on the consent page.
    """

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.granted_scope = SCOPE
        self._offline_codes: set[str] = set()
        self._lock = threading.Lock()
        self._service_accounts: dict[str, rsa.RSAPublicKey] = {}

    def add_routes(self, application: web.Application) -> None:
        application.router.add_get("/o/oauth2/v2/auth", self._consent)
        application.router.add_post("/token", self._token)
        application.router.add_post("/revoke", self._revoke)

    def service_account_key(self, token_uri: str) -> dict[str, str]:
        """A new service account's key, as the console hands it out."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        email = "sync@project.iam.gserviceaccount.com"
        with self._lock:
            self._service_accounts[email] = key.public_key()
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {
            "type": "service_account",
            "project_id": "project",
            "private_key_id": "1",
            "private_key": pem.decode(),
            "client_email": email,
            "client_id": "1",
            "token_uri": token_uri,
        }

    def forget_service_accounts(self) -> None:
        """As after their keys were deleted in the console."""
        with self._lock:
            self._service_accounts.clear()

    async def _consent(self, request: web.Request) -> web.StreamResponse:
        asked = request.query
        answer: dict[str, str] = {"state": asked.get("state", "")}
        if asked.get("response_type") != "code" or SCOPE not in asked.get("scope", "").split():
            return _page("Error 400: invalid_request", status=400)
        if asked.get("deny"):
            return _back(asked["redirect_uri"], {**answer, "error": "access_denied"})
        if not asked.get("approve"):
            links = "".join(
                f'<p><a id="{choice}" href="{html.escape(f"{request.path_qs}&{choice}=1")}">'
                f"{choice}</a></p>"
                for choice in ("approve", "deny")
            )
            return _page(f"<p>Synctables wants to see your Google Drive files.</p>{links}")
        try:
            code = self.authority.consent(
                client_id=asked.get("client_id", ""),
                challenge=asked.get("code_challenge", ""),
                method=asked.get("code_challenge_method", ""),
                redirect_uri=asked["redirect_uri"],
            )
        except RefusedError as error:
            return _page(f"Error {_STATUS.get(error.error, 400)}: {error.error}", status=400)
        if asked.get("access_type") == "offline" and asked.get("prompt") == "consent":
            with self._lock:
                self._offline_codes.add(code)
        scope = self.granted_scope
        return _back(asked["redirect_uri"], {**answer, "code": code, "scope": scope})

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        client = _client(request, form)
        try:
            return web.json_response(self._grant(form, *client))
        except RefusedError as error:
            answer = {"error": error.error, "error_description": error.description}
            return web.json_response(answer, status=_STATUS.get(error.error, 400))

    def _grant(self, form: dict[str, str], client_id: str, client_secret: str) -> dict[str, Any]:
        match form.get("grant_type"):
            case "authorization_code":
                issued = self.authority.redeem(
                    form.get("code", ""),
                    verifier=form.get("code_verifier", ""),
                    redirect_uri=form.get("redirect_uri", ""),
                    client_id=client_id,
                    client_secret=client_secret,
                )
                with self._lock:
                    is_offline = form["code"] in self._offline_codes
                refresh = {"refresh_token": issued.refresh_token} if is_offline else {}
                return {**self._answer(issued), **refresh}
            case "refresh_token":
                issued = self.authority.refresh(
                    form.get("refresh_token", ""), client_id=client_id, client_secret=client_secret
                )
                return self._answer(issued)
            case grant if grant == _JWT_GRANT:
                self._check_assertion(form.get("assertion", ""))
                return self._answer(self.authority.grant())
        raise RefusedError("unsupported_grant_type", "Invalid grant_type.")

    def _answer(self, issued: Issued) -> dict[str, Any]:
        return {
            "access_token": issued.access_token,
            "expires_in": issued.expires_in - 1,
            "scope": self.granted_scope,
            "token_type": "Bearer",
        }

    def _check_assertion(self, assertion: str) -> None:
        """A JWT of RFC 7523, signed by RS256."""
        try:
            head, payload, signature = assertion.split(".")
            claims = json.loads(_decode(payload))
            with self._lock:
                key = self._service_accounts[claims["iss"]]
            signed = f"{head}.{payload}".encode()
            key.verify(_decode(signature), signed, padding.PKCS1v15(), hashes.SHA256())
        except (ValueError, KeyError, binascii.Error, InvalidSignature):
            raise RefusedError("invalid_grant", "Invalid JWT Signature.") from None
        if claims["aud"] != _AUDIENCE or claims["exp"] < time.time() or claims["scope"] != SCOPE:
            raise RefusedError("invalid_grant", "Invalid JWT: claims.")

    async def _revoke(self, request: web.Request) -> web.Response:
        token = str((await request.post()).get("token", ""))
        if self.authority.revoke(token):
            return web.json_response({})
        answer = {"error": "invalid_token", "error_description": "Token expired or revoked"}
        return web.json_response(answer, status=400)


def _client(request: web.Request, form: dict[str, str]) -> tuple[str, str]:
    """By the Authorization header, as oauthlib sends it, or by the form, as google-auth does."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme == "Basic":
        client_id, _, secret = base64.b64decode(value).decode().partition(":")
        return client_id, secret
    return form.get("client_id", ""), form.get("client_secret", "")


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _back(redirect_uri: str, answer: dict[str, str]) -> web.Response:
    parts = urlsplit(redirect_uri)
    query = urlencode([*parse_qsl(parts.query), *answer.items()])
    return web.Response(status=302, headers={"Location": parts._replace(query=query).geturl()})


def _page(body: str, *, status: int = 200) -> web.Response:
    text = f"<!doctype html><title>Sign in - Google Accounts</title>{body}"
    return web.Response(text=text, content_type="text/html", status=status)
