"""API keys: made here, stored only as their hash."""

from __future__ import annotations

import hashlib
import secrets

KEY_BYTES = 20


def create_key() -> str:
    """A new random key: 40 hexadecimal characters, 160 bits."""
    return secrets.token_hex(KEY_BYTES)


def hash_key(api_key: str) -> bytes:
    """What is stored of a key. Keys are random, so a plain hash cannot be searched backwards.

    Any text is taken, also one that is no valid Unicode: it is simply nobody's key.
    """
    return hashlib.sha256(api_key.encode("utf-8", errors="surrogatepass")).digest()
