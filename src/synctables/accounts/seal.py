"""Sealing what must not be readable in the database, and statements that only we can have made.

Fernet (AES-128-CBC and HMAC-SHA256, with the time of sealing) of the library ``cryptography``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from synctables.errors import ConfigurationError
from synctables.localpg import default_data_dir

if TYPE_CHECKING:
    from synctables.settings import Settings

KEY_FILE = "token.keys"

_UNREADABLE = (
    "A stored token was sealed with another key. Every process of this service needs the same "
    "SYNCTABLES_TOKEN_KEYS, or the same file token.keys in its data directory; keys that were "
    "replaced stay in the list until `synctables rotate-token-key` has run. Where the key is lost, "
    "`synctables rotate-token-key --forget-unreadable` lets the accounts connect again."
)


class Seal:
    """Keys, the newest first: it seals and signs, all of them open."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Raises `ConfigurationError` where a key is none."""
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            raise ConfigurationError(
                "SYNCTABLES_TOKEN_KEYS must hold keys of 32 bytes in URL-safe Base64, separated by "
                "commas. `synctables rotate-token-key --print` makes one."
            ) from error

    def seal(self, text: str) -> bytes:
        return self._fernet.encrypt(text.encode())

    def open(self, sealed: bytes) -> str:
        """What was sealed. Raises `ConfigurationError` where none of the keys fits."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken as error:
            raise ConfigurationError(_UNREADABLE) from error

    def reseal(self, sealed: bytes) -> bytes:
        """The same, sealed with the newest key. Raises `ConfigurationError` like `open`."""
        try:
            return self._fernet.rotate(sealed)
        except InvalidToken as error:
            raise ConfigurationError(_UNREADABLE) from error

    def sign(self, claims: dict[str, Any]) -> str:
        """A statement that travels through a browser: unreadable, unforgeable, dated."""
        return self._fernet.encrypt(json.dumps(claims).encode()).decode()

    def read_signed(self, statement: str, *, lasts: timedelta) -> dict[str, Any] | None:
        """The claims of a statement that is ours and not too old; None otherwise."""
        try:
            text = self._fernet.decrypt(statement.encode(), ttl=int(lasts.total_seconds()))
        except (InvalidToken, UnicodeEncodeError):
            return None
        claims: dict[str, Any] = json.loads(text)
        return claims


def load_seal(settings: Settings) -> Seal:
    """The keys of the settings, else of the data directory, where one is made at first need.

    Raises `ConfigurationError`.
    """
    return (
        Seal(_split(settings.token_keys.get_secret_value()))
        if settings.token_keys
        else Seal(_read_or_create(key_file(settings)))
    )


def key_file(settings: Settings) -> Path:
    """Where keys are kept that the settings do not hold."""
    return (settings.data_dir or default_data_dir()).expanduser().resolve() / KEY_FILE


def add_key(path: Path) -> None:
    """Make a new key the newest one of the file."""
    _write(path, [create_key(), *_read_or_create(path)])


def keep_newest(path: Path) -> None:
    """Drop all keys of the file but the newest one."""
    _write(path, _read_or_create(path)[:1])


def create_key() -> str:
    """A new key, as the settings and the file hold it."""
    return Fernet.generate_key().decode()


def _split(text: str) -> list[str]:
    return [key for part in text.split(",") if (key := part.strip())]


def _read_or_create(path: Path) -> list[str]:
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _link_new(path)
        return path.read_text("ascii").split()
    except OSError as error:
        raise ConfigurationError(
            f"The keys that seal tokens cannot be kept in {path}: {error.strerror}. Give this "
            "process a data directory of its own, or set SYNCTABLES_TOKEN_KEYS."
        ) from error


def _link_new(path: Path) -> None:
    """Create the file, content and all; where another process was faster, its key counts."""
    draft = _write_draft(path, [create_key()])
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


def _write(path: Path, keys: list[str]) -> None:
    _write_draft(path, keys).replace(path)


def _write_draft(path: Path, keys: list[str]) -> Path:
    """A file beside ``path`` that only its owner may read."""
    descriptor, name = mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write("\n".join(keys) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return Path(name)
