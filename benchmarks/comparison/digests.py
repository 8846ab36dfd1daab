"""Is a table equal to a version of the file? One count and one sum that both sides compute.

Each row becomes one line of text in which a value looks the same whatever type a program gave it
(six decimals, ISO days, true or false); its MD5's first 60 bits are summed, so the order of rows
does not matter. DuckDB does it for the truth, PostgreSQL for the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import shapely
from psycopg import sql

from comparison.rows import GEOMETRY

_BITS = "substr(md5({line}), 1, 15)"

_IN_DUCKDB = """
    SELECT count(*), coalesce(sum(('0x' || {bits})::BIGINT::HUGEINT), 0)::VARCHAR FROM version"""

_IN_POSTGRESQL = """
    SELECT count(*), coalesce(sum(('x' || {bits})::bit(60)::bigint), 0)::text,
           count(*) FILTER (WHERE {is_wrong}) FROM {table}"""

_IS_WRONG = """the_geom IS NULL OR the_geom_webmercator IS NULL
    OR ST_SRID(the_geom) <> 4326 OR ST_SRID(the_geom_webmercator) <> 3857
    OR abs(ST_XMin(the_geom_webmercator) - radians(ST_XMin(the_geom)) * 6378137) > 0.01"""

# Valid ones only: one that is still being built is of no use to a query.
_INDEXES = """
    SELECT count(*) FILTER (WHERE indisprimary), count(*) FILTER (WHERE amname = 'gist')
    FROM pg_index
    JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
    WHERE indrelid = %s::regclass AND indisvalid"""
_INDEXES_WANTED = (1, 2)
"""The primary key, and a spatial index on each geometry."""

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


class UnequalTableError(Exception):
    """A measured table is not what the file holds: its time means nothing."""


@dataclass(frozen=True, kw_only=True)
class Digest:
    """What a table with these ``fields`` must come to."""

    fields: tuple[tuple[str, str], ...]
    """Name and kind: bigint, text, float, day or boolean."""
    has_shapes: bool
    row_count: int
    digest: str


def digest_of(version: pa.Table, *, coordinates: tuple[str, str] | None = ("lon", "lat")) -> Digest:
    """The digest of a version: with its own geometry, or with points of ``coordinates``.

    Where there is neither, it is the digest of the attributes alone.
    """
    fields = tuple(
        (field.name, _kind(field.type)) for field in version.schema if field.name != GEOMETRY
    )
    parts = [_duckdb_text(name, kind) for name, kind in fields]
    has_shapes = GEOMETRY in version.column_names
    if has_shapes:
        version = _with_bounds(version)
        parts += [_duckdb_text(corner, "float") for corner in _CORNERS]
    elif coordinates:
        parts += 2 * [_duckdb_text(name, "float") for name in coordinates]
    bits = _BITS.format(line=" || '|' || ".join(parts))
    with duckdb.connect() as connection:
        connection.register("version", version)
        found = connection.execute(_IN_DUCKDB.format(bits=bits)).fetchone()
    assert found is not None
    return Digest(
        fields=fields,
        has_shapes=has_shapes or coordinates is not None,
        row_count=found[0],
        digest=found[1],
    )


def check(connection: psycopg.Connection[Any], table: sql.Identifier, expected: Digest) -> None:
    """Raises `UnequalTableError` unless the table equals the version and has its indexes."""
    if expected.has_shapes:
        found = connection.execute(_INDEXES, [table.as_string()]).fetchone()
        if found != _INDEXES_WANTED:
            raise UnequalTableError(f"{table.as_string()}: an index is missing")
    parts = [_postgresql_text(name, kind) for name, kind in expected.fields]
    is_wrong = "false"
    if expected.has_shapes:
        corners = ("ST_XMin", "ST_YMin", "ST_XMax", "ST_YMax")
        parts += [f"round({corner}(the_geom)::numeric, 6)::text" for corner in corners]
        is_wrong = _IS_WRONG
    query = sql.SQL(_IN_POSTGRESQL).format(
        bits=sql.SQL(_BITS.format(line=" || '|' || ".join(parts))),
        is_wrong=sql.SQL(is_wrong),
        table=table,
    )
    row_count, digest, wrong_count = connection.execute(query).fetchone() or (0, "", 0)
    if (row_count, digest, wrong_count) != (expected.row_count, expected.digest, 0):
        raise UnequalTableError(
            f"{table.as_string()}: {row_count:,} rows of {expected.row_count:,},"
            f" {wrong_count:,} with a wrong geometry,"
            f" values {'equal' if digest == expected.digest else 'differ'}"
        )


def _kind(given: pa.DataType) -> str:
    if pa.types.is_boolean(given):
        return "boolean"
    if pa.types.is_date(given):
        return "day"
    if pa.types.is_floating(given):
        return "float"
    return "bigint" if pa.types.is_integer(given) else "text"


def _duckdb_text(name: str, kind: str) -> str:
    if kind == "float":
        # A negative zero loses its sign, as it does in PostgreSQL's numeric.
        return f"printf('%.6f', \"{name}\" + 0.0)"
    types = {"bigint": "BIGINT", "boolean": "BOOLEAN", "day": "DATE", "text": "VARCHAR"}
    return f"coalesce(\"{name}\"::{types[kind]}::VARCHAR, '')"


def _postgresql_text(name: str, kind: str) -> str:
    if kind == "float":
        return f'round("{name}"::numeric, 6)::text'
    if kind == "boolean":  # some programs make 1 and 0 of it, some text
        return f'"{name}"::text::boolean::text'
    types = {"bigint": "bigint", "day": "date", "text": "text"}
    return f"coalesce(\"{name}\"::{types[kind]}::text, '')"


def _with_bounds(version: pa.Table) -> pa.Table:
    bounds = shapely.bounds(shapely.from_wkb(version[GEOMETRY].to_numpy(zero_copy_only=False)))
    for place, corner in enumerate(_CORNERS):
        version = version.append_column(corner, pa.array(bounds[:, place]))
    return version.drop_columns([GEOMETRY])
