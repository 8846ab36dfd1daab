"""What hangs off a table from outside: views and foreign keys that can be re-pointed, and the rest.

``pg_depend`` knows every object that depends on the table, on its row type, on its constraints or
on its sequence (refresh.md 19). A plain view and a foreign key can be carried to a new table;
whatever else depends on it, of a class known or unknown, is a hindrance.
"""

from __future__ import annotations

from dataclasses import dataclass

from synctables.importer.apply.model import Connection

# What is the table's own, and goes or is made anew with it. A serial column's sequence changes
# hands as it is, so what depends on it does not matter.
OWN_OBJECTS = """
own (classid, objid, is_remade) AS (
    SELECT 'pg_class'::regclass::oid, oid, true FROM pg_class WHERE oid = %(oid)s::oid
    UNION ALL
    SELECT 'pg_class'::regclass, reltoastrelid, true FROM pg_class
    WHERE oid = %(oid)s::oid AND reltoastrelid <> 0
    UNION ALL
    SELECT 'pg_class'::regclass, indexrelid, true FROM pg_index
    WHERE indrelid IN (SELECT %(oid)s::oid UNION ALL
                       SELECT reltoastrelid FROM pg_class WHERE oid = %(oid)s::oid)
    UNION ALL
    SELECT 'pg_class'::regclass, sequence.oid, depend.deptype = 'i'
    FROM pg_depend AS depend JOIN pg_class AS sequence ON sequence.oid = depend.objid
    WHERE depend.classid = 'pg_class'::regclass AND depend.refclassid = 'pg_class'::regclass
      AND depend.refobjid = %(oid)s::oid AND depend.refobjsubid > 0
      AND depend.deptype IN ('a', 'i') AND sequence.relkind = 'S'
    UNION ALL
    SELECT 'pg_type'::regclass, oid, true FROM pg_type WHERE typrelid = %(oid)s::oid
    UNION ALL
    SELECT 'pg_type'::regclass, typarray, true FROM pg_type WHERE typrelid = %(oid)s::oid
    UNION ALL
    SELECT 'pg_constraint'::regclass, oid, true FROM pg_constraint WHERE conrelid = %(oid)s::oid
    UNION ALL
    SELECT 'pg_attrdef'::regclass, oid, true FROM pg_attrdef WHERE adrelid = %(oid)s::oid
    UNION ALL
    SELECT 'pg_trigger'::regclass, oid, true FROM pg_trigger WHERE tgrelid = %(oid)s::oid
    UNION ALL
    SELECT 'pg_policy'::regclass, oid, true FROM pg_policy WHERE polrelid = %(oid)s::oid
    UNION ALL
    SELECT 'pg_rewrite'::regclass, oid, true FROM pg_rewrite WHERE ev_class = %(oid)s::oid
    UNION ALL
    SELECT 'pg_statistic_ext'::regclass, oid, true FROM pg_statistic_ext
    WHERE stxrelid = %(oid)s::oid
    UNION ALL
    SELECT 'pg_publication_rel'::regclass, oid, true FROM pg_publication_rel
    WHERE prrelid = %(oid)s::oid
)
"""

_OUTSIDE = (
    "WITH"
    + OWN_OBJECTS
    + """
SELECT depend.classid::regclass::text AS class, depend.objid::bigint AS oid,
       min(pg_describe_object(depend.classid, depend.objid, 0)) AS description,
       bool_or(rule.rulename = '_RETURN' AND view.relkind = 'v') IS TRUE AS is_view,
       bool_or("constraint".contype = 'f' AND "constraint".confrelid = %(oid)s::oid) IS TRUE
           AS is_foreign_key,
       min(view.oid::bigint) AS view_oid,
       min(pg_describe_object('pg_class'::regclass, view.oid, 0)) AS view
FROM pg_depend AS depend
JOIN own ON own.classid = depend.refclassid AND own.objid = depend.refobjid AND own.is_remade
LEFT JOIN pg_rewrite AS rule
  ON depend.classid = 'pg_rewrite'::regclass AND rule.oid = depend.objid
LEFT JOIN pg_class AS view ON view.oid = rule.ev_class
LEFT JOIN pg_constraint AS "constraint"
  ON depend.classid = 'pg_constraint'::regclass AND "constraint".oid = depend.objid
WHERE NOT EXISTS (SELECT FROM own AS inner_own WHERE inner_own.classid = depend.classid
                                                 AND inner_own.objid = depend.objid)
GROUP BY depend.classid, depend.objid
ORDER BY depend.classid, depend.objid
"""
)

