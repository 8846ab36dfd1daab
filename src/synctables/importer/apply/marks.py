"""Marks of a table in the catalogs: a quick look whether anything changed that no lock guards.

The locks of a swap hold off ALTER TABLE, but GRANT takes no lock on its table, and views, indexes
and sequences have locks of their own. The plan is read again before readers must wait; for the
moment after that, this one small statement says whether it still holds. What is new, DROP TABLE
without CASCADE would notice.
"""

from __future__ import annotations

from synctables.importer.apply.model import Connection

_MARKS = """
WITH relations AS MATERIALIZED (
    SELECT %(table)s::oid AS oid
    UNION ALL SELECT unnest(%(others)s::oid[])
    UNION ALL SELECT indexrelid FROM pg_index WHERE indrelid = %(table)s::oid
)
SELECT array_agg(mark ORDER BY mark) AS marks
FROM (SELECT format('class %%s %%s', oid, class.xmin) AS mark
      FROM relations JOIN pg_class AS class USING (oid)
      UNION ALL
      SELECT format('column %%s %%s %%s', oid, attnum, attribute.xmin)
      FROM relations JOIN pg_attribute AS attribute ON attrelid = oid
      UNION ALL
      SELECT format('rule %%s %%s', rule.oid, rule.xmin)
      FROM relations JOIN pg_rewrite AS rule ON ev_class = relations.oid
      UNION ALL
      SELECT format('comment %%s %%s %%s', oid, objsubid, comment.xmin)
      FROM relations JOIN pg_description AS comment
        ON classoid = 'pg_class'::regclass AND objoid = oid
      UNION ALL
      SELECT format('statistics %%s %%s', oid, xmin)
      FROM pg_statistic_ext WHERE stxrelid = %(table)s::oid
      UNION ALL
      SELECT format('publication %%s %%s', oid, xmin)
      FROM pg_publication_rel WHERE prrelid = %(table)s::oid
      UNION ALL
      SELECT format('sequence %%s', pg_sequence) FROM relations JOIN pg_sequence ON seqrelid = oid
     ) AS marks
"""


async def read_marks(
    connection: Connection, relation_oid: int, *, others: list[int]
) -> tuple[str, ...]:
    """The marks of the table and its indexes, and of ``others``: its views and sequences."""
    cursor = await connection.execute(_MARKS, {"table": relation_oid, "others": others})
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - the statement has exactly one row
    return tuple(row["marks"] or ())
