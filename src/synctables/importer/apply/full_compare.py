"""Full compare: hash both versions in SQL, where the kept signatures cannot be used.

They cannot after somebody rewrote the table's file (VACUUM FULL, a restored dump), when the columns
changed, or when this version of the program hashes otherwise. SHA-256 of each row's exact text
form, so that no file can be made to collide with; half of it is compared.
"""

from __future__ import annotations

import numpy as np
from psycopg import sql

from synctables.importer.apply.columns import column_definitions
from synctables.importer.apply.copying import OnRows, copy_rows
from synctables.importer.apply.model import Connection
from synctables.importer.apply.row_layouts import KEPT, NEW, PLACE_STEP
from synctables.importer.apply.row_sets import RowSets
from synctables.importer.apply.transfer import fetch_packed
from synctables.importer.apply.typed_rows import POSITION
from synctables.importer.model import (
    GEOMETRY_COLUMN,
    ID_COLUMN,
    WEBMERCATOR_COLUMN,
    Column,
    ColumnType,
    TypedLayer,
)

_WIRE = np.dtype([("low", "<u8"), ("high", "<u8"), ("number", ">i8")])
"""Half of a SHA-256, then an int8 in network order."""

# Each row's text form names every value exactly: NULL and '' differ, floats print their shortest
# round-trip form, geometries print as hex EWKB.
_SIGNED = """
SELECT substr(sha256(convert_to(ROW({values})::text, 'UTF8')), 1, 16) || int8send({number})
       AS packed
FROM {relation}
"""

_WHOLE_VERSION = sql.Identifier("pg_temp", "whole_version")


async def load_in_full(
    connection: Connection,
    rows: RowSets,
    layer: TypedLayer,
    table: sql.Composable,
    columns: tuple[Column, ...],
    *,
    as_text: frozenset[str],
    on_rows: OnRows,
) -> None:
    """Fill ``rows`` with both versions, compared on both geometries and these columns.

    ``as_text``: columns that are of another type in the table. Old file order is that of the ids,
    which follow it where rows were never changed.
    """
    await _send_version(connection, layer, on_rows=on_rows)
    values = sql.SQL(", ").join(_values(columns, as_text))
    new = await fetch_packed(
        connection,
        sql.SQL(_SIGNED).format(
            values=values, number=sql.Identifier(POSITION), relation=_WHOLE_VERSION
        ),
        _WIRE,
    )
    rows.add_new(new.astype(NEW))
    await connection.execute(sql.SQL("DROP TABLE {}").format(_WHOLE_VERSION))
    live = await fetch_packed(
        connection,
        sql.SQL(_SIGNED).format(
            values=values,
            number=sql.Identifier(ID_COLUMN),
            relation=sql.SQL("ONLY {}").format(table),
        ),
        _WIRE,
    )
    kept = np.empty(len(live), KEPT)
    kept["low"], kept["high"], kept["id"] = live["low"], live["high"], live["number"]
    kept["place"] = np.argsort(np.argsort(kept["id"])) * PLACE_STEP
    rows.add_kept(kept)


async def _send_version(connection: Connection, layer: TypedLayer, *, on_rows: OnRows) -> None:
    await connection.execute(
        sql.SQL(
            "CREATE TEMPORARY TABLE whole_version ({} bigint, {} geometry(Geometry, 4326),"
            " {} geometry(Geometry, 3857){}) ON COMMIT DROP"
        ).format(
            sql.Identifier(POSITION),
            sql.Identifier(GEOMETRY_COLUMN),
            sql.Identifier(WEBMERCATOR_COLUMN),
            column_definitions(layer.columns),
        )
    )
    await copy_rows(
        connection,
        layer,
        into=_WHOLE_VERSION,
        number_column=POSITION,
        is_frozen=True,
        on_rows=on_rows,
    )


def _values(columns: tuple[Column, ...], as_text: frozenset[str]) -> list[sql.Composable]:
    """The compared values. Numerics count by value: 1.5 and 1.50 are one row (refresh.md 5)."""
    return [
        sql.Identifier(GEOMETRY_COLUMN),
        sql.Identifier(WEBMERCATOR_COLUMN),
        *(
            sql.SQL(_form(column, as_text)).format(sql.Identifier(column.name))
            for column in columns
        ),
    ]


def _form(column: Column, as_text: frozenset[str]) -> str:
    if column.name in as_text:
        return "{}::text"
    return "trim_scale({})" if column.type is ColumnType.NUMERIC else "{}"
