"""An account, and the rule for its name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from synctables.accounts.plans import Plan
from synctables.errors import InvalidRequestError

_NAME = re.compile(r"[a-z](?:[a-z0-9_-]{0,38}[a-z0-9])?", re.ASCII)
_RESERVED_NAMES = frozenset(
    {
        "admin",
        "api",
        "cartodb",
        "cdb_importer",
        "health",
        "information_schema",
        "pg",
        "postgis",
        "postgres",
        "public",
        "static",
        "topology",
        "u",
        "user",
        "www",
    }
)
_RESERVED_PREFIXES = ("pg_", "synctables", "tiger")


@dataclass(frozen=True, kw_only=True)
class Account:
    """One tenant: a PostgreSQL schema of its own and a login role that can only read it."""

    id: UUID
    name: str
    schema_name: str
    reader_role: str
    created_at: datetime
    plan: Plan


def check_account_name(name: str) -> None:
    """Raise `InvalidRequestError` unless ``name`` can be a sub-domain, a path and a schema.

    A DNS label (RFC 1035 section 2.3.1, lower case) that may also hold underscores; 40 characters
    leave room for the reader role's name within PostgreSQL's 63 bytes.
    """
    if not _NAME.fullmatch(name):
        raise InvalidRequestError(
            f"{name[:80]!r} cannot be an account's name: use 1 to 40 lower-case letters, digits, "
            "hyphens and underscores, beginning with a letter and ending with a letter or digit."
        )
    if name in _RESERVED_NAMES or name.startswith(_RESERVED_PREFIXES):
        raise InvalidRequestError(f"The name {name!r} is reserved. Choose another.")
