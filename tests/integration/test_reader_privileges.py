"""Readers may read and nothing else: asked of PostgreSQL itself, and said with what mends it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import sql

from synctables.accounts.model import Account
from synctables.accounts.reader_privileges import Surplus, find_surplus_privileges
from synctables.accounts.service import create_account
from synctables.cli.diagnosis import examine
from synctables.db.pooler import has_transaction_pooler, is_shared
from synctables.localpg import LocalCluster
from synctables.settings import Settings


@pytest.fixture
async def account(pool: Any, database_url: str, cluster: LocalCluster) -> Account:
    """An account in a database that keeps readers to reading, as the private cluster's does."""
    name = database_url.rpartition("/")[2].partition("?")[0]
    with psycopg.connect(cluster.superuser_url(), autocommit=True) as superuser:
        superuser.execute(
            sql.SQL("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name))
        )
    async with pool.connection() as connection:
        account, _ = await create_account(connection, name="alice")
        await connection.execute("CREATE TABLE alice.parks AS SELECT 1 AS id")
    return account


async def find(pool: Any) -> list[Surplus]:
    """What is found, less the databases of other tests."""
    async with pool.connection() as connection:
        found = await find_surplus_privileges(connection)
    return [surplus for surplus in found if "connect to the database" not in surplus.words]


async def test_a_reader_of_the_private_cluster_may_only_read(pool: Any, account: Account) -> None:
    assert await find(pool) == []


async def test_the_private_cluster_lets_nobody_into_its_other_databases(
    cluster: LocalCluster,
) -> None:
    with psycopg.connect(cluster.superuser_url()) as superuser:
        found = superuser.execute(
            "SELECT datname, privilege_type FROM pg_database, aclexplode(datacl)"
            " WHERE grantee = 0 AND datname IN ('postgres', 'template1', 'synctables')"
        ).fetchall()
    assert found == [("synctables", "CONNECT")]


@pytest.mark.parametrize(
    ("grant", "words"),
    [
        ("ALTER ROLE {reader} CREATEROLE", "has attributes of an administrator"),
        ("GRANT pg_read_all_data TO {reader}", "is a member of pg_read_all_data"),
        (
            "GRANT TEMPORARY ON DATABASE {database} TO PUBLIC",
            "may create temporary tables in this database",
        ),
        ("GRANT USAGE ON SCHEMA synctables TO PUBLIC", "may use the schema synctables"),
        ("GRANT CREATE ON SCHEMA public TO PUBLIC", "may create in the schema public"),
        ("GRANT CREATE ON SCHEMA alice TO {reader}", "may create in the schema alice"),
        ("GRANT DELETE ON alice.parks TO {reader}", "may write to alice.parks"),
        (
            "CREATE SCHEMA other; GRANT USAGE ON SCHEMA other TO {reader}",
            "may use the schema other",
        ),
        (
            "GRANT EXECUTE ON FUNCTION lo_create(oid) TO PUBLIC",
            "may create large objects with lo_create(oid)",
        ),
    ],
)
async def test_what_a_reader_may_do_beyond_is_found_and_its_remedy_ends_it(
    pool: Any, database_url: str, account: Account, cluster: LocalCluster, grant: str, words: str
) -> None:
    name = database_url.rpartition("/")[2].partition("?")[0]
    with psycopg.connect(cluster.superuser_url(database=name), autocommit=True) as superuser:
        superuser.execute(
            grant.format(reader=f'"{account.reader_role}"', database=f'"{name}"').encode()
        )
        (surplus,) = await find(pool)
        assert (surplus.role, surplus.words) == (account.reader_role, words)
        superuser.execute(surplus.remedy.encode())
    assert await find(pool) == []


@pytest.mark.parametrize(
    ("before", "held_by_another", "after", "shared"),
    [
        (1, 2, 1, False),
        (1, 1, 3, True),
        (1, 2, 3, True),
    ],
    ids=["each its own", "given to another", "another one by now"],
)
def test_a_session_that_changes_hands_is_told(
    before: int, held_by_another: int, after: int, shared: bool
) -> None:
    assert is_shared(before=before, held_by_another=held_by_another, after=after) is shared


def test_a_direct_connection_is_no_pooler(database_url: str) -> None:
    assert not has_transaction_pooler(database_url)


def test_the_doctor_looks_at_the_role_the_connection_and_the_readers(
    database_url: str, cluster: LocalCluster
) -> None:
    found = {one.subject: one for one in examine(Settings(database_url=database_url))}
    assert found["database"].ok
    assert found["database role"].detail == "synctables, may create roles and schemas"
    assert found["connection"].detail == "every session is one of its own"
    assert found["readers"].ok
    assert found["clock"].detail == "nothing is overdue"
    assert found["left over"].ok

    superuser = {
        one.subject: one for one in examine(Settings(database_url=cluster.superuser_url()))
    }
    assert not superuser["database role"].ok
    assert "CREATE ROLE synctables LOGIN CREATEROLE" in superuser["database role"].remedy
