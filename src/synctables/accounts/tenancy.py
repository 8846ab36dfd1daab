"""An account's place in PostgreSQL: its schema, and a login role that can only read it."""

from __future__ import annotations

import secrets
from uuid import UUID

from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow

READER_CONNECTION_LIMIT = 10
READER_STATEMENT_TIMEOUT_SECONDS = 60
READER_IDLE_IN_TRANSACTION_SECONDS = 60

_SCHEMA_EXISTS = "SELECT FROM pg_catalog.pg_namespace WHERE nspname = %(name)s"


def name_reader_role(*, account_name: str, account_id: UUID) -> str:
    """The role's name. Roles belong to the whole cluster, so the name alone may be taken there
    by an account of another database: a part of the id tells them apart.
    """
    return f"{account_name}_reader_{account_id.hex[:8]}"


async def schema_exists(connection: AsyncConnection[DictRow], *, name: str) -> bool:
    cursor = await connection.execute(_SCHEMA_EXISTS, {"name": name})
    return await cursor.fetchone() is not None


async def create_tenancy(
    connection: AsyncConnection[DictRow], *, schema_name: str, reader_role: str
) -> None:
    """Create the schema and the role; the role can read every table that is made in the schema.

    The role's password is random and nobody keeps it: whoever connects as the role sets one first.
    Raises psycopg's ``DuplicateSchema``, ``DuplicateObject`` or ``InsufficientPrivilege``.
    """
    schema, role = sql.Identifier(schema_name), sql.Identifier(reader_role)
    password = sql.Literal(_scram_secret(connection, role=reader_role))
    for statement in (
        sql.SQL("CREATE SCHEMA {schema}").format(schema=schema),
        sql.SQL(
            "CREATE ROLE {role} LOGIN NOINHERIT NOCREATEDB NOCREATEROLE"
            " CONNECTION LIMIT {limit} PASSWORD {password}"
        ).format(role=role, limit=sql.Literal(READER_CONNECTION_LIMIT), password=password),
        *_session_settings(schema, role),
        sql.SQL("GRANT USAGE ON SCHEMA {schema} TO {role}").format(schema=schema, role=role),
        # Tables of the service are readable from their first moment, before any explicit GRANT.
        sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {role}"
        ).format(schema=schema, role=role),
    ):  # fmt: skip
        await connection.execute(statement)


def _session_settings(schema: sql.Identifier, role: sql.Identifier) -> list[sql.Composed]:
    values: dict[str, sql.Composable] = {
        "search_path": sql.SQL("{schema}, public").format(schema=schema),
        "statement_timeout": sql.Literal(f"{READER_STATEMENT_TIMEOUT_SECONDS}s"),
        "idle_in_transaction_session_timeout": sql.Literal(
            f"{READER_IDLE_IN_TRANSACTION_SECONDS}s"
        ),
        "default_transaction_read_only": sql.SQL("on"),
    }
    return [
        sql.SQL("ALTER ROLE {role} SET {setting} TO {value}").format(
            role=role, setting=sql.SQL(setting), value=value
        )
        for setting, value in values.items()
    ]


def _scram_secret(connection: AsyncConnection[DictRow], *, role: str) -> str:
    """A random password as its SCRAM secret: the clear text never reaches a server's log."""
    password = secrets.token_urlsafe(32)
    return connection.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    ).decode()
