"""The rows of accounts and their keys: every statement that touches them."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from synctables.accounts.model import Account
from synctables.accounts.plans import read_plan

# The schema bears the account's name: `NAME.table` is how its owner addresses a table.
_COLUMNS = """accounts.id, accounts.name, accounts.reader_role, accounts.created_at,
       (SELECT to_jsonb(plans) FROM plans WHERE plans.name = accounts.plan) AS plan"""

_INSERT_ACCOUNT = f"""
INSERT INTO accounts (id, name, reader_role) VALUES (%(id)s, %(name)s, %(reader_role)s)
RETURNING {_COLUMNS}
"""  # noqa: S608

_LIST = f"SELECT {_COLUMNS} FROM accounts ORDER BY accounts.name"  # noqa: S608

_FIND_BY_NAME = f"SELECT {_COLUMNS} FROM accounts WHERE accounts.name = %(name)s"  # noqa: S608

_FIND_BY_ID = f"SELECT {_COLUMNS} FROM accounts WHERE accounts.id = %(account_id)s"  # noqa: S608

# The hash is unique, so this is one look-up in an index.
_FIND_BY_KEY = f"""
SELECT {_COLUMNS} FROM accounts
JOIN api_keys ON api_keys.account_id = accounts.id
WHERE api_keys.key_sha256 = %(key_sha256)s
"""  # noqa: S608

_FIND_KEY_ID = "SELECT id FROM api_keys WHERE key_sha256 = %(key_sha256)s"

_FIND_BY_KEY_ID = f"""
SELECT {_COLUMNS}, api_keys.key_sha256 FROM accounts
JOIN api_keys ON api_keys.account_id = accounts.id
WHERE api_keys.id = %(key_id)s
"""  # noqa: S608

_COUNT = "SELECT count(*) AS account_count FROM accounts"

# The account's row is locked, so that two rotations at once leave one key, not two.
_LOCK_ACCOUNT = "SELECT FROM accounts WHERE id = %(account_id)s FOR UPDATE"

_DELETE_KEYS = "DELETE FROM api_keys WHERE account_id = %(account_id)s AND label = %(label)s"

_INSERT_KEY = """
INSERT INTO api_keys (id, account_id, key_sha256, label)
VALUES (%(id)s, %(account_id)s, %(key_sha256)s, %(label)s)
"""

Connection = AsyncConnection[DictRow]


async def insert_account(
    connection: Connection, *, account_id: UUID, name: str, reader_role: str
) -> Account:
    cursor = await connection.execute(
        _INSERT_ACCOUNT, {"id": account_id, "name": name, "reader_role": reader_role}
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101  # INSERT … RETURNING gives its row or raises
    return _to_account(row)


async def select_accounts(connection: Connection) -> list[Account]:
    cursor = await connection.execute(_LIST)
    return [_to_account(row) for row in await cursor.fetchall()]


async def select_account_by_name(connection: Connection, *, name: str) -> Account | None:
    cursor = await connection.execute(_FIND_BY_NAME, {"name": name})
    row = await cursor.fetchone()
    return _to_account(row) if row else None


async def select_account_by_id(connection: Connection, *, account_id: UUID) -> Account | None:
    cursor = await connection.execute(_FIND_BY_ID, {"account_id": account_id})
    row = await cursor.fetchone()
    return _to_account(row) if row else None


async def select_account_by_key(connection: Connection, *, key_sha256: bytes) -> Account | None:
    cursor = await connection.execute(_FIND_BY_KEY, {"key_sha256": key_sha256})
    row = await cursor.fetchone()
    return _to_account(row) if row else None


async def select_key_id(connection: Connection, *, key_sha256: bytes) -> UUID | None:
    cursor = await connection.execute(_FIND_KEY_ID, {"key_sha256": key_sha256})
    row = await cursor.fetchone()
    return row["id"] if row else None


async def select_account_by_key_id(
    connection: Connection, *, key_id: UUID
) -> tuple[Account, bytes] | None:
    """The account of a key and the key's hash."""
    cursor = await connection.execute(_FIND_BY_KEY_ID, {"key_id": key_id})
    row = await cursor.fetchone()
    return (_to_account(row), bytes(row["key_sha256"])) if row else None


async def select_account_count(connection: Connection) -> int:
    cursor = await connection.execute(_COUNT)
    row = await cursor.fetchone()
    return int(row["account_count"]) if row else 0


async def replace_key(
    connection: Connection, *, account_id: UUID, label: str, key_sha256: bytes
) -> None:
    """Make this the account's only key of this label; the one before is void at COMMIT."""
    await connection.execute(_LOCK_ACCOUNT, {"account_id": account_id})
    await connection.execute(_DELETE_KEYS, {"account_id": account_id, "label": label})
    await connection.execute(
        _INSERT_KEY,
        {"id": uuid4(), "account_id": account_id, "key_sha256": key_sha256, "label": label},
    )


def _to_account(row: dict[str, Any]) -> Account:
    return Account(
        id=row["id"],
        name=row["name"],
        schema_name=row["name"],
        reader_role=row["reader_role"],
        created_at=row["created_at"],
        plan=read_plan(row["plan"]),
    )
