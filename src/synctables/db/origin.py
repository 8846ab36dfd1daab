"""Following the tables into a restored dump, where every relation has another oid.

Tables are followed by oid, so that a rename is no loss. After a restore those oids name nothing, or
somebody else's table; what still holds is each table's schema and name.
"""

from __future__ import annotations

import psycopg
import structlog

# Several, since a single oid can come out the same by chance in another cluster.
_NOW = """
SELECT ARRAY['synctables.accounts'::regclass::oid, 'synctables.syncs'::regclass::oid,
             'synctables.tables'::regclass::oid]::bigint[]
"""
_REMEMBERED = "SELECT oids::bigint[] FROM synctables.origin"
_REMEMBER = """
INSERT INTO synctables.origin (oids) VALUES (%s)
ON CONFLICT (is_only_row) DO UPDATE SET oids = excluded.oids
"""

# Numbers that no relation has, a different one for each: those that are not found keep them.
_UNLINK = """
UPDATE synctables.tables SET relation_oid = numbered.oid
FROM (SELECT id, (4294967295 - row_number() OVER ())::oid AS oid
      FROM synctables.tables) AS numbered
WHERE numbered.id = tables.id
"""
_LINK = """
UPDATE synctables.tables SET relation_oid = found.oid
FROM pg_class AS found JOIN pg_namespace AS namespace ON namespace.oid = found.relnamespace
WHERE namespace.nspname = tables.schema_name AND found.relname = tables.name
  AND found.relkind IN ('r', 'p')
"""
# Notes of edits and sizes of indexes go by oids, too, which name other relations now, or none.
_FORGET = """
DELETE FROM synctables.table_states;
DELETE FROM synctables.edits;
DELETE FROM synctables.index_sizes
"""

log = structlog.get_logger(__name__)


def follow_restored_tables(connection: psycopg.Connection) -> None:
    """Where the database was restored from a dump, find its tables again by their names.

    What is remembered of their rows is forgotten: the next refresh of each compares it in full. A
    table that was renamed since its last refresh is not found. ``connection`` is in autocommit
    mode; nobody else works on the database yet.
    """
    with connection.transaction():
        now = _oids(connection, _NOW)
        remembered = _oids(connection, _REMEMBERED)
        if remembered == now:
            return
        if remembered is not None:
            _link(connection)
        connection.execute(_REMEMBER, [now])


def _link(connection: psycopg.Connection) -> None:
    all_of_them = connection.execute(_UNLINK).rowcount
    found = connection.execute(_LINK).rowcount
    connection.execute(_FORGET)
    log.warning("restored_tables_linked", found=found, missing=all_of_them - found)


def _oids(connection: psycopg.Connection, query: str) -> list[int] | None:
    row = connection.execute(query.encode()).fetchone()
    return None if row is None else list(row[0])
