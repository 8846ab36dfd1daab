"""How the commands find the ``serve`` that runs on this machine: ``DATA/local.json``.

``{"server": URL, "account": NAME, "api_key": KEY}``, mode 0600, written at every start of `serve`
and removed at its end.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from synctables.errors import ConfigurationError

_FILE_NAME = "local.json"


@dataclass(frozen=True, kw_only=True)
class LocalAccess:
    """Where a server answers, and a key that opens it."""

    server: str
    account: str
    api_key: str


def write_local_access(data_dir: Path, access: LocalAccess) -> None:
    """Replace the file at once and whole; only its owner may read it."""
    path = data_dir / _FILE_NAME
    draft = path.with_name(f"{_FILE_NAME}.{os.getpid()}")
    try:
        data_dir.mkdir(mode=0o751, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(access), file)
        draft.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error


def read_local_access(data_dir: Path) -> LocalAccess | None:
    """What the running `serve` wrote; None when none runs there.

    Raises `ConfigurationError` when the file is somebody else's or broken.
    """
    path = data_dir / _FILE_NAME
    try:
        values = json.loads(path.read_text("utf-8"))
        return LocalAccess(**{name: str(values[name]) for name in ("server", "account", "api_key")})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}. Run this as the user who runs `synctables "
            "serve`, or give --server and --api-key."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{path} is not what `synctables serve` writes. Start it again."
        ) from error


def remove_local_access(data_dir: Path, access: LocalAccess) -> None:
    """Remove the file unless a later `serve` has written its own."""
    try:
        if read_local_access(data_dir) == access:
            (data_dir / _FILE_NAME).unlink()
    except (ConfigurationError, FileNotFoundError):
        return
