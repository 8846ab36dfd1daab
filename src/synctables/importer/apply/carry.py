"""What belongs to a table, as the statements that give it to a new one under the same name.

Each query has one column, ``statement``, and reads the catalogs as they are. `LIKE INCLUDING ALL`
carries about half of this (refresh.md 19).
"""

from __future__ import annotations

from synctables.importer.apply.model import Connection

_CHECKS = """
SELECT format('ADD CONSTRAINT %%I %%s', conname, pg_get_constraintdef(oid)) AS statement
FROM pg_constraint WHERE conrelid = %(oid)s::oid AND contype = 'c'
ORDER BY oid
"""

_TRIGGERS = """
SELECT pg_get_triggerdef(oid) AS statement
FROM pg_trigger WHERE tgrelid = %(oid)s::oid AND NOT tgisinternal
ORDER BY oid
"""

_STATES = """
SELECT format('ALTER TABLE %%s %%s %%s %%I', %(oid)s::oid::regclass,
              CASE state WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA'
                         ELSE 'ENABLE ALWAYS' END, kind, name) AS statement
FROM (SELECT 'TRIGGER' AS kind, tgname AS name, tgenabled AS state, oid
      FROM pg_trigger WHERE tgrelid = %(oid)s::oid AND NOT tgisinternal
      UNION ALL
      SELECT 'RULE', rulename, ev_enabled, oid FROM pg_rewrite WHERE ev_class = %(oid)s::oid
     ) AS watchers
WHERE state <> 'O'
ORDER BY kind, oid
"""

_RULES = """
SELECT rtrim(pg_get_ruledef(oid), ';') AS statement
FROM pg_rewrite WHERE ev_class = %(oid)s::oid
ORDER BY oid
"""

_POLICIES = """
SELECT format('CREATE POLICY %%I ON %%s AS %%s FOR %%s TO %%s%%s%%s', polname, polrelid::regclass,
              CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
              CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                          WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
              (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE role::regrole::text END, ', ')
               FROM unnest(polroles) AS role),
              ' USING (' || pg_get_expr(polqual, polrelid) || ')',
              ' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')') AS statement
FROM pg_policy WHERE polrelid = %(oid)s::oid
ORDER BY oid
"""

_STATISTICS = """
SELECT pg_get_statisticsobjdef(oid) AS statement
FROM pg_statistic_ext WHERE stxrelid = %(oid)s::oid
UNION ALL
SELECT format('ALTER STATISTICS %%s SET STATISTICS %%s',
              format('%%s.%%I', stxnamespace::regnamespace, stxname), stxstattarget)
FROM pg_statistic_ext
WHERE stxrelid = %(oid)s::oid AND coalesce(stxstattarget, -1) <> -1
"""

_FLAGS = """
SELECT format('ALTER TABLE %%s %%s', oid::regclass, flag) AS statement
FROM pg_class,
     unnest(ARRAY[CASE WHEN relrowsecurity THEN 'ENABLE ROW LEVEL SECURITY' END,
                  CASE WHEN relforcerowsecurity THEN 'FORCE ROW LEVEL SECURITY' END,
                  CASE relreplident WHEN 'f' THEN 'REPLICA IDENTITY FULL'
                                    WHEN 'n' THEN 'REPLICA IDENTITY NOTHING' END]) AS flag
WHERE oid = %(oid)s::oid AND flag IS NOT NULL
UNION ALL
SELECT format('ALTER TABLE %%s %%s %%I', indrelid::regclass, mark, relname)
FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid,
     unnest(ARRAY[CASE WHEN indisreplident THEN 'REPLICA IDENTITY USING INDEX' END,
                  CASE WHEN indisclustered THEN 'CLUSTER ON' END]) AS mark
WHERE indrelid = %(oid)s::oid AND mark IS NOT NULL
"""

# A mark of an index column has no name of its own, only a number.
_INDEX_COLUMNS = """
SELECT format('ALTER INDEX %%s ALTER COLUMN %%s SET STATISTICS %%s',
              attrelid::regclass, attnum, attstattarget) AS statement
FROM pg_index JOIN pg_attribute ON attrelid = indexrelid
WHERE indrelid = %(oid)s::oid AND coalesce(attstattarget, -1) <> -1
ORDER BY attrelid, attnum
"""

# PostgreSQL 14 has neither row filters nor lists of columns.
_PUBLICATIONS = """
SELECT format('ALTER PUBLICATION %%I ADD TABLE %%s%%s%%s', pubname, prrelid::regclass,
              (SELECT ' (' || string_agg(quote_ident(attname), ', ' ORDER BY attnum) || ')'
               FROM pg_attribute
               WHERE attrelid = prrelid
                 AND attnum = ANY(string_to_array(to_jsonb(member) ->> 'prattrs', ' ')::int2[])),
              ' WHERE (' || (SELECT to_jsonb(shown) ->> 'rowfilter'
                             FROM pg_publication_tables AS shown
                             JOIN pg_class AS class ON class.relname = shown.tablename
                              AND class.relnamespace::regnamespace::text
                                  = quote_ident(shown.schemaname)
                             WHERE class.oid = prrelid AND shown.pubname = publication.pubname)
              || ')') AS statement
FROM pg_publication_rel AS member JOIN pg_publication AS publication ON publication.oid = prpubid
WHERE prrelid = %(oid)s::oid
ORDER BY pubname
"""

