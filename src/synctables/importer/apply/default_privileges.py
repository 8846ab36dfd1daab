"""The privileges that a table would have, had it been created where it is now.

PostgreSQL applies default privileges when a table is created, and a table that was built elsewhere
missed those of its schema.
"""

from __future__ import annotations

from psycopg import sql

from synctables.importer.apply.model import Connection

# What CREATE TABLE does (get_user_default_acl in PostgreSQL's catalog/aclchk.c): the owner's
# defaults for the database take the place of the built-in ones, those for the schema add to them.
_DIFFERENCE = """
WITH relation AS (
    SELECT relowner AS owner, relnamespace AS namespace,
           coalesce(relacl, acldefault('r', relowner)) AS acl
    FROM pg_class WHERE oid = %(oid)s::oid
), defaults AS (
    SELECT coalesce(
        (SELECT defaclacl FROM pg_default_acl
         WHERE defaclrole = owner AND defaclnamespace = 0 AND defaclobjtype = 'r'),
        acldefault('r', owner)) AS acl
    FROM relation
    UNION ALL
    SELECT defaclacl FROM relation JOIN pg_default_acl
      ON defaclrole = owner AND defaclnamespace = namespace AND defaclobjtype = 'r'
), due AS (
    SELECT grantee, privilege_type AS privilege, bool_or(is_grantable) AS may_grant
    FROM defaults, aclexplode(acl) GROUP BY grantee, privilege_type
), present AS (
    SELECT grantee, privilege_type AS privilege, bool_or(is_grantable) AS may_grant
    FROM relation, aclexplode(acl) GROUP BY grantee, privilege_type
), difference AS (
    SELECT false AS grants, * FROM (TABLE present EXCEPT TABLE due) AS surplus
    UNION ALL
    SELECT true, * FROM (TABLE due EXCEPT TABLE present) AS missing
)
SELECT grants, privilege, may_grant,
       CASE WHEN grantee <> 0 THEN pg_get_userbyid(grantee) END AS role
FROM difference ORDER BY grants
"""


async def apply_default_privileges(
    connection: Connection, table: sql.Identifier, relation_oid: int
) -> None:
    """Grant and revoke on the table until it has what its schema and owner give new tables."""
    cursor = await connection.execute(_DIFFERENCE, {"oid": relation_oid})
    for row in await cursor.fetchall():
        role = sql.SQL("PUBLIC") if row["role"] is None else sql.Identifier(row["role"])
        statement = sql.SQL(
            "GRANT {} ON TABLE {} TO {}" if row["grants"] else "REVOKE {} ON TABLE {} FROM {}"
        ).format(sql.SQL(row["privilege"]), table, role)
        if row["grants"] and row["may_grant"]:
            statement += sql.SQL(" WITH GRANT OPTION")
        await connection.execute(statement)
