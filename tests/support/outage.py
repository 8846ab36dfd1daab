"""A database that is gone for a while, as while its server restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

if TYPE_CHECKING:
    from synctables.localpg import LocalCluster


def away(cluster: LocalCluster, database_url: str, *, is_away: bool) -> None:
    """Close the test's database to everybody, ending the sessions in it; or open it again."""
    name = str(conninfo_to_dict(database_url)["dbname"])
    with psycopg.connect(cluster.superuser_url(), autocommit=True) as superuser:
        superuser.execute(
            sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(
                sql.Identifier(name), sql.Literal(not is_away)
            )
        )
        superuser.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
