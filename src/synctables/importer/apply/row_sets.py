"""Two versions of a table as multisets of row hashes, and how they differ.

Rows count as often as they occur, and no key is needed. Nothing here knows a database: hashes come
from the kept signatures or, where those cannot be used, from both versions hashed in SQL. Rows that
did not move are taken out first (`unmoved`); DuckDB compares what is left, and has tables of all
rows only once it is asked what needs them. All rows lie in the scratch folder, and DuckDB spills
there what does not fit into its memory, so the number of rows has no limit but the disk's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synctables.importer import engine
from synctables.importer.apply.row_layouts import KEPT, NEW, PLACE_STEP, Later, Numbers, Spool
from synctables.importer.apply.unmoved import Anchors, take_out_unmoved

_TABLES = """
CREATE TABLE {kept} (low UBIGINT, high UBIGINT, id BIGINT, place BIGINT);
CREATE TABLE {new} (low UBIGINT, high UBIGINT, position BIGINT);
"""

# How often a hash is there more in the new version; less often, where it is negative.
_FIND_DIFFERING = """
CREATE TABLE differing AS
SELECT low, high, sum(n)::BIGINT AS balance
FROM (SELECT low, high, -1 AS n FROM kept_left UNION ALL SELECT low, high, 1 AS n FROM new_left)
GROUP BY low, high HAVING sum(n) <> 0
"""

_FIND_GONE = """
CREATE TABLE gone AS
SELECT id, place
FROM (SELECT id, place, balance,
             row_number() OVER (PARTITION BY low, high ORDER BY place DESC, id DESC) AS copy
      FROM kept_left JOIN differing USING (low, high) WHERE balance < 0)
WHERE copy <= -balance
"""

_FIND_COMING = """
CREATE TABLE coming AS
SELECT position
FROM (SELECT position, balance,
             row_number() OVER (PARTITION BY low, high ORDER BY position DESC) AS copy
      FROM new_left JOIN differing USING (low, high) WHERE balance > 0)
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

# Before the first row there is none; else it is one that moved, or a copy of another.
_FIND_ANCHORS = """
SELECT asked.position, coalesce(min(kept.place), -{step}) AS place
FROM asked LEFT JOIN new_left AS new USING (position)
LEFT JOIN (FROM kept_left ANTI JOIN gone USING (id)) AS kept USING (low, high)
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
        self._connection.execute(_TABLES.format(kept="kept_left", new="new_left"))
        self._kept, self._new = Spool(scratch, KEPT), Spool(scratch, NEW)
        self._later = Later.nothing()
        self._anchors_found = Anchors()
        self._has_tables = False

    def add_kept(self, rows: NDArray[Any]) -> None:
        """Add rows of the table, laid out as `KEPT`."""
        self._kept.add(rows)

    def add_new(self, rows: NDArray[Any]) -> None:
        """Add rows of the new version, laid out as `NEW`."""
        self._new.add(rows)

    def override_kept(self, rows: NDArray[Any], *, gone: Numbers) -> None:
        """Take these rows for what is added under their ids, and leave out the ids ``gone``.

        Once, before anything is asked.
        """
        self._later = Later(rows, gone)

    def compare(self) -> Difference:
        """Find what differs. Once, when all rows are there."""
        self._anchors_found = take_out_unmoved(
            self._later.applied_to(self._kept.blocks()),
            self._new.blocks(),
            leave_kept=partial(self._insert, "kept_left"),
            leave_new=partial(self._insert, "new_left"),
        )
        for statement in (_FIND_DIFFERING, _FIND_GONE, _FIND_COMING):
            self._connection.execute(statement)
        return Difference(
            gone=self._ask("SELECT id FROM gone ORDER BY place, id")["id"],
            coming=self._ask("SELECT position FROM coming ORDER BY position")["position"],
        )

    def kept_ids(self, ids: Numbers) -> Numbers:
        """Those of the ids that rows of the table's version have."""
        self._need_tables()
        return self._ask("SELECT id FROM asked SEMI JOIN kept USING (id)", asked={"id": ids})["id"]

    def missing_ids(self, present: Numbers) -> Numbers:
        """Ids of the table's version that are not among these."""
        self._need_tables()
        return self._ask("SELECT id FROM kept ANTI JOIN asked USING (id)", asked={"id": present})[
            "id"
        ]

    def twins(self, ids: Numbers) -> tuple[Numbers, Numbers]:
        """Those of the ids whose row the new version still has, and the position of such a row."""
        if not len(ids):
            return ids, ids
        self._need_tables()
        found = self._ask(_FIND_TWINS, asked={"id": ids})
        return found["id"], found["position"]

    def matched_ids(self, row_count: int) -> Numbers:
        """The id of each row of the new version, in file order; 0 where it is coming."""
        self._need_tables()
        found = self._ask(_MATCH)
        ids = np.zeros(row_count, np.int64)
        ids[found["position"] - 1] = found["id"]
        return ids

    def pairs_in_gaps(self, gone: Numbers, coming: Numbers) -> tuple[Numbers, Numbers]:
        """Pair rows that go with rows that come in the same gap, in file order.

        Returns ids and positions. ``gone`` and ``coming`` are parts of the difference.
        """
        self._need_tables()
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
        known, places_known = self._anchors_found.sorted()
        is_known = np.isin(starts, known)
        places = np.empty(len(starts), np.int64)
        places[is_known] = places_known[np.searchsorted(known, starts[is_known])]
        places[~is_known] = self._ask(
            _FIND_ANCHORS.format(step=PLACE_STEP), asked={"position": starts[~is_known]}
        )["place"]
        return places[np.searchsorted(starts, anchors)] + (positions - anchors)

    def _anchors(self, positions: Numbers) -> Numbers:
        """The position of the unchanged row before each of the rows that come; 0: there is none."""
        coming = self._ask("SELECT position FROM coming ORDER BY position")["position"]
        is_start = np.diff(coming, prepend=-1) != 1
        starts = coming[is_start][np.cumsum(is_start) - 1]
        anchors: Numbers = starts[np.searchsorted(coming, positions)] - 1
        return anchors

    def _need_tables(self) -> None:
        """Tables of all rows, for what cannot be told by those that differ."""
        if self._has_tables:
            return
        self._connection.execute(_TABLES.format(kept="kept", new="new"))
        for block in self._later.applied_to(self._kept.blocks()):
            self._insert("kept", block)
        for block in self._new.blocks():
            self._insert("new", block)
        self._has_tables = True

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
        self._kept.close()
        self._new.close()


def _columns(rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return {name: np.ascontiguousarray(rows[name]) for name in rows.dtype.names or ()}
