"""The parameters of the code grant with PKCE (RFC 6749 section 4.1, RFC 7636), for any service."""

from __future__ import annotations

import base64
import hashlib


def consent_parameters(
    *, client_id: str, state: str, code_verifier: str, redirect_uri: str
) -> dict[str, str]:
    """What the address of a page of consent asks with."""
    digest = hashlib.sha256(code_verifier.encode()).digest()
    return {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }


def redemption_form(code: str, *, code_verifier: str, redirect_uri: str) -> dict[str, str]:
    """What a token endpoint is asked with for a code."""
    return {
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": code_verifier,
        "redirect_uri": redirect_uri,
    }
