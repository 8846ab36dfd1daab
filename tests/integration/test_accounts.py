"""Accounts: their names, what PostgreSQL holds of them, and their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from synctables.accounts.model import check_account_name
from synctables.accounts.service import (
    authenticate,
    count_accounts,
    create_account,
    create_local_key,
    find_account,
    list_accounts,
    rotate_key,
)
from synctables.errors import InvalidRequestError, UnknownItemError

if TYPE_CHECKING:
    from psycopg import AsyncConnection
    from psycopg.rows import DictRow
    from psycopg_pool import AsyncConnectionPool

    Connection = AsyncConnection[DictRow]


@pytest.mark.parametrize("name", ["a", "main", "alice-2", "city_of_york", "a" * 40])
def test_a_name_that_can_be_a_sub_domain_and_a_schema_is_accepted(name: str) -> None:
    check_account_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "", "1a", "-a", "a-", "_a", "a_", "Alice", "a b", "a.b", "a/b", 'a"b', "a;b", "a" * 41,
        "é", "a\n", "a\x00", "\u017f", "public", "information_schema", "pg_temp", "pg_x",
        "synctables", "synctables2", "topology", "tiger", "tiger_data", "www", "api", "user", "u",
        "postgres",
    ],
)  # fmt: skip
def test_a_name_that_is_wrong_or_reserved_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequestError):
        check_account_name(name)


async def test_a_new_account_is_found_by_name_and_by_its_key(connection: Connection) -> None:
    account, api_key = await create_account(connection, name="alice")

    assert (account.name, account.schema_name) == ("alice", "alice")
    assert len(api_key) == 40
    assert await find_account(connection, name="alice") == account
    assert await authenticate(connection, api_key=api_key) == account
    assert await authenticate(connection, api_key=api_key.upper()) is None
    assert await authenticate(connection, api_key="\ud800") is None
    assert await list_accounts(connection) == [account]
    assert await count_accounts(connection) == 1


async def test_keys_are_stored_only_as_hashes(connection: Connection) -> None:
    _, api_key = await create_account(connection, name="alice")

    cursor = await connection.execute("SELECT api_keys::text AS row_text FROM api_keys")
    (row,) = await cursor.fetchall()
    assert api_key not in row["row_text"]
    assert api_key.encode().hex() not in row["row_text"]


async def test_a_rotated_key_replaces_the_old_one_and_leaves_the_local_key(
    connection: Connection,
) -> None:
    account, old = await create_account(connection, name="alice")
    local = await create_local_key(connection, account=account, host="here")
    new = await rotate_key(connection, name="alice")

    assert await authenticate(connection, api_key=old) is None
    assert await authenticate(connection, api_key=new) == account
    assert await authenticate(connection, api_key=local) == account


async def test_the_local_key_of_the_last_start_is_void(connection: Connection) -> None:
    account, master = await create_account(connection, name="alice")
    first = await create_local_key(connection, account=account, host="here")
    second = await create_local_key(connection, account=account, host="here")
    elsewhere = await create_local_key(connection, account=account, host="there")

    assert await authenticate(connection, api_key=first) is None
    assert await authenticate(connection, api_key=second) == account
    assert await authenticate(connection, api_key=elsewhere) == account
    assert await authenticate(connection, api_key=master) == account


async def test_rotating_the_key_of_nobody_says_so(connection: Connection) -> None:
    with pytest.raises(UnknownItemError):
        await rotate_key(connection, name="nobody")


async def test_a_taken_name_changes_nothing_and_leaves_the_transaction_usable(
    connection: Connection,
) -> None:
    account, api_key = await create_account(connection, name="alice")
    with pytest.raises(InvalidRequestError, match="taken"):
        await create_account(connection, name="alice")

    assert await list_accounts(connection) == [account]
    assert await authenticate(connection, api_key=api_key) == account


async def test_a_schema_that_is_none_of_ours_is_left_alone(connection: Connection) -> None:
    await connection.execute("CREATE SCHEMA warehouse")
    with pytest.raises(InvalidRequestError, match="taken"):
        await create_account(connection, name="warehouse")

    assert await count_accounts(connection) == 0


async def test_the_reader_reads_its_own_tables_from_their_first_moment_and_nothing_else(
    database_url: str, pool: AsyncConnectionPool[Connection]
) -> None:
    async with pool.connection() as owner:
        alice, _ = await create_account(owner, name="alice")
        await create_account(owner, name="bob")
        await owner.execute("CREATE TABLE alice.parks AS SELECT 1 AS id")
        await owner.execute("CREATE TABLE bob.secrets AS SELECT 2 AS id")
        await owner.execute(
            sql.SQL("ALTER ROLE {} PASSWORD 'known'").format(sql.Identifier(alice.reader_role))
        )
    url = make_conninfo(database_url, user=alice.reader_role, password="known")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as reader:
        cursor = await reader.execute("SELECT id FROM parks")
        assert await cursor.fetchone() == (1,)
        cursor = await reader.execute("SHOW statement_timeout")
        assert await cursor.fetchone() == ("1min",)
        await reader.execute("SET default_transaction_read_only TO off")  # it is no boundary
        for statement in (
            "SELECT * FROM bob.secrets",
            "SELECT * FROM synctables.api_keys",
            "INSERT INTO parks VALUES (3)",
            "DROP TABLE parks",
            "CREATE TABLE alice.mine (id int)",
            "CREATE TABLE public.mine (id int)",
            "CREATE SCHEMA mine",
            "CREATE ROLE mine",
            sql.SQL("SET ROLE {}").format(sql.Identifier("synctables")),
            "COPY parks TO PROGRAM 'cat'",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await reader.execute(statement)


async def test_the_readers_connections_are_limited(connection: Connection) -> None:
    account, _ = await create_account(connection, name="alice")

    cursor = await connection.execute(
        "SELECT rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication,"
        " rolconnlimit FROM pg_roles WHERE rolname = %s",
        [account.reader_role],
    )
    assert await cursor.fetchone() == {
        "rolcanlogin": True,
        "rolsuper": False,
        "rolcreaterole": False,
        "rolcreatedb": False,
        "rolbypassrls": False,
        "rolreplication": False,
        "rolconnlimit": 10,
    }
