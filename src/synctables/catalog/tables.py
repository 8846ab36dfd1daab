"""Records of the tables that imports made; each is followed by its oid, so a rename is no loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from psycopg.rows import DictRow

Connection = AsyncConnection[DictRow]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A finished user table, under the name that it has now."""

    id: UUID
    account_id: UUID
    schema_name: str
    name: str
    relation_oid: int
    row_count: int


async def find_table(connection: Connection, table_id: UUID) -> Table | None:
    """The table under its present name; None when it no longer exists in the database."""
    cursor = await connection.execute(
        """
        SELECT tables.id, tables.account_id, namespace.nspname AS schema_name,
               class.relname AS name, tables.relation_oid::bigint AS relation_oid, tables.row_count
        FROM tables
        JOIN pg_class AS class ON class.oid = tables.relation_oid AND class.relkind IN ('r', 'p')
        JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
        WHERE tables.id = %s
        """,
        [table_id],
    )
    row = await cursor.fetchone()
    return Table(**row) if row else None


async def list_row_counts(connection: Connection, account_id: UUID) -> dict[UUID, int]:
    """Rows of each of the account's tables after their last refresh, by table id."""
    cursor = await connection.execute(
        "SELECT id, row_count FROM tables WHERE account_id = %s", [account_id]
    )
    return {row["id"]: row["row_count"] for row in await cursor.fetchall()}


async def lock_names(connection: Connection, *, account_id: UUID, schema_name: str) -> set[str]:
    """Every name taken in the schema; none of ours takes another until this transaction ends."""
    await connection.execute(
        "INSERT INTO name_locks (account_id) VALUES (%s) ON CONFLICT DO NOTHING", [account_id]
    )
    await connection.execute(
        "SELECT FROM name_locks WHERE account_id = %s FOR UPDATE", [account_id]
    )
    cursor = await connection.execute(
        """
        SELECT relname AS name FROM pg_class WHERE relnamespace = %(schema)s::regnamespace
        UNION
        SELECT typname FROM pg_type WHERE typnamespace = %(schema)s::regnamespace
        """,
        {"schema": _quoted(schema_name)},
    )
    return {row["name"] for row in await cursor.fetchall()}


async def register_table(
    connection: Connection,
    *,
    account_id: UUID,
    schema_name: str,
    name: str,
    relation_oid: int,
    row_count: int,
) -> Table:
    """Record a new table, in the transaction that makes it visible."""
    table = Table(
        id=uuid4(),
        account_id=account_id,
        schema_name=schema_name,
        name=name,
        relation_oid=relation_oid,
        row_count=row_count,
    )
    await connection.execute(
        """
        INSERT INTO tables (id, account_id, schema_name, name, relation_oid, row_count)
        VALUES (%(id)s, %(account_id)s, %(schema_name)s, %(name)s, %(relation_oid)s, %(row_count)s)
        """,
        _values(table),
    )
    return table


async def update_table(connection: Connection, table: Table) -> None:
    """Record the relation, the name and the number of rows that the table has now."""
    await connection.execute(
        """
        UPDATE tables SET schema_name = %(schema_name)s, name = %(name)s,
                          relation_oid = %(relation_oid)s, row_count = %(row_count)s,
                          updated_at = now()
        WHERE id = %(id)s
        """,
        _values(table),
    )


def _quoted(identifier: str) -> str:
    """An identifier as text that ``::regnamespace`` reads back letter for letter."""
    return '"' + identifier.replace('"', '""') + '"'


def _values(table: Table) -> dict[str, Any]:
    return {
        "id": table.id,
        "account_id": table.account_id,
        "schema_name": table.schema_name,
        "name": table.name,
        "relation_oid": table.relation_oid,
        "row_count": table.row_count,
    }