_COMMENTS = """
SELECT format('COMMENT ON %%s IS %%L', object, description) AS statement
FROM (SELECT CASE objsubid
                 WHEN 0 THEN format('TABLE %%s', objoid::regclass)
                 ELSE format('COLUMN %%s.%%I', objoid::regclass,
                             (SELECT attname FROM pg_attribute
                              WHERE attrelid = objoid AND attnum = objsubid)) END AS object,
             description, objsubid AS position
      FROM pg_description
      WHERE classoid = 'pg_class'::regclass AND objoid = %(oid)s::oid
      UNION ALL
      SELECT format('INDEX %%s', objoid::regclass), description, 2000
      FROM pg_description JOIN pg_index ON indexrelid = objoid
      WHERE classoid = 'pg_class'::regclass AND indrelid = %(oid)s::oid
      UNION ALL
      SELECT format('SEQUENCE %%s', objoid::regclass), description, 2000
      FROM pg_description JOIN pg_depend ON objid = objoid AND classid = classoid
      WHERE classoid = 'pg_class'::regclass AND refclassid = classoid
        AND refobjid = %(oid)s::oid AND deptype = 'i' AND refobjsubid > 0
      UNION ALL
      SELECT format('CONSTRAINT %%I ON %%s', conname, conrelid::regclass), description, 2001
      FROM pg_description JOIN pg_constraint AS object ON object.oid = objoid
      WHERE classoid = 'pg_constraint'::regclass AND conrelid = %(oid)s::oid
      UNION ALL
      SELECT format('TRIGGER %%I ON %%s', tgname, tgrelid::regclass), description, 2002
      FROM pg_description JOIN pg_trigger AS object ON object.oid = objoid
      WHERE classoid = 'pg_trigger'::regclass AND tgrelid = %(oid)s::oid
      UNION ALL
      SELECT format('RULE %%I ON %%s', rulename, ev_class::regclass), description, 2003
      FROM pg_description JOIN pg_rewrite AS object ON object.oid = objoid
      WHERE classoid = 'pg_rewrite'::regclass AND ev_class = %(oid)s::oid
      UNION ALL
      SELECT format('POLICY %%I ON %%s', polname, polrelid::regclass), description, 2004
      FROM pg_description JOIN pg_policy AS object ON object.oid = objoid
      WHERE classoid = 'pg_policy'::regclass AND polrelid = %(oid)s::oid
      UNION ALL
      SELECT format('STATISTICS %%s.%%I', stxnamespace::regnamespace, stxname),
             description, 2005
      FROM pg_description JOIN pg_statistic_ext AS object ON object.oid = objoid
      WHERE classoid = 'pg_statistic_ext'::regclass AND stxrelid = %(oid)s::oid
     ) AS comments
ORDER BY position, object
"""

_WATCHERS = (_TRIGGERS, _RULES, _POLICIES)
_CARRIED = (
    _STATES,
    _STATISTICS,
    _FLAGS,
    _INDEX_COLUMNS,
    _PUBLICATIONS,
    _COMMENTS,
)


async def read_checks(connection: Connection, relation_oid: int) -> tuple[str, ...]:
    """ALTER TABLE's actions that add the table's CHECK constraints."""
    return await _statements(connection, _CHECKS, relation_oid)


async def read_watchers(connection: Connection, relation_oid: int) -> tuple[str, ...]:
    """Statements that make the table's triggers, rules and policies. See `read_carried`."""
    return await _all_statements(connection, _WATCHERS, relation_oid)


async def read_carried(connection: Connection, relation_oid: int) -> tuple[str, ...]:
    """Statements for whatever else belongs to the table but its rights (`grants`).

    They name the table, its indexes and constraints as they are called now. Needs an empty
    ``search_path``.
    """
    return await _all_statements(connection, _CARRIED, relation_oid)


async def _all_statements(
    connection: Connection, queries: tuple[str, ...], relation_oid: int
) -> tuple[str, ...]:
    statements: list[str] = []
    for query in queries:
        statements += await _statements(connection, query, relation_oid)
    return tuple(statements)


async def _statements(connection: Connection, query: str, relation_oid: int) -> tuple[str, ...]:
    cursor = await connection.execute(query, {"oid": relation_oid})
    return tuple(row["statement"] for row in await cursor.fetchall())
