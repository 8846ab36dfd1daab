"""What the accounts' readers may do beyond reading, as PostgreSQL itself answers it.

REVOKE only warns where it does nothing, and rights come by several ways (PUBLIC, memberships,
defaults of another version), so the outcome is asked for instead of trusted (refresh.md 22).
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import AsyncConnection
from psycopg.rows import DictRow

MOST_SHOWN = 20

# Each branch: the reader, what it may do, and the SQL that takes it away. `readers` come with the
# name of their account, which is that of their schema.
_SURPLUS = """
WITH readers AS (
    SELECT accounts.name AS account, accounts.reader_role AS role, roles.*
    FROM synctables.accounts JOIN pg_roles AS roles ON roles.rolname = accounts.reader_role
)
SELECT role, 'has attributes of an administrator' AS words,
       format('ALTER ROLE %%I NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', role)
           AS remedy
FROM readers
WHERE rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls
UNION ALL
SELECT role, format('is a member of %%I', granted.rolname),
       format('REVOKE %%I FROM %%I', granted.rolname, role)
FROM readers JOIN pg_auth_members AS member ON member.member = readers.oid
JOIN pg_roles AS granted ON granted.oid = member.roleid
UNION ALL
SELECT role, format('may create %%s in this database',
                    CASE privilege WHEN 'CREATE' THEN 'schemas' ELSE 'temporary tables' END),
       format('REVOKE %%s ON DATABASE %%I FROM PUBLIC', privilege, current_database())
FROM readers, unnest(ARRAY['CREATE', 'TEMPORARY']) AS privilege
WHERE has_database_privilege(role, current_database(), privilege)
UNION ALL
SELECT role, format('may connect to the database %%I', datname),
       format('REVOKE CONNECT ON DATABASE %%I FROM PUBLIC', datname)
FROM readers, pg_database
WHERE datallowconn AND datname <> current_database()
  AND has_database_privilege(role, pg_database.oid, 'CONNECT')
UNION ALL
SELECT role, format('may use the schema %%I', nspname),
       format('REVOKE ALL ON SCHEMA %%I FROM PUBLIC, %%I', nspname, role)
FROM readers, pg_namespace
WHERE nspname IN ('synctables', 'synctables_work')
  AND has_schema_privilege(role, pg_namespace.oid, 'USAGE')
UNION ALL
SELECT role, format('may create in the schema %%I', nspname),
       format('REVOKE CREATE ON SCHEMA %%I FROM PUBLIC, %%I', nspname, role)
FROM readers, pg_namespace
WHERE nspname IN ('public', account)
  AND has_schema_privilege(role, pg_namespace.oid, 'CREATE')
UNION ALL
SELECT role, format('may use the schema %%I', nspname),
       format('REVOKE ALL ON SCHEMA %%I FROM %%I', nspname, role)
FROM pg_namespace, aclexplode(nspacl) AS acl JOIN readers ON readers.oid = acl.grantee
WHERE nspname <> account AND nspname NOT IN ('synctables', 'synctables_work', 'public')
UNION ALL
SELECT role, format('may write to %%I.%%I', nspname, relname),
       format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON %%I.%%I FROM PUBLIC, %%I',
              nspname, relname, role)
FROM readers JOIN pg_namespace ON nspname = account
JOIN pg_class ON relnamespace = pg_namespace.oid AND relkind IN ('r', 'p', 'v', 'f')
WHERE has_table_privilege(role, pg_class.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
UNION ALL
SELECT role, format('may create large objects with %%s', function),
       format('REVOKE EXECUTE ON FUNCTION %%s FROM PUBLIC', function)
FROM readers, unnest(ARRAY[
    'lo_creat(integer)', 'lo_create(oid)', 'lo_from_bytea(oid, bytea)']) AS function
WHERE has_function_privilege(role, function, 'EXECUTE')
"""

_GROUPED = f"""
SELECT words, remedy, min(role) AS role
FROM ({_SURPLUS}) AS surplus
GROUP BY words, remedy ORDER BY words LIMIT %(most)s
"""  # noqa: S608

Connection = AsyncConnection[DictRow]


@dataclass(frozen=True, kw_only=True)
class Surplus:
    """Something that readers may do and should not."""

    role: str
    """One of the roles that may."""
    words: str
    remedy: str
    """The SQL that ends it, for an administrator of the server."""


async def find_surplus_privileges(connection: Connection) -> list[Surplus]:
    """What the readers of this database may do beyond reading, the first twenty of it."""
    cursor = await connection.execute(_GROUPED, {"most": MOST_SHOWN})
    return [
        Surplus(role=row["role"], words=row["words"], remedy=row["remedy"])
        for row in await cursor.fetchall()
    ]
