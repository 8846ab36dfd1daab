"""Two versions of a table as multisets of row hashes, and how they differ; DuckDB does the work.

Rows count as often as they occur, and no key is needed. Nothing here knows a database: hashes come
from the kept signatures or, where those cannot be used, from both versions hashed in SQL. DuckDB
spills into the scratch folder what does not fit into its memory, so the number of rows has no limit
but the disk's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synctables.importer import engine

Numbers = NDArray[np.int64]

KEPT = np.dtype([("low", "<u8"), ("high", "<u8"), ("id", "<i8"), ("place", "<i8")])
"""A row of the version in the table: the halves of its hash, its ``cartodb_id``, and its place:
places grow with the order of the file, and there is room between them."""
NEW = np.dtype([("low", "<u8"), ("high", "<u8"), ("position", "<i8")])
"""A row of the new version; positions count from 1 in file order."""
PLACE_STEP = 1 << 20
"""Between the places of neighbours in the file that the base was made of."""

_TABLES = """
CREATE TABLE kept (low UBIGINT, high UBIGINT, id BIGINT, place BIGINT);
CREATE TABLE new (low UBIGINT, high UBIGINT, position BIGINT);
"""

# How often a hash is there more in the new version; less often, where it is negative. Rows that
# stand at one place in both and are equal change no balance: in a file whose rows change where they
# stand, that is nearly all of them, and they are taken out without a look at any other row.
_FIND_DIFFERING = """
CREATE TABLE differing AS
WITH unequal AS (
    SELECT kept.low AS kept_low, kept.high AS kept_high, new.low AS new_low, new.high AS new_high
    FROM kept POSITIONAL JOIN new
    WHERE kept.low IS DISTINCT FROM new.low OR kept.high IS DISTINCT FROM new.high)
SELECT low, high, sum(n)::BIGINT AS balance
FROM (SELECT kept_low AS low, kept_high AS high, -1 AS n FROM unequal WHERE kept_low IS NOT NULL
      UNION ALL
      SELECT new_low, new_high, 1 AS n FROM unequal WHERE new_low IS NOT NULL)
GROUP BY low, high HAVING sum(n) <> 0
"""

_OVERRIDE = """
UPDATE kept SET low = asked.low, high = asked.high, place = asked.place
FROM asked WHERE kept.id = asked.id
"""

_FIND_GONE = """
CREATE TABLE gone AS
SELECT id, place
FROM (SELECT id, place, balance,
             row_number() OVER (PARTITION BY low, high ORDER BY place DESC, id DESC) AS copy
      FROM kept JOIN differing USING (low, high) WHERE balance < 0)
WHERE copy <= -balance
"""

_FIND_COMING = """
CREATE TABLE coming AS
SELECT position
FROM (SELECT position, balance,
             row_number() OVER (PARTITION BY low, high ORDER BY position DESC) AS copy
      FROM new JOIN differing USING (low, high) WHERE balance > 0)
WHERE copy <= balance
"""

# Any row of an equal hash will do: it has the same content.
_FIND_TWINS = """
SELECT id, min(new.position) AS position
FROM asked JOIN kept USING (id) JOIN new USING (low, high)
WHERE id NOT IN (SELECT id FROM gone)
GROUP BY id ORDER BY id
"""

# Copies of one row are matched in their order; most rows have no copy.
_MATCH = """
WITH staying AS (SELECT low, high, id, place FROM kept ANTI JOIN gone USING (id)),
     stayed AS (SELECT low, high, position FROM new ANTI JOIN coming USING (position)),
     repeated AS (SELECT low, high FROM stayed GROUP BY low, high HAVING count(*) > 1)
SELECT position, id
FROM (FROM stayed ANTI JOIN repeated USING (low, high)) JOIN staying USING (low, high)
UNION ALL
SELECT position, id
FROM (SELECT *, row_number() OVER (PARTITION BY low, high ORDER BY position) AS copy
      FROM stayed SEMI JOIN repeated USING (low, high))
JOIN (SELECT *, row_number() OVER (PARTITION BY low, high ORDER BY place, id) AS copy
      FROM staying SEMI JOIN repeated USING (low, high)) USING (low, high, copy)
"""

_FIND_ANCHORS = """
SELECT asked.position, coalesce(min(kept.place), -{step}) AS place
FROM asked LEFT JOIN new USING (position)
LEFT JOIN (FROM kept ANTI JOIN gone USING (id)) AS kept USING (low, high)
GROUP BY asked.position ORDER BY asked.position
"""

# A gap is what lies between two unchanged rows; it is known by the hash of the one before it.
_PAIR_IN_GAPS = """
WITH staying AS (SELECT low, high, place FROM kept ANTI JOIN gone USING (id)),
     leaving AS (
        SELECT asked_ids.id, asked_ids.place, anchor.low, anchor.high,
               row_number() OVER (PARTITION BY anchor.low, anchor.high
                                  ORDER BY asked_ids.place, asked_ids.id) AS number
        FROM (SELECT id, place FROM gone SEMI JOIN asked_ids USING (id)) AS asked_ids
        ASOF LEFT JOIN staying AS anchor ON asked_ids.place > anchor.place),
     arriving AS (
        SELECT asked.position, new.low, new.high,
               row_number() OVER (PARTITION BY new.low, new.high ORDER BY asked.position) AS number
        FROM asked LEFT JOIN new ON new.position = asked.anchor)
