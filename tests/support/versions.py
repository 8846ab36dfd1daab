"""Any versions of a file, as hypothesis draws them, and what people do to its table between them.

A `Version` is a file's columns and rows; `versions` draws one and `next_versions` what may follow
it. `EDITS` are hand edits as SQL. Values come from small pools, so that equal rows are common.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import shapely
from hypothesis import strategies as st

from synctables.importer.model import ColumnType, TypedLayer
from tests.support.layers import write_layer

T = ColumnType

POOLS: dict[ColumnType, list[Any]] = {
    T.BOOLEAN: [True, False],
    T.BIGINT: [0, 1, -1, 2**63 - 1, -(2**63)],
    T.DOUBLE: [0.0, -0.0, math.nan, math.inf, -math.inf, 0.1, 5e-324, 1e300],
    T.NUMERIC: [Decimal(text) for text in ("0", "-1", "1.1", "0.000001", "12345678901234567.89")],
    T.DATE: [dt.date(1, 1, 1), dt.date(2024, 2, 29), dt.date(9999, 12, 31)],
    T.TIMESTAMPTZ: [
        dt.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC),
        dt.datetime(2024, 2, 29, tzinfo=dt.UTC),
    ],
    T.TIME: [dt.time(0), dt.time(23, 59, 59, 999999)],
    T.TEXT: ["", " ", "NULL", "\\N", "a,b", '"', "é", "e\u0301", "\N{SNOWMAN}\t\n", "x" * 9000],
    T.JSONB: ["null", "{}", "[]", '""', "1.50", '{"a": [1, null], "b": "\u00e9"}'],
    T.BYTEA: [b"", b"\0", b"\\x00", bytes(range(256))],
}  # fmt: skip

SHAPES = [
    shapely.from_wkt(text)
    for text in (
        "POINT (10.75 59.91)",
        "POINT (-0.0 0)",
        "POINT EMPTY",
        "LINESTRING (0 0, 1 1, 2 0)",
        "POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0), (1 1, 1 2, 2 2, 2 1, 1 1))",
        "POLYGON EMPTY",
        "MULTIPOINT ((0 0), (1 1))",
        "MULTILINESTRING ((0 0, 1 1), (2 2, 3 3))",
        "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))",
        "GEOMETRYCOLLECTION (POINT (0 0), LINESTRING (0 0, 1 1))",
        "GEOMETRYCOLLECTION EMPTY",
    )
] + [shapely.LineString([(i / 7, i % 90) for i in range(400)])]

WIDTHS = [pa.decimal128(38, 6), pa.decimal128(30, 8), pa.decimal128(38, 12)]
"""How wide the numbers of a version happen to be; the values are the same."""

Row = tuple[Any, ...]
"""The shape, then a value for each column."""

_numbers = itertools.count()


@dataclass(frozen=True)
class Version:
    """One version of the file."""

    types: dict[str, ColumnType]
    rows: tuple[Row, ...]
    width: pa.DataType = WIDTHS[0]

    def write(self, folder: Path) -> TypedLayer:
        return write_layer(
            folder / f"version-{next(_numbers)}.arrow",
            self.types,
            [row[1:] for row in self.rows],
            [row[0] for row in self.rows],
            numeric=self.width,
        )


def rows_of(types: Sequence[ColumnType]) -> st.SearchStrategy[Row]:
    values = [st.sampled_from([None, *POOLS[type_]]) for type_ in types]
    return st.tuples(st.sampled_from([None, *SHAPES]), *values)


@st.composite
def versions(draw: st.DrawFn) -> Version:
    names = draw(st.lists(st.sampled_from("abcde"), min_size=1, max_size=3, unique=True))
    types = {name: draw(st.sampled_from(list(T))) for name in names}
    few = draw(st.lists(rows_of(list(types.values())), min_size=1, max_size=6))
    rows = draw(st.lists(st.sampled_from(few), max_size=10))
    return Version(types, tuple(rows), draw(st.sampled_from(WIDTHS)))


@st.composite
def next_versions(draw: st.DrawFn, version: Version, *, may_change_columns: bool) -> Version:
    """Rows are edited, deleted, inserted, doubled and moved; columns come, go, change type."""
    rows = list(version.rows)
    for change in draw(st.lists(st.sampled_from(_CHANGES), max_size=4)):
        change(draw, version, rows)
    after = replace(version, rows=tuple(rows), width=draw(st.sampled_from(WIDTHS)))
    if may_change_columns and draw(st.booleans()):
        changes = [_add, _remove, _retype] if version.types else [_add]
        after = draw(st.sampled_from(changes))(draw, after)
    return after


def _place(draw: st.DrawFn, rows: Sequence[Row]) -> int:
    return draw(st.integers(0, len(rows) - 1))


def _edit(draw: st.DrawFn, version: Version, rows: list[Row]) -> None:
    if rows:
        fresh = draw(rows_of(list(version.types.values())))
        place, cell = _place(draw, rows), draw(st.integers(0, len(version.types)))
        rows[place] = (*rows[place][:cell], fresh[cell], *rows[place][cell + 1 :])


def _delete(draw: st.DrawFn, _: Version, rows: list[Row]) -> None:
    if rows:
        del rows[_place(draw, rows)]


def _insert(draw: st.DrawFn, version: Version, rows: list[Row]) -> None:
    rows.insert(draw(st.integers(0, len(rows))), draw(rows_of(list(version.types.values()))))


def _double(draw: st.DrawFn, _: Version, rows: list[Row]) -> None:
    if rows:
        rows.insert(_place(draw, rows), rows[_place(draw, rows)])


def _move(draw: st.DrawFn, _: Version, rows: list[Row]) -> None:
    if rows:
        row = rows.pop(_place(draw, rows))
        rows.insert(draw(st.integers(0, len(rows))), row)


_CHANGES: list[Callable[[st.DrawFn, Version, list[Row]], None]] = [
    _edit, _edit, _delete, _insert, _double, _move,
]  # fmt: skip


def _add(draw: st.DrawFn, version: Version) -> Version:
    free = [name for name in "abcdef" if name not in version.types]
    name, type_ = draw(st.sampled_from(free)), draw(st.sampled_from(list(T)))
    values = st.sampled_from([None, *POOLS[type_]])
    rows = tuple((*row, draw(values)) for row in version.rows)
    return replace(version, types={**version.types, name: type_}, rows=rows)


def _remove(draw: st.DrawFn, version: Version) -> Version:
    names = list(version.types)
    gone = draw(st.integers(0, len(names) - 1))
    types = {name: type_ for name, type_ in version.types.items() if name != names[gone]}
    rows = tuple((*row[: gone + 1], *row[gone + 2 :]) for row in version.rows)
    return replace(version, types=types, rows=rows)


def _retype(draw: st.DrawFn, version: Version) -> Version:
    names = list(version.types)
    place = draw(st.integers(0, len(names) - 1))
    type_ = draw(st.sampled_from(list(T)))
    values = st.sampled_from([None, *POOLS[type_]])
    rows = tuple((*row[: place + 1], draw(values), *row[place + 2 :]) for row in version.rows)
    return replace(version, types={**version.types, names[place]: type_}, rows=rows)


ROW_EDITS = {
    "values are emptied": "UPDATE {t} SET the_geom = NULL, {c} = NULL WHERE cartodb_id % 2 = 1",
    "rows take the value of a neighbour": "UPDATE {t} AS t SET {c} = n.{c} FROM {t} AS n"
    " WHERE n.cartodb_id = t.cartodb_id + 1",
    "rows are written again as they are": "UPDATE {t} SET {c} = {c} WHERE cartodb_id % 3 = 1",
    "only the computed geometry is edited": "UPDATE {t} SET the_geom_webmercator ="
    " 'SRID=3857;POINT(7 7)' WHERE cartodb_id % 3 = 2",
    "rows are deleted": "DELETE FROM {t} WHERE cartodb_id % 2 = 0",
    "all rows are deleted": "DELETE FROM {t}",
    "a row is added": "INSERT INTO {t} (the_geom) VALUES ('SRID=4326;POINT(1 1)')",
    "a row is added under an id of its own": "INSERT INTO {t} (cartodb_id)"
    " SELECT coalesce(max(cartodb_id), 0) + 5 FROM {t}",
    "rows are doubled": "INSERT INTO {t} (the_geom, the_geom_webmercator, {c})"
    " SELECT the_geom, the_geom_webmercator, {c} FROM {t} WHERE cartodb_id % 2 = 1",
    "ids move up": "UPDATE {t} SET cartodb_id = cartodb_id + (SELECT max(cartodb_id) FROM {t})"
    " WHERE cartodb_id % 2 = 0",
    "ids turn negative": "UPDATE {t} SET cartodb_id = -cartodb_id WHERE cartodb_id % 3 = 0",
    "an id turns zero": "UPDATE {t} SET cartodb_id = 0 WHERE cartodb_id = (SELECT max(cartodb_id)"
    " FROM {t}) AND NOT EXISTS (SELECT FROM {t} WHERE cartodb_id = 0)",
    "a deleted row's id is used again": "DO $$ DECLARE free bigint; BEGIN DELETE FROM {t} WHERE"
    " cartodb_id = (SELECT min(cartodb_id) FROM {t}) RETURNING cartodb_id INTO free;"
    " IF FOUND THEN INSERT INTO {t} (cartodb_id) VALUES (free); END IF; END $$",
    "rows are edited inside a savepoint": "DO $$ BEGIN BEGIN UPDATE {t} SET {c} = NULL; EXCEPTION"
    " WHEN others THEN NULL; END; END $$",
    "everything is truncated": "TRUNCATE {t}",
    "everything is truncated, and ids start again": "TRUNCATE {t} RESTART IDENTITY",
    "everything is replaced by itself": "WITH gone AS (DELETE FROM {t} RETURNING *)"
    " INSERT INTO {t} OVERRIDING SYSTEM VALUE SELECT cartodb_id + (SELECT 1 + max(cartodb_id)"
    " - min(cartodb_id) FROM {t}), the_geom, the_geom_webmercator FROM gone",
}  # fmt: skip
"""Hand edits of rows; ``{t}`` is the table, ``{c}`` one of its columns."""

UPKEEP = {
    "the table is vacuumed": "VACUUM {t}",
    "rows are frozen": "VACUUM (FREEZE) {t}",
    "the table is packed": "VACUUM FULL {t}",
    "the table is put in order": "CLUSTER {t} USING {name}_pkey",
    "the table is counted": "ANALYZE {t}",
    "it is not logged any more": "ALTER TABLE {t} SET UNLOGGED",
    "an index is added": "CREATE INDEX ON {t} (the_geom_webmercator)",
}
"""What changes no value of ours; ``{name}`` is the table's without its schema."""

ALTERATIONS = {
    "a column is added": "ALTER TABLE {t} ADD own_{n} text DEFAULT 'mine'",
    "a column with values of its own is added": "ALTER TABLE {t} ADD own_{n} float8"
    " DEFAULT random()",
    "a computed column is added": "ALTER TABLE {t} ADD own_{n} bigint"
    " GENERATED ALWAYS AS (cartodb_id * 2) STORED",
    "one of the file's columns is dropped": "ALTER TABLE {t} DROP {c}",
    "one of the file's columns is renamed": "ALTER TABLE {t} RENAME {c} TO own_{n}",
    "one of the file's columns gets another type": "ALTER TABLE {t} ALTER {c} TYPE varchar(3)"
    " USING NULL",
    "the table is renamed": "ALTER TABLE {t} RENAME TO other_{n}",
}
"""What changes the table's columns or its name; ``{n}`` is a number not used before."""
