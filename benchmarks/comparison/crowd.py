"""Very many syncs, as rows copied from one that was made properly: same table, other addresses."""

from __future__ import annotations

from uuid import UUID

import psycopg
from psycopg import sql

_COLUMNS = """
SELECT column_name FROM information_schema.columns
WHERE table_schema = 'synctables' AND table_name = 'syncs'"""

_ACCOUNTS = """
INSERT INTO synctables.accounts (id, name, reader_role)
SELECT gen_random_uuid(), 'crowd_' || number, 'crowd_' || number
FROM generate_series(1, %s) AS number"""

_NEW = {
    "id": "gen_random_uuid()",
    "log_id": "gen_random_uuid()",
    "account_id": "owners.ids[1 + number %% cardinality(owners.ids)]",
    "url": "format(%(pattern)s, 1 + number %% %(hosts)s, number)",
    "service_item_id": "format(%(pattern)s, 1 + number %% %(hosts)s, number)",
    "etag": "%(etag)s",
    "run_at": "now() + make_interval(secs => 3600 + number %% 86400)",
    "spread_seconds": "0",
    "interval_seconds": "86400",
    "state": "'success'",
}


def add_accounts(connection: psycopg.Connection[tuple[object, ...]], count: int) -> None:
    """Accounts by name only: nobody reads their tables."""
    connection.execute(_ACCOUNTS, [count])


def add_syncs(
    connection: psycopg.Connection[tuple[object, ...]],
    *,
    like: UUID | str,
    count: int,
    pattern: str,
    host_count: int,
    etag: str,
) -> None:
    """Copies of the sync ``like``, none of them due for an hour, then all over the next day.

    They are of the accounts that `add_accounts` made, or of the sync's own where there is none.
    ``pattern`` makes the addresses: ``http://h%s.example/%s``, of a host's and a sync's number.
    """
    names = [str(name) for (name,) in connection.execute(_COLUMNS)]
    values = [sql.SQL(_NEW[name]) if name in _NEW else sql.Identifier(name) for name in names]
    statement = sql.SQL(
        "INSERT INTO synctables.syncs ({names}) SELECT {values}"
        " FROM synctables.syncs AS one, generate_series(1, %(count)s) AS number, ("
        "   SELECT coalesce((SELECT array_agg(id) FROM synctables.accounts"
        "                    WHERE name LIKE 'crowd\\_%%'), ARRAY[one.account_id]) AS ids"
        "   FROM synctables.syncs AS one WHERE one.id = %(like)s) AS owners"
        " WHERE one.id = %(like)s"
    ).format(
        names=sql.SQL(", ").join(sql.Identifier(name) for name in names),
        values=sql.SQL(", ").join(_qualified(value) for value in values),
    )
    connection.execute(
        statement,
        {"count": count, "like": like, "pattern": pattern, "hosts": host_count, "etag": etag},
    )


def _qualified(value: sql.Composable) -> sql.Composable:
    return sql.SQL("one.") + value if isinstance(value, sql.Identifier) else value