SELECT leaving.id, arriving.position
FROM leaving JOIN arriving
  ON leaving.low IS NOT DISTINCT FROM arriving.low
 AND leaving.high IS NOT DISTINCT FROM arriving.high
 AND leaving.number = arriving.number
ORDER BY arriving.position
"""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What the table has too much, and what it lacks."""

    gone: Numbers
    """``cartodb_id`` of rows that the new version no longer has, in the order of the old file."""
    coming: Numbers
    """Positions of rows that the table does not have, ascending."""


class RowSets:
    """The rows of both versions. A context manager; used by one thread at a time."""

    def __init__(self, scratch: Path) -> None:
        self._connection = engine.connect(scratch)
        self._connection.execute(_TABLES)

    def add_kept(self, rows: NDArray[Any]) -> None:
        """Add rows of the table, laid out as `KEPT`."""
        self._insert("kept", rows)

    def add_new(self, rows: NDArray[Any]) -> None:
        """Add rows of the new version, laid out as `NEW`."""
        self._insert("new", rows)

    def override_kept(self, rows: NDArray[Any], *, gone: Numbers) -> None:
        """Take these rows for what was added before under their ids, and drop the ids ``gone``."""
        columns = _columns(rows)
        # In place, so that rows go on standing where they stood.
        self._ask(_OVERRIDE, asked=columns)
        self._ask("INSERT INTO kept FROM asked ANTI JOIN kept USING (id)", asked=columns)
        self._ask("DELETE FROM kept WHERE id IN (SELECT id FROM asked)", asked={"id": gone})

    def compare(self) -> Difference:
        """Find what differs. Once, when all rows are there."""
        for statement in (_FIND_DIFFERING, _FIND_GONE, _FIND_COMING):
            self._connection.execute(statement)
        return Difference(
            gone=self._ask("SELECT id FROM gone ORDER BY place, id")["id"],
            coming=self._ask("SELECT position FROM coming ORDER BY position")["position"],
        )

    def kept_ids(self, ids: Numbers) -> Numbers:
        """Those of the ids that rows of the table's version have."""
        return self._ask("SELECT id FROM asked SEMI JOIN kept USING (id)", asked={"id": ids})["id"]

    def missing_ids(self, present: Numbers) -> Numbers:
        """Ids of the table's version that are not among these."""
        return self._ask("SELECT id FROM kept ANTI JOIN asked USING (id)", asked={"id": present})[
            "id"
        ]

    def twins(self, ids: Numbers) -> tuple[Numbers, Numbers]:
        """Those of the ids whose row the new version still has, and the position of such a row."""
        found = self._ask(_FIND_TWINS, asked={"id": ids})
        return found["id"], found["position"]

    def matched_ids(self, row_count: int) -> Numbers:
        """The id of each row of the new version, in file order; 0 where it is coming."""
        found = self._ask(_MATCH)
        ids = np.zeros(row_count, np.int64)
        ids[found["position"] - 1] = found["id"]
        return ids

    def pairs_in_gaps(self, gone: Numbers, coming: Numbers) -> tuple[Numbers, Numbers]:
        """Pair rows that go with rows that come in the same gap, in file order.

        Returns ids and positions. ``gone`` and ``coming`` are parts of the difference.
        """
        found = self._ask(
            _PAIR_IN_GAPS,
            asked={"position": coming, "anchor": self._anchors(coming)},
            asked_ids={"id": gone},
        )
        return found["id"], found["position"]

    def places(self, positions: Numbers) -> Numbers:
        """A place for each of the rows that come: behind the unchanged row before it."""
        anchors = self._anchors(positions)
        starts = np.unique(anchors)
        found = self._ask(_FIND_ANCHORS.format(step=PLACE_STEP), asked={"position": starts})
        return found["place"][np.searchsorted(starts, anchors)] + (positions - anchors)

    def _anchors(self, positions: Numbers) -> Numbers:
        """The position of the unchanged row before each of the rows that come; 0: there is none."""
        coming = self._ask("SELECT position FROM coming ORDER BY position")["position"]
        is_start = np.diff(coming, prepend=-1) != 1
        starts = coming[is_start][np.cumsum(is_start) - 1]
        anchors: Numbers = starts[np.searchsorted(coming, positions)] - 1
        return anchors

    def _insert(self, table: str, rows: NDArray[Any]) -> None:
        self._ask(f"INSERT INTO {table} FROM asked", asked=_columns(rows))

    def _ask(self, query: str, **inputs: dict[str, NDArray[Any]]) -> dict[str, Numbers]:
        """The answer's columns; ``inputs`` are tables for this query alone."""
        for name, columns in inputs.items():
            self._connection.register(name, pa.table(columns))
        try:
            answer: dict[str, Numbers] = self._connection.execute(query).fetchnumpy()
        finally:
            for name in inputs:
                self._connection.unregister(name)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()


def _columns(rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return {name: np.ascontiguousarray(rows[name]) for name in rows.dtype.names or ()}
