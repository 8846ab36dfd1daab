"""The triggers on a table of ours: they serve those who edit it by hand, and no refresh needs them.

Users may drop them. Then a shape edited by hand has no webmercator shape, and ``modified_at`` does
not tell of the edit; the census finds it all the same (refresh.md 9).
"""

from __future__ import annotations

from psycopg import sql

from synctables.importer.apply.model import Connection
from synctables.importer.model import GEOMETRY_COLUMN, WEBMERCATOR_COLUMN

TRIGGER_PREFIX = "synctables_"

# Any trigger BEFORE INSERT, even one whose WHEN is false, turns off COPY's multi-insert: they are
# attached after the rows came (refresh.md 13). Each WHEN names both columns, so that dropping one
# drops the trigger with it, instead of leaving one that fails. IS DISTINCT FROM looks for its
# operator by search_path, and a dump is restored with an empty one.
_ATTACH = """
CREATE TRIGGER synctables_webmercator_insert BEFORE INSERT ON {table}
FOR EACH ROW WHEN (NEW.{mercator} IS NULL AND NEW.{shape} IS NOT NULL)
EXECUTE FUNCTION synctables.fill_webmercator();

CREATE TRIGGER synctables_webmercator_update BEFORE UPDATE OF {shape} ON {table}
FOR EACH ROW WHEN (
    record_image_ne(ROW(NEW.{shape}), ROW(OLD.{shape}))
    AND (NEW.{mercator} IS NULL OR record_image_eq(ROW(NEW.{mercator}), ROW(OLD.{mercator}))))
EXECUTE FUNCTION synctables.fill_webmercator();

CREATE TRIGGER synctables_edits AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION synctables.note_edit();
"""


async def attach_triggers(connection: Connection, table: sql.Identifier) -> None:
    """Let hand edits of the table fill its webmercator column and be noted."""
    await connection.execute(
        sql.SQL(_ATTACH).format(
            table=table,
            shape=sql.Identifier(GEOMETRY_COLUMN),
            mercator=sql.Identifier(WEBMERCATOR_COLUMN),
        )
    )
