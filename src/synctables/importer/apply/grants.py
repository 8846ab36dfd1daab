"""The rights on a table, its columns and its identity sequence, given again exactly.

A new table gets rights from default privileges, and GRANT only adds: so the new table's are taken
away first. Each right is granted by the role that granted it before.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from synctables.importer.apply.model import Connection

_RIGHTS = """
SELECT object.kind, object.name, object.column_name, object.owner::regrole::text AS owner,
       item.grantor::regrole::text AS grantor,
       CASE item.grantee WHEN 0 THEN 'PUBLIC' ELSE item.grantee::regrole::text END AS grantee,
       string_agg(item.privilege_type, ',' ORDER BY item.privilege_type) AS privileges,
       item.is_grantable
FROM (SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
             oid::regclass::text AS name, NULL AS column_name, relowner AS owner, relacl AS acl
      FROM pg_class
      WHERE relacl IS NOT NULL
        AND (oid = %(oid)s::oid
             OR oid IN (SELECT objid FROM pg_depend
                        WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
                          AND refobjid = %(oid)s::oid AND refobjsubid > 0 AND deptype = 'i'))
      UNION ALL
      SELECT 'TABLE', attrelid::regclass::text, attname, relowner, attacl
      FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
      WHERE attrelid = %(oid)s::oid AND attacl IS NOT NULL AND NOT attisdropped
     ) AS object LEFT JOIN LATERAL aclexplode(object.acl) AS item ON true
GROUP BY object.kind, object.name, object.column_name, object.owner,
         item.grantor, item.grantee, item.is_grantable
ORDER BY object.kind, object.name, object.column_name NULLS FIRST,
         item.grantor <> object.owner, item.grantee, item.is_grantable
"""


@dataclass(frozen=True, kw_only=True)
class Right:
    """Privileges that one role gave another on one object; names are ready for SQL text."""

    kind: str
    name: str
    column_name: str | None
    owner: str
    grantor: str | None
    grantee: str
    privileges: str | None
    """None: nobody has any right on the object, not even its owner."""
    is_grantable: bool | None

    @property
    def on(self) -> str:
        return f"{self.kind} {self.name}"


async def read_rights(connection: Connection, relation_oid: int) -> tuple[Right, ...]:
    """Rights that were ever changed; a table whose rights are the default has none here."""
    cursor = await connection.execute(_RIGHTS, {"oid": relation_oid})
    return tuple(Right(**row) for row in await cursor.fetchall())


def revocations(rights: tuple[Right, ...]) -> list[str]:
    """Statements that take all these rights away again."""
    pairs = dict.fromkeys((right.on, right.grantee) for right in rights)
    return [f"REVOKE ALL ON {on} FROM {grantee} CASCADE" for on, grantee in pairs]


def grant_statements(rights: tuple[Right, ...]) -> list[str]:
    """Statements that give these rights and, on the objects that they name, no others.

    A role that passes a right on must have it first, so grants of roles that are granted to
    themselves come later.
    """
    owners = dict.fromkeys((right.on, right.owner) for right in rights)
    statements = [f"REVOKE ALL ON {on} FROM {owner}" for on, owner in owners]
    given: set[tuple[str, str]] = set(owners)
    waiting = [right for right in rights if right.privileges]
    while waiting:
        ready = [right for right in waiting if (right.on, right.grantor) in given] or waiting
        statements += [statement for right in ready for statement in _grant(right)]
        given |= {(right.on, right.grantee) for right in ready}
        waiting = [right for right in waiting if right not in ready]
    return statements


def _grant(right: Right) -> list[str]:
    column = "" if right.column_name is None else f" ({_quoted(right.column_name)})"
    names = (right.privileges or "").split(",")
    privileges = ", ".join(name + column for name in names)
    option = " WITH GRANT OPTION" if right.is_grantable else ""
    grant = f"GRANT {privileges} ON {right.on} TO {right.grantee}{option}"
    if right.grantor == right.owner:
        return [grant]
    return [f"SET LOCAL ROLE {right.grantor}", grant, "SET LOCAL ROLE NONE"]


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string()
