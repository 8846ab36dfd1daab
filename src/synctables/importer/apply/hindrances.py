"""What stands in the way of a rewrite, as the catalogs tell it: one sentence for each object."""

from __future__ import annotations

from synctables.importer.apply.dependents import OWN_OBJECTS, Dependents
from synctables.importer.apply.model import Connection

# The table itself must be a plain table that stands alone.
_KIND = """
SELECT format('%%s is %%s.', oid::regclass, kind) AS reason
FROM pg_class,
     unnest(ARRAY[
         CASE WHEN relkind <> 'r' THEN 'not an ordinary table' END,
         CASE WHEN relpersistence = 't' THEN 'a temporary table' END,
         CASE WHEN relispartition THEN 'a partition' END,
         CASE WHEN reloftype <> 0 THEN 'a typed table' END,
         CASE WHEN EXISTS (SELECT FROM pg_inherits WHERE inhrelid = pg_class.oid)
              THEN 'an heir of another table' END,
         CASE WHEN NOT pg_has_role(relowner, 'USAGE') THEN 'owned by ' || relowner::regrole END,
         CASE WHEN EXISTS (SELECT FROM pg_type
                           WHERE typrelid = pg_class.oid AND typacl IS NOT NULL)
              THEN 'a type with rights of its own' END,
         CASE WHEN EXISTS (SELECT FROM pg_subscription_rel WHERE srrelid = pg_class.oid)
              THEN 'filled by a subscription' END]) AS kind
WHERE oid = %(oid)s::oid AND kind IS NOT NULL
"""

_OBJECTS = (
    "WITH"  # noqa: S608 - constants only
    + OWN_OBJECTS
    + """
SELECT format('%%s belongs to %%s.', pg_describe_object(classid, objid, 0),
              pg_describe_object(refclassid, refobjid, 0)) AS reason
FROM own JOIN pg_depend USING (classid, objid)
WHERE refclassid = 'pg_extension'::regclass AND deptype IN ('e', 'x')
UNION ALL
SELECT format('%%s has a security label.', pg_describe_object(classid, objid, 0))
FROM own JOIN pg_seclabel ON classoid = classid AND objoid = objid
UNION ALL
SELECT format('index %%s is being built or was not finished.', indexrelid::regclass)
FROM pg_index
WHERE indrelid = %(oid)s::oid AND NOT (indisvalid AND indisready AND indislive)
UNION ALL
SELECT format('%%s is not validated: it may hold for some rows only.',
              pg_describe_object('pg_constraint'::regclass, oid, 0))
FROM pg_constraint
WHERE conrelid = %(oid)s::oid AND NOT convalidated
UNION ALL
SELECT format('%%s is owned by %%s.', pg_describe_object('pg_statistic_ext'::regclass, oid, 0),
              stxowner::regrole)
FROM pg_statistic_ext
WHERE stxrelid = %(oid)s::oid AND stxowner <> (SELECT oid FROM pg_roles
                                               WHERE rolname = current_user)
"""
)

# A subscriber follows changes of rows, and a rewrite makes none: its copy would stay behind.
_PUBLISHED = """
SELECT format('publication %%I is owned by %%s.', pubname, pubowner::regrole) AS reason
FROM pg_publication JOIN pg_publication_rel ON prpubid = pg_publication.oid
WHERE prrelid = %(oid)s::oid AND NOT pg_has_role(pubowner, 'USAGE')
UNION ALL
SELECT format('replication slot %%I follows the rows of this database one by one.', slot_name)
FROM pg_replication_slots
WHERE slot_type = 'logical' AND database = current_database()
"""

# Only the role that gave a right can give it again.
_GRANTORS = """
SELECT DISTINCT format('%%s granted rights on %%s, and cannot be asked to grant them again.',
                       grantor::regrole, name) AS reason
FROM (SELECT oid::regclass::text AS name, relowner AS owner, relacl AS acl FROM pg_class
      WHERE oid = %(oid)s::oid
         OR oid IN (SELECT objid FROM pg_depend
                    WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
                      AND refobjid = %(oid)s::oid AND refobjsubid > 0 AND deptype = 'i')
      UNION ALL
      SELECT format('column %%s.%%I', attrelid::regclass, attname), relowner, attacl
      FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
      WHERE attrelid = %(oid)s::oid AND attacl IS NOT NULL AND NOT attisdropped
     ) AS objects, aclexplode(acl)
WHERE grantor <> owner AND NOT pg_has_role(grantor, 'MEMBER')
"""

_QUERIES = (_KIND, _OBJECTS, _PUBLISHED, _GRANTORS)


async def find_hindrances(
    connection: Connection, relation_oid: int, dependents: Dependents
) -> list[str]:
    """Why the table cannot be rewritten whatever the new version is; empty where it can.

    Needs an empty ``search_path``.
    """
    reasons = [f"{_sentence(other)} depends on the table." for other in dependents.others]
    reasons += [
        f"View {view.relation} is owned by {view.owner}, or its schema is closed to the service."
        for view in dependents.views
        if not view.is_ours
    ]
    for key in dependents.foreign_keys:
        described = f"Foreign key {key.name} of {key.child}"
        if key.is_special:
            reasons.append(f"{described} is partitioned, or not in force for everybody.")
        elif not key.is_ours:
            reasons.append(f"{described} is on a table that another role owns.")
    for query in _QUERIES:
        cursor = await connection.execute(query, {"oid": relation_oid})
        reasons += [_sentence(row["reason"]) for row in await cursor.fetchall()]
    return reasons


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
