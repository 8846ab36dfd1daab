"""publish: what happens to a table between COMMIT and its statistics is no trouble of the run."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from synctables.accounts.service import create_account
from synctables.catalog.tables import Table
from synctables.importer.publish import publish


@pytest.mark.parametrize(
    "accident",
    [
        "LOCK TABLE alice.cities IN ACCESS EXCLUSIVE MODE",
        "DROP TABLE alice.cities",
    ],
)
async def test_a_table_that_is_locked_or_dropped_by_now_is_passed_over(
    pool: Any, accident: str
) -> None:
    async with pool.connection() as connection:
        account, _ = await create_account(connection, name="alice")
        await connection.execute("CREATE TABLE alice.cities (name text)")
    table = Table(
        id=uuid4(),
        account_id=account.id,
        schema_name="alice",
        name="cities",
        relation_oid=0,
        row_count=0,
    )
    async with pool.connection() as user, pool.connection() as connection:
        await user.execute(accident)
        if accident.startswith("DROP"):
            await user.commit()
        async with asyncio.timeout(10):
            await publish(connection, (table,))
