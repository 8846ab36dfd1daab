"""Rows as JSON values, for whoever looks at them before anything is done.

What a file holds can be of any size, so that long values and shapes of many points are cut in the
database already, and say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import sql

from synctables.importer.apply.model import Connection
from synctables.importer.apply.row_layouts import Numbers
from synctables.importer.model import GEOMETRY_COLUMN

ROW_BYTES = 20_000
"""About so much of one row is shown: many columns leave less room for each value."""
_LEAST_CHARACTERS, _MOST_CHARACTERS = 40, 1_000
_MOST_POINTS = 100
_EXACT_DIGITS = 15
"""A JSON number of so many digits is read exactly by every client."""

_ROWS = """
SELECT {key} AS "#key", {values} FROM {relation} AS shown WHERE {key} = ANY({numbers}) ORDER BY 1
"""

_VALUE = """
CASE WHEN {value} IS NULL THEN NULL
     WHEN octet_length({value}::text) <= {longest} THEN to_jsonb({value})
     ELSE to_jsonb(left({value}::text, {longest}) || '…') END AS {name}
"""

_NUMERIC = """
CASE WHEN octet_length({value}::text) <= {exact} THEN to_jsonb({value})
     ELSE to_jsonb(left({value}::text, {longest})) END AS {name}
"""

# Curves and surfaces, which users can put into the table, have no GeoJSON.
_GEOMETRY = """
CASE WHEN {value} IS NULL THEN NULL
     WHEN ST_NPoints({value}) <= {points} AND NOT ST_HasArc({value})
          AND ST_GeometryType({value}) IN ('ST_Point', 'ST_LineString', 'ST_Polygon',
              'ST_MultiPoint', 'ST_MultiLineString', 'ST_MultiPolygon', 'ST_GeometryCollection')
     THEN ST_AsGeoJSON({value})::jsonb
     ELSE jsonb_build_object(
              'type', substr(ST_GeometryType({value}), 4),
              CASE ST_GeometryType({value}) WHEN 'ST_GeometryCollection' THEN 'geometries'
                                            ELSE 'coordinates' END, '[]'::jsonb,
              'is_cut', true) END AS {name}
"""


async def read_rows(
    connection: Connection,
    relation: sql.Composable,
    types: Mapping[str, str],
    *,
    key: str,
    numbers: Numbers,
) -> dict[int, dict[str, Any]]:
    """Values of the rows whose ``key`` is among the numbers, by that number, in its order.

    ``types``: the columns to read, and what PostgreSQL calls their types. The geometry comes first,
    as GeoJSON.
    """
    if not len(numbers):
        return {}
    kinds = {GEOMETRY_COLUMN: "geometry", **types}
    longest = min(_MOST_CHARACTERS, max(_LEAST_CHARACTERS, ROW_BYTES // len(kinds)))
    values = [
        _value(name, kind, alias=f"v{number}", longest=longest)
        for number, (name, kind) in enumerate(kinds.items())
    ]
    statement = sql.SQL(_ROWS).format(
        key=sql.Identifier("shown", key),
        values=sql.SQL(", ").join(values),
        relation=relation,
        numbers=sql.Literal([int(number) for number in numbers]),
    )
    rows = await (await connection.execute(statement)).fetchall()
    return {
        row["#key"]: {name: row[f"v{number}"] for number, name in enumerate(kinds)} for row in rows
    }


def _value(name: str, kind: str, *, alias: str, longest: int) -> sql.Composable:
    if kind == "geometry":
        template = _GEOMETRY
    else:
        template = _NUMERIC if kind.startswith("numeric") else _VALUE
    return sql.SQL(template).format(
        value=sql.Identifier("shown", name),
        name=sql.Identifier(alias),
        longest=sql.Literal(longest),
        exact=sql.Literal(_EXACT_DIGITS),
        points=sql.Literal(_MOST_POINTS),
    )