# Outermost first: the order in which a reader who comes through all of them locks them.
_VIEWS = """
WITH RECURSIVE above (oid, depth) AS (
    SELECT oid, 0 FROM pg_class WHERE oid = ANY(%(views)s::oid[])
    UNION
    SELECT rule.ev_class, above.depth + 1
    FROM above
    JOIN pg_depend AS depend
      ON depend.refclassid = 'pg_class'::regclass AND depend.refobjid = above.oid
     AND depend.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite AS rule
      ON rule.oid = depend.objid AND rule.ev_type = '1' AND rule.ev_class <> above.oid
    WHERE above.depth < 100
)
SELECT view.oid::bigint AS oid, view.oid::regclass::text AS relation,
       view.relowner::regrole::text AS owner,
       ARRAY(SELECT option FROM unnest(view.reloptions) AS option) AS options,
       rtrim(pg_get_viewdef(view.oid), ';') AS definition,
       pg_has_role(view.relowner, 'USAGE')
       AND has_schema_privilege(view.relnamespace, 'CREATE') AS is_ours
FROM (SELECT oid, max(depth) AS depth FROM above GROUP BY oid) AS ordered
JOIN pg_class AS view USING (oid)
WHERE view.oid = ANY(%(views)s::oid[])
ORDER BY ordered.depth, view.oid
"""

# All five kinds: from others to the table, from the table to others, from the table to itself;
# each over any columns, in any of its forms.
_FOREIGN_KEYS = """
SELECT "constraint".conname AS name,
       "constraint".conrelid = %(oid)s::oid AS is_from_here,
       "constraint".confrelid = %(oid)s::oid AS is_to_here,
       "constraint".conrelid::regclass::text AS child,
       pg_get_constraintdef("constraint".oid) AS definition,
       "constraint".convalidated AS is_validated,
       obj_description("constraint".oid, 'pg_constraint') AS comment,
       pg_has_role(child.relowner, 'USAGE') AS is_ours,
       child.relkind = 'p' OR "constraint".conparentid <> 0 OR "constraint".coninhcount > 0
       OR coalesce(to_jsonb("constraint") ->> 'conperiod' = 'true', false)
       OR EXISTS (SELECT FROM pg_trigger
                  WHERE tgconstraint = "constraint".oid AND tgenabled <> 'O') AS is_special,
       (SELECT string_agg(format('child.%%I IS NOT NULL', attname), ' AND ')
        FROM pg_attribute
        WHERE attrelid = conrelid AND attnum = ANY(conkey)) AS is_set,
       (SELECT string_agg(
            format('parent.%%I OPERATOR(%%I.%%s) child.%%I',
                   parent.attname, namespace.nspname, operator.oprname, own.attname), ' AND ')
        FROM unnest(conkey, confkey, conpfeqop) AS pair (child_number, parent_number, operator)
        JOIN pg_attribute AS own ON own.attrelid = conrelid AND own.attnum = pair.child_number
        JOIN pg_attribute AS parent
          ON parent.attrelid = confrelid AND parent.attnum = pair.parent_number
        JOIN pg_operator AS operator ON operator.oid = pair.operator
        JOIN pg_namespace AS namespace ON namespace.oid = operator.oprnamespace) AS is_match
FROM pg_constraint AS "constraint"
JOIN pg_class AS child ON child.oid = "constraint".conrelid
WHERE "constraint".contype = 'f'
  AND %(oid)s::oid IN ("constraint".conrelid, "constraint".confrelid)
ORDER BY "constraint".oid
"""


@dataclass(frozen=True, kw_only=True)
class View:
    """A plain view that reads the table itself; views over it need nothing."""

    oid: int
    relation: str
    owner: str
    options: tuple[str, ...]
    definition: str
    is_ours: bool


@dataclass(frozen=True, kw_only=True)
class ForeignKey:
    """``is_set`` and ``is_match`` are conditions in SQL over a ``child`` and a ``parent`` row."""

    name: str
    is_from_here: bool
    is_to_here: bool
    child: str
    definition: str
    is_validated: bool
    comment: str | None
    is_ours: bool
    is_special: bool
    """Partitioned, over periods, or with its checks switched off in part."""
    is_set: str
    is_match: str


@dataclass(frozen=True, kw_only=True)
class Dependents:
    """``views`` come outermost first; ``others`` cannot be carried."""

    views: tuple[View, ...]
    foreign_keys: tuple[ForeignKey, ...]
    others: tuple[str, ...]

    @property
    def incoming(self) -> tuple[ForeignKey, ...]:
        """From other tables to this one."""
        return tuple(key for key in self.foreign_keys if not key.is_from_here)

    @property
    def outgoing(self) -> tuple[ForeignKey, ...]:
        """From this table to others."""
        return tuple(key for key in self.foreign_keys if not key.is_to_here)


async def read_dependents(connection: Connection, relation_oid: int) -> Dependents:
    """Everything that depends on the table. Needs an empty ``search_path``."""
    oid = {"oid": relation_oid}
    outside = await (await connection.execute(_OUTSIDE, oid)).fetchall()
    view_oids = [row["view_oid"] for row in outside if row["is_view"]]
    views = await (await connection.execute(_VIEWS, {"views": view_oids})).fetchall()
    keys = await (await connection.execute(_FOREIGN_KEYS, oid)).fetchall()
    return Dependents(
        views=tuple(View(**{**row, "options": tuple(row["options"])}) for row in views),
        foreign_keys=tuple(ForeignKey(**row) for row in keys),
        others=tuple(
            row["view"] or row["description"]
            for row in outside
            if not row["is_view"] and not row["is_foreign_key"]
        ),
    )
